"""What a POST, a settle and a relay window may cost: statements and commits, the same for one order and for a hundred."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from flask.testing import FlaskClient

from orderapp.orders.processing import process_orders
from orderapp.orders.rescuing import rescue_orders
from orderapp.outbox.relaying import Relay
from tests.clients import REQUIRED, a_key, bearer
from tests.orders.examples import TASK, a_task, died, placed
from tests.sql import one, sql
from tests.wire import Wire, listening

AProduct = Callable[..., int]

# Claim: lock, update. Settle: lock the orders, read their lines, lock their products; then movements, stock, statuses,
# events and deliveries.
CLAIM, SETTLE = 2, 8

WITH_WEBHOOK = {
    "WEBHOOK_URL": "https://example.com/hook",
    "WEBHOOK_SECRET": "whsec_dGVzdC1zZWNyZXQtdGVzdC1zZWNyZXQtdGVzdA==",
}


def heard(call: Callable[[], Any]) -> Wire:
    """Return what was said during the call."""
    with listening() as wire:
        call()
    return wire


def kinds(wire: Wire) -> list[str]:
    """Return the first word of each statement."""
    return [said.statement.split()[0] for said in wire.said]


def post(client: FlaskClient, *product_ids: int) -> int:
    """Place an order over HTTP; returns the status."""
    items = [{"product_id": product_id, "quantity": 1} for product_id in product_ids]
    return client.post("/api/orders/", json={"items": items}).status_code


@pytest.mark.parametrize("lines", [1, 100])
def test_a_post_is_one_statement_in_one_transaction(client: FlaskClient, a_product: AProduct, lines: int) -> None:
    """BEGIN, one statement, COMMIT, for one line and for a hundred."""
    products = [a_product() for _ in range(lines)]
    wire = heard(lambda: post(client, *products))
    assert (kinds(wire), wire.ends) == (["WITH"], ["COMMIT"])


@pytest.mark.settings(**REQUIRED)
def test_a_key_costs_one_statement_that_finds_its_row_by_an_index(client: FlaskClient, a_product: AProduct) -> None:
    """Beside the POST's transaction, not in it; the note of its use comes after the answer and once a minute."""
    lamp, headers = a_product(), bearer(a_key())
    wire = heard(lambda: client.post("/api/orders/", json={"items": [{"product_id": lamp, "quantity": 1}]}, headers=headers))
    assert (kinds(wire), wire.ends) == (["SELECT", "WITH"], ["COMMIT"])


def test_a_refused_post_is_one_more_to_name_the_faults(client: FlaskClient, a_product: AProduct) -> None:
    """Asked only after the order was refused."""
    lamp = a_product()
    wire = heard(lambda: post(client, lamp, 4711))
    assert (kinds(wire), wire.ends) == (["WITH", "SELECT"], ["ROLLBACK"])


def test_a_post_that_reads_wrong_costs_the_database_nothing(client: FlaskClient) -> None:
    """What can be refused without it is refused without it."""
    wire = heard(lambda: client.post("/api/orders/", json={"items": []}))
    assert (kinds(wire), wire.ends) == ([], [])


def test_a_get_is_one_statement(client: FlaskClient, a_product: AProduct) -> None:
    """In no transaction, whose beginning and end would be two more round trips."""
    placed((a_product(), 1))
    wire = heard(lambda: client.get("/api/orders/1/"))
    assert (kinds(wire), wire.ends) == (["SELECT"], [])


