"""Act: an order is stored, with its lines, its first event and the message that wakes a worker. All or nothing."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import Connection, text
from uuid_utils.compat import uuid7

from orderapp.database import reading, writing
from orderapp.errors import InvalidInputError, KeyReusedError, StillRunningError
from orderapp.orders import events, idempotency
from orderapp.orders.events import OrderEvent
from orderapp.orders.idempotency import Answer, Key, KeyTakenError
from orderapp.orders.lines import Line, merge
from orderapp.orders.queries import OrderView, view_of
from orderapp.orders.states import RESCUE_AFTER
from orderapp.outbox import messages
from orderapp.products.queries import known_products
from orderapp.queues import ORDERS_PROCESS

# One statement: a round trip saved is the largest saving a POST has. The order exists only if every product asked for
# was found; a plain join would silently drop an unknown one. Each product is looked up by itself (LIMIT 1 holds the planner to
# it): joined, all products of a small shop were read. Lines go in by product id, so that the foreign-key locks of two orders
# are taken in one order.
_SQL = f"""
WITH asked AS (
    SELECT product_id, quantity
    FROM unnest(CAST(:product_ids AS bigint[]), CAST(:quantities AS bigint[])) AS a(product_id, quantity)
), found AS MATERIALIZED (
    SELECT asked.product_id, asked.quantity, product.name, product.price
    FROM asked CROSS JOIN LATERAL (
        SELECT name, price FROM products WHERE products.id = asked.product_id AND archived_at IS NULL LIMIT 1
    ) AS product
), placed AS (
    INSERT INTO orders (client_id, reference, currency, rescue_at)
    SELECT CAST(:client_id AS bigint), :reference, :currency, clock_timestamp() + make_interval(secs => :rescue_after)
    WHERE (SELECT count(*) FROM found) = cardinality(CAST(:product_ids AS bigint[]))
        AND {{condition}}
    RETURNING id, created_at
), lines AS (
    INSERT INTO order_items (order_id, product_id, quantity, unit_price)
    SELECT placed.id, found.product_id, found.quantity, found.price FROM placed, found ORDER BY found.product_id
    RETURNING id, product_id
), event AS (
    INSERT INTO order_events (id, order_id, sequence, type)
    SELECT CAST(:event_id AS uuid), placed.id, 1, 'order.placed' FROM placed
), message AS (
    {messages.INSERT} FROM (SELECT id AS subject_id, CAST('[]' AS jsonb) AS args FROM placed) AS s
)
SELECT placed.id, 'pending' AS status, CAST(NULL AS numeric) AS total_amount, CAST(:currency AS text) AS currency,
    CAST(:reference AS text) AS reference, false AS webhook_sent, NULL AS failure_reason, placed.created_at,
    lines.id AS item_id, found.name AS product, lines.product_id, found.quantity, found.price AS unit_price
FROM placed, lines JOIN found USING (product_id) ORDER BY lines.id
"""

_PLACE = text(_SQL.format(condition="true")).execution_options(prepared="place_order")

# A repetition that comes after the first one ended, as most do, writes nothing.
_PLACE_ONCE = text(
    _SQL.format(condition="NOT EXISTS (SELECT FROM idempotency_keys WHERE client_id = :client_id AND key = :key)")
).execution_options(prepared="place_order_once")


@dataclass(frozen=True)
class _Wanted:
    """One order as it is asked for."""

    client_id: int
    lines: Sequence[Line]
    currency: str
    reference: str | None


def place_order(client_id: int, lines: Sequence[Line], *, currency: str, reference: str | None = None) -> OrderView:
    """Store a pending order at today's prices; returns it as GET shows it.

    Two lines of one product become one. Raises InvalidInputError with a pointer per fault; then nothing was stored.
    """
    with writing() as session:
        return _place(session, _Wanted(client_id, lines, currency, reference))


def place_order_once(
    key: Key,
    lines: Sequence[Line],
    *,
    currency: str,
    reference: str | None = None,
    render: Callable[[OrderView], bytes],
) -> Answer:
    """Store a pending order, and with it the answer that ``render`` makes; or return the answer stored under this key.

    Of several at the same time one stores its order, the others wait for it. Raises InvalidInputError, also when the key
    was sent with another order; StillRunningError when the first one takes too long. Nothing was stored then.
    """
    with suppress(KeyTakenError):
        with writing() as session:
            view = _place(session, _Wanted(key.client_id, lines, currency, reference), key)
            answer = Answer(view.id, render(view))
            idempotency.keep(session, key, answer)
        return answer
    return _stored(key)


def _place(session: Connection, wanted: _Wanted, key: Key | None = None) -> OrderView:
    merged, event_id = merge(wanted.lines), uuid7()
    values = {
        "client_id": wanted.client_id,
        "reference": wanted.reference,
        "currency": wanted.currency,
        "product_ids": sorted(merged),
        "quantities": [merged[product_id] for product_id in sorted(merged)],
        "rescue_after": RESCUE_AFTER,
        "event_id": str(event_id),
    }
    values |= messages.parameters(ORDERS_PROCESS) | ({"key": key.key} if key else {})
    rows = session.execute(_PLACE_ONCE if key else _PLACE, values).all()
    if not rows:
        if key and idempotency.find(session, key):
            raise KeyTakenError
        raise InvalidInputError(_unknown_products(session, wanted.lines))
    events.tell(session, [OrderEvent(event_id, rows[0].id, 1, events.PLACED, {})])
    return view_of(rows)


def _stored(key: Key) -> Answer:
    with reading() as session:
        found = idempotency.find(session, key)
    if found is None:
        raise StillRunningError("A request with this Idempotency-Key is still running; send it again in a moment.")
    fingerprint, answer = found
    if fingerprint != key.fingerprint:
        raise KeyReusedError([("/headers/Idempotency-Key", "This key was sent with another order; take a new one.")])
    return answer


def _unknown_products(session: Connection, lines: Sequence[Line]) -> list[tuple[str, str]]:
    """Return a fault per line whose product cannot be ordered; asked only after the order was refused."""
    known = known_products(session, [line.product_id for line in lines])
    faults = [
        (f"/items/{index}/product_id", "There is no such product, or it is archived.")
        for index, line in enumerate(lines)
        if line.product_id not in known
    ]
    # Restored between the two statements: rare enough to ask the client to try again.
    return faults or [("/items", "A product became available just now; send the order again.")]
