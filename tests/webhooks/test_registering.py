"""Endpoints: who hears of which orders, what is refused, and what a rotation means for the receiver."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from orderapp.errors import ConflictError, InvalidInputError, NotFoundError
from orderapp.orders.placing import Line, place_order
from orderapp.orders.processing import process_orders
from orderapp.webhooks import registering
from orderapp.webhooks.drafts import Draft
from orderapp.webhooks.endpoint import Receivers
from orderapp.webhooks.registering import NewEndpoint
from orderapp.webhooks.sending import deliver

from .conftest import Factory, Sql
from .receivers import RecordingReceiver, answering

URL = "https://shop.example/hook"
NOWHERE: frozenset[str] = frozenset()

Made = Callable[..., NewEndpoint]


@pytest.fixture
def an_endpoint(app: Flask, receiver: RecordingReceiver, receivers: Receivers) -> Made:
    """Return a maker of endpoints on the receiver, by default the operator's."""
    assert app

    def make(path: str = "/own", owner: int | None = None, **more: Any) -> NewEndpoint:
        draft = Draft(f"http://{receiver.address}{path}", **more)
        return registering.create_endpoint(draft, owner, receivers.allowed_hosts, "Alice")

    return make


def a_client(sql: Sql, name: str) -> int:
    """Return the id of a new client."""
    return int(sql("INSERT INTO api_clients (name) VALUES (:name) RETURNING id", name=name)[0].id)


def settled(sql: Sql, product_id: int, client_id: int = 1, quantity: int = 1) -> list[int]:
    """Settle an order of this client; returns the endpoints that its outcome is sent to."""
    order = place_order(client_id, [Line(product_id, quantity)], currency="USD")
    assert process_orders([order.id], task_id=str(uuid4())) == 1
    return [row.endpoint_id for row in sql(
        "SELECT endpoint_id FROM webhook_deliveries WHERE order_id = :id ORDER BY id", id=order.id)]  # fmt: skip


def test_a_client_hears_of_its_own_orders_and_the_operator_of_all(sql: Sql, a_product: Factory, an_endpoint: Made) -> None:
    """Nobody learns what another client bought; each delivery has its message."""
    alice, bob = a_client(sql, "Alice"), a_client(sql, "Bob")
    hers, his = an_endpoint(owner=alice).id, an_endpoint(owner=bob).id
    all_orders = an_endpoint().id
    product = a_product(stock=10)
    assert settled(sql, product, alice) == [hers, all_orders]
    assert settled(sql, product, bob) == [his, all_orders]
    assert settled(sql, product) == [all_orders]
    messages = sql("SELECT subject_id FROM outbox WHERE task = 'webhooks.deliver' ORDER BY subject_id")
    assert [row.subject_id for row in messages] == [row.id for row in sql("SELECT id FROM webhook_deliveries ORDER BY id")]


def test_an_endpoint_hears_of_the_types_it_asked_for(sql: Sql, a_product: Factory, an_endpoint: Made) -> None:
    """Failed orders to one, confirmed ones to the other."""
    failed, confirmed = (an_endpoint(event_types=[f"order.{kind}"]).id for kind in ("failed", "confirmed"))
    product = a_product(stock=3)
    assert settled(sql, product) == [confirmed]
    assert settled(sql, product, quantity=9) == [failed]


def test_a_disabled_or_deleted_endpoint_hears_of_nothing_new(sql: Sql, a_product: Factory, an_endpoint: Made) -> None:
    """Until it is enabled again, and then only of what happens from then on."""
    one, other = an_endpoint().id, an_endpoint().id
    registering.disable_endpoint(one, None, "Alice", "asked to")
    registering.delete_endpoint(other, None, "Alice")
    product = a_product(stock=10)
    assert settled(sql, product) == []
    registering.enable_endpoint(one, None, "Alice")
    assert settled(sql, product) == [one]
    with pytest.raises(NotFoundError):
        registering.enable_endpoint(other, None, "Alice")
    actions = sql("SELECT action, actor, reason FROM audit_log WHERE subject_id = :id ORDER BY id", id=one)
    assert [tuple(row) for row in actions] == [
        ("create", "Alice", None),
        ("disable", "Alice", "asked to"),
        ("enable", "Alice", None),
    ]