@pytest.mark.parametrize("size", [1, 100])
def test_a_batch_is_settled_in_two_transactions_of_ten_statements(a_product: AProduct, size: int) -> None:
    """Sets, not loops: a hundred orders, some of which fall short, cost as many statements as one.

    The last one writes a delivery for each endpoint that wants the event: here there is none.
    """
    products = [a_product(stock=size // 2 + 1) for _ in range(3)]
    orders = [placed(*((product, 1) for product in products)) for _ in range(size)]
    wire = heard(lambda: process_orders(orders, TASK))
    assert kinds(wire) == ["SELECT", "UPDATE"] + ["SELECT"] * 3 + ["INSERT", "UPDATE", "UPDATE", "INSERT", "INSERT"]
    assert len(wire.said) == CLAIM + SETTLE
    assert wire.ends == ["COMMIT", "COMMIT"]


@pytest.mark.settings(**WITH_WEBHOOK)
@pytest.mark.parametrize("size", [1, 100])
def test_webhooks_add_one_statement_to_a_batch_and_no_transaction(a_product: AProduct, size: int) -> None:
    """All their messages; all deliveries are written anyway."""
    lamp = a_product(stock=size)
    orders = [placed((lamp, 1)) for _ in range(size)]
    wire = heard(lambda: process_orders(orders, TASK))
    assert (len(wire.said), wire.ends) == (CLAIM + SETTLE + 1, ["COMMIT", "COMMIT"])
    assert one("SELECT count(*) FROM webhook_deliveries") == size


@pytest.mark.parametrize("size", [1, 100])
def test_a_batch_that_is_settled_already_costs_two_short_looks(a_product: AProduct, size: int) -> None:
    """A redelivery, or a rescue that was not needed."""
    lamp = a_product(stock=size)
    orders = [placed((lamp, 1)) for _ in range(size)]
    process_orders(orders, TASK)
    wire = heard(lambda: process_orders(orders, a_task()))
    assert (kinds(wire), wire.ends) == (["SELECT", "SELECT"], ["COMMIT", "ROLLBACK"])


def test_an_interrupted_order_pays_for_itself_only(a_product: AProduct) -> None:
    """It runs alone, after the batch of the others."""
    lamp = a_product()
    old, *new = (placed((lamp, 1)) for _ in range(4))
    died(old)
    wire = heard(lambda: process_orders([old, *new], TASK))
    assert len(wire.said) == 2 * (CLAIM + SETTLE) + 1
    assert wire.ends == ["COMMIT", "COMMIT", "ROLLBACK", "COMMIT", "COMMIT"]


@pytest.mark.parametrize("size", [1, 100])
def test_a_rescue_is_four_statements_in_one_transaction(a_product: AProduct, size: int) -> None:
    """Alone, which, postpone, enqueue."""
    lamp = a_product()
    for _ in range(size):
        placed((lamp, 1))
    sql("UPDATE orders SET rescue_at = now()")
    wire = heard(rescue_orders)
    assert (kinds(wire), wire.ends) == (["SELECT", "SELECT", "UPDATE", "INSERT"], ["COMMIT"])


class WillingPublisher:
    """A broker that takes everything."""

    def open(self) -> None:
        """Be there."""

    def room(self, _queue: str) -> int:
        """Have room."""
        return 1000

    def publish(self, messages: Any, _deadline: float) -> Any:
        """Acknowledge all."""
        return SimpleNamespace(acked=list(messages), nacked=[], returned=[], outage=None)


def message(_task: Any, _args: Any, _headers: Any, row_ids: tuple[int, ...]) -> Any:
    """Return as much of a message as the relay looks at."""
    return SimpleNamespace(id="any", queue="orders", row_ids=row_ids)


@pytest.mark.parametrize("size", [1, 100])
def test_a_relay_window_is_three_statements_and_one_commit(a_product: AProduct, size: int) -> None:
    """Which queues, claim, delete; an empty round only asks."""
    lamp = a_product()
    for _ in range(size):
        placed((lamp, 1))
    relay: Any = Relay(WillingPublisher(), message)  # type: ignore[arg-type]
    wire = heard(relay.relay_once)
    assert (kinds(wire), wire.ends) == (["SELECT", "SELECT", "DELETE"], ["COMMIT"])
    assert one("SELECT count(*) FROM outbox") == 0
    empty = heard(relay.relay_once)
    assert (kinds(empty), empty.ends) == (["SELECT"], [])
