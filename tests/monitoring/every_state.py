"""A database that holds orders and deliveries in every state that the acts can bring them to."""

from collections.abc import Callable
from datetime import UTC, datetime

from orderapp.database import writing
from orderapp.orders.cancelling import cancel_order
from orderapp.orders.processing import process_orders
from orderapp.orders.retrying import retry_order
from orderapp.products.editing import archive_product, restock_product
from orderapp.webhooks import claims, outcomes
from orderapp.webhooks.endpoint import Answer, Endpoint, Receivers
from orderapp.webhooks.outcomes import Result
from tests.orders.examples import TASK, a_task, died, placed
from tests.sql import one, sql

# Nothing is sent there: the answers are made up.
RECEIVERS = Receivers(Endpoint("https://receiver.example/", "whsec_nobody"))

# What the service is told of an endpoint; nothing is ever sent there.
ENDPOINT = {
    "WEBHOOK_URL": "http://127.0.0.1:9/",
    "WEBHOOK_SECRET": "whsec_ZGV2ZWxvcG1lbnQtb25seS13ZWJob29rLXNlY3JldCE=",
    "WEBHOOK_ALLOWED_HOSTS": "127.0.0.1:9",
}

Make = Callable[..., int]


def every_state(a_product: Make) -> dict[str, int]:
    """Return an order id for each state and each way into it; ``product`` and ``rare`` are product ids."""
    lamp, rare = a_product(stock=1000), a_product(stock=1, name="Rare")
    ids = {"product": lamp, "rare": rare}
    settled = ("told", "refused", "confirmed", "cancelled", "told and cancelled", "resent")
    ids |= {name: placed((lamp, 2), (rare, 1)) if name == "told" else placed((lamp, 3)) for name in settled}
    ids |= {name: placed((lamp, 1), (rare, 5)) for name in ("failed", "reopened", "second time lucky")}
    process_orders([ids[name] for name in (*settled, "failed", "reopened", "second time lucky")], TASK)
    _answer(ids["told"], 200)
    _answer(ids["told and cancelled"], 200)
    _answer(ids["refused"], 500)
    _answer(ids["resent"], 500)
    _answer(ids["resent"], 200)
    cancel_order(ids["cancelled"], "Alice")
    cancel_order(ids["told and cancelled"], "Alice")
    restock_product(rare, 20, "found in the cellar", "Alice")
    retry_order(ids["reopened"], "Alice")
    retry_order(ids["second time lucky"], "Alice")
    process_orders([ids["second time lucky"]], a_task())
    ids["cancelled while pending"] = placed((lamp, 1))
    cancel_order(ids["cancelled while pending"], "Alice")
    ids["died"] = placed((lamp, 1))
    died(ids["died"])
    archive_product(rare, "Alice")
    ids["pending"] = placed((lamp, 1))
    return ids


def answer_webhooks(status: int) -> None:
    """Let the receiver answer whatever is due with this status."""
    _send([row.id for row in sql("SELECT id FROM webhook_deliveries WHERE state = 'pending' ORDER BY id LIMIT 10")], status)


def _answer(order_id: int, status: int) -> None:
    delivery_id = one("SELECT id FROM webhook_deliveries WHERE order_id = %(id)s", id=order_id)
    sql("UPDATE webhook_deliveries SET due_at = now() WHERE id = %(id)s", id=delivery_id)
    assert _send([delivery_id], status) == 1


def _send(delivery_ids: list[int], status: int) -> int:
    error = None if status == 200 else f"HTTP {status}"
    answer = Answer(datetime.now(UTC), 5, status, error)
    with writing() as session:
        runs = claims.take(session, delivery_ids, RECEIVERS).runs  # none while the breaker is open
    for run in runs:
        with writing() as session:
            outcomes.record(session, run.endpoint_id, [Result(claim, answer) for claim in run.claims])
    return sum(len(run.claims) for run in runs)