def test_what_was_on_its_way_to_a_disabled_endpoint_ends_as_disabled(
    sql: Sql, a_product: Factory, an_endpoint: Made, receivers: Receivers, receiver: RecordingReceiver
) -> None:
    """No attempt is made, and the order does not claim that its webhook was sent."""
    endpoint = an_endpoint().id
    settled(sql, a_product(stock=3))
    registering.disable_endpoint(endpoint, None, "Alice")
    deliver([row.id for row in sql("SELECT id FROM webhook_deliveries")], receivers)
    assert receiver.requests == []
    (row,) = sql("SELECT d.state, d.attempt, o.webhook_sent FROM webhook_deliveries d JOIN orders o ON o.id = d.order_id")
    assert tuple(row) == ("disabled", 0, False)


def test_an_endpoint_signs_with_its_own_secret(
    sql: Sql, a_product: Factory, an_endpoint: Made, receivers: Receivers, receiver: RecordingReceiver
) -> None:
    """The same event goes to two endpoints under one webhook-id, to each at its own path with its own signature."""
    first, second = an_endpoint("/first"), an_endpoint("/second")
    settled(sql, a_product(stock=3))
    assert deliver([row.id for row in sql("SELECT id FROM webhook_deliveries")], receivers) == 2
    by_path = {request.path: request for request in receiver.requests}
    assert by_path["/first"].headers["webhook-id"] == by_path["/second"].headers["webhook-id"]
    for endpoint, path in ((first, "/first"), (second, "/second")):
        Webhook(endpoint.secret).verify(by_path[path].body, dict(by_path[path].headers.items()))
    with pytest.raises(WebhookVerificationError):
        Webhook(first.secret).verify(by_path["/second"].body, dict(by_path["/second"].headers.items()))


def test_for_a_day_after_a_rotation_both_secrets_sign(
    sql: Sql, a_product: Factory, an_endpoint: Made, receivers: Receivers, receiver: RecordingReceiver
) -> None:
    """A receiver that knows either believes the webhook; afterwards only the new one counts."""
    old = an_endpoint()
    new = registering.rotate_secret(old.id, None, "Alice")
    assert new.secret != old.secret
    product = a_product(stock=9)

    def sent() -> dict[str, bool]:
        settled(sql, product)
        deliver([row.id for row in sql("SELECT id FROM webhook_deliveries WHERE state = 'pending'")], receivers)
        request = receiver.requests[-1]
        return {"old": believed(old.secret, request), "new": believed(new.secret, request)}

    assert sent() == {"old": True, "new": True}
    assert len(receiver.requests[-1].headers["webhook-signature"].split(" ")) == 2
    (left,) = sql("SELECT previous_until - clock_timestamp() AS left FROM webhook_endpoints WHERE id = :id", id=old.id)
    assert 23.9 * 3600 < left.left.total_seconds() <= 24 * 3600
    sql("UPDATE webhook_endpoints SET previous_until = clock_timestamp() WHERE id = :id", id=old.id)
    assert sent() == {"old": False, "new": True}


def believed(secret: str, request: Any) -> bool:
    """Tell whether a receiver with this secret believes the request."""
    try:
        Webhook(secret).verify(request.body, dict(request.headers.items()))
    except WebhookVerificationError:
        return False
    return True


def test_a_ping_goes_the_way_of_an_event(
    sql: Sql, an_endpoint: Made, receivers: Receivers, receiver: RecordingReceiver
) -> None:
    """Signed, logged and tried again like everything else; about no order."""
    endpoint = an_endpoint()
    delivery_id = registering.send_test(endpoint.id, None, "Alice")
    receiver.behave = answering(200, b"pong")
    assert deliver([delivery_id], receivers) == 1
    (request,) = receiver.requests
    body = Webhook(endpoint.secret).verify(request.body, dict(request.headers.items()))
    assert (body["type"], body["data"], body["id"]) == ("endpoint.ping", {}, request.headers["webhook-id"])
    assert [row.answer for row in sql("SELECT answer FROM webhook_attempts")] == ["pong"]


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize(
    ("draft", "pointer"),
    [
        (Draft(""), "/url"),
        (Draft("ftp://shop.example/"), "/url"),
        (Draft("http://shop.example/"), "/url"),
        (Draft("https://user:secret@shop.example/"), "/url"),
        (Draft("https://127.0.0.1/"), "/url"),
        (Draft("https://2130706433/"), "/url"),
        (Draft("https://0177.0.0.1/"), "/url"),
        (Draft("https://[::1]/"), "/url"),
        (Draft("https://[::ffff:10.0.0.1]/"), "/url"),
        (Draft("https://[64:ff9b::7f00:1]/"), "/url"),
        (Draft("https://shop.example/" + "x" * 2000), "/url"),
        (Draft("https://shop.example/\x00"), "/url"),
        (Draft(URL, ["order.placed"]), "/event_types"),
        (Draft(URL, ["order.failed", "order.failed"]), "/event_types"),
        (Draft(URL, None, "x" * 201), "/description"),
        (Draft(URL, None, "a\nb"), "/description"),
    ],
)
def test_what_could_never_be_sent_to_is_refused_at_once(draft: Draft, pointer: str, sql: Sql) -> None:
    """With a pointer to the fault; nothing is stored."""
    with pytest.raises(InvalidInputError) as refused:
        registering.create_endpoint(draft, None, NOWHERE, "Alice")
    assert [where for where, _ in refused.value.faults] == [pointer]
    assert sql("SELECT 1 FROM webhook_endpoints WHERE id <> 1") == []


def test_another_clients_endpoint_is_as_if_it_did_not_exist(sql: Sql, an_endpoint: Made) -> None:
    """Not a word that tells it apart from one that was never there."""
    alice, bob = a_client(sql, "Alice"), a_client(sql, "Bob")
    endpoint = an_endpoint(owner=alice).id
    acts: list[Callable[[int], Any]] = [
        lambda owner: registering.edit_endpoint(endpoint, Draft(description="x"), owner, NOWHERE, "Bob"),
        lambda owner: registering.rotate_secret(endpoint, owner, "Bob"),
        lambda owner: registering.disable_endpoint(endpoint, owner, "Bob"),
        lambda owner: registering.send_test(endpoint, owner, "Bob"),
        lambda owner: registering.delete_endpoint(endpoint, owner, "Bob"),
    ]
    for act in acts:
        with pytest.raises(NotFoundError):
            act(bob)


@pytest.mark.usefixtures("app")
def test_the_built_in_endpoint_is_changed_by_its_settings_only() -> None:
    """It can be disabled, enabled and tried out, nothing else."""
    for act in (
        lambda: registering.edit_endpoint(1, Draft(URL), None, NOWHERE, "Alice"),
        lambda: registering.rotate_secret(1, None, "Alice"),
        lambda: registering.delete_endpoint(1, None, "Alice"),
    ):
        with pytest.raises(ConflictError, match="WEBHOOK_URL"):
            act()
    registering.disable_endpoint(1, None, "Alice")
    registering.enable_endpoint(1, None, "Alice")


def test_an_owner_has_twenty_endpoints_at_most(an_endpoint: Made) -> None:
    """Each costs every order a delivery."""
    for _ in range(registering.MOST_ENDPOINTS):
        an_endpoint()
    with pytest.raises(ConflictError, match="delete one first"):
        an_endpoint()


def test_an_edit_moves_what_is_on_its_way(
    sql: Sql, a_product: Factory, an_endpoint: Made, receivers: Receivers, receiver: RecordingReceiver
) -> None:
    """A receiver that moved house gets the rest there."""
    endpoint = an_endpoint("/old").id
    settled(sql, a_product(stock=3))
    moved = Draft(f"http://{receiver.address}/new")
    registering.edit_endpoint(endpoint, moved, None, receivers.allowed_hosts, "Alice")
    deliver([row.id for row in sql("SELECT id FROM webhook_deliveries")], receivers)
    assert [request.path for request in receiver.requests] == ["/new"]
