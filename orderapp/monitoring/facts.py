"""One row of facts per order, gathered from six tables in one statement, and the invariants that a row breaks."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import Connection, text

from orderapp.monitoring.invariants import ORDERS

# Orders per statement: 0.3 s and a few MB of work_mem each, so that progress shows and no statement meets its limit.
CHUNK = 10_000

_FACTS = """
WITH moved AS (
    SELECT order_id, product_id, count(*) FILTER (WHERE kind = 'sale') AS sales,
        count(*) FILTER (WHERE kind = 'return') AS returns,
        coalesce(sum(delta) FILTER (WHERE kind = 'sale'), 0) AS sold, sum(delta) AS net
    FROM stock_movements WHERE order_id {scope} GROUP BY order_id, product_id
), l AS (
    SELECT coalesce(i.order_id, m.order_id) AS order_id, count(i.order_id) AS lines, sum(i.quantity * i.unit_price) AS worth,
        bool_and(m.sales IS NOT DISTINCT FROM 1 AND m.sold IS NOT DISTINCT FROM -i.quantity) AS sold_once,
        bool_and(m.order_id IS NULL OR (m.sales = 1 AND m.returns = 1 AND m.net = 0)) AS returned_once,
        bool_or(m.order_id IS NOT NULL) AS moved,
        bool_or(coalesce(m.returns, 0) > 0) AS returned,
        bool_or(i.order_id IS NULL) AS stray
    FROM (SELECT order_id, product_id, quantity, unit_price FROM order_items WHERE order_id {scope}) AS i
    FULL JOIN moved AS m ON m.order_id = i.order_id AND m.product_id = i.product_id
    GROUP BY 1
), proofs AS (
    SELECT d.id, d.order_id, d.event_id, d.endpoint_id, d.resend_of, d.log_pruned, d.state, count(a.id) AS answers
    FROM webhook_deliveries AS d
    LEFT JOIN webhook_attempts AS a ON a.delivery_id = d.id AND a.status_code BETWEEN 200 AND 299
    WHERE d.order_id {scope} GROUP BY d.id
), sent AS (
    SELECT order_id, event_id, bool_and(state = 'succeeded') FILTER (WHERE resend_of IS NULL) AS received,
        bool_or(endpoint_id = 1) AS built_in,
        bool_or(NOT log_pruned AND answers <> CASE WHEN state = 'succeeded' THEN 1 ELSE 0 END) AS unproven
    FROM proofs GROUP BY order_id, event_id
), told AS (
    SELECT id, order_id, sequence, split_part(type, '.', 2) AS what, data ->> 'total_amount' AS total, occurred_at,
        type IN ('order.confirmed', 'order.failed', 'order.cancelled') AS final
    FROM order_events WHERE order_id {scope}
), h AS (
    SELECT coalesce(e.order_id, s.order_id) AS order_id, count(e.id) AS events,
        min(e.sequence) = 1 AND max(e.sequence) = count(e.id) AND count(DISTINCT e.sequence) = count(e.id) AS gap_free,
        string_agg(e.what, ' ' ORDER BY e.sequence) AS story,
        (array_agg(e.total ORDER BY e.sequence DESC) FILTER (WHERE e.what = 'confirmed'))[1] AS told_total,
        (array_agg(s.received ORDER BY e.sequence DESC NULLS LAST))[1] AS latest_received,
        bool_or(e.final AND e.occurred_at >= :since AND s.built_in IS NOT TRUE) AS untold,
        bool_or(s.event_id IS NOT NULL AND e.final IS NOT TRUE) AS unfounded,
        bool_or(s.unproven) AS unproven
    FROM told AS e FULL JOIN sent AS s ON s.event_id = e.id AND s.order_id = e.order_id
    GROUP BY 1
)
SELECT o.id, array_remove(ARRAY[{names}], NULL) AS names
FROM orders AS o LEFT JOIN l ON l.order_id = o.id LEFT JOIN h ON h.order_id = o.id
WHERE o.id {scope} AND ({any}) ORDER BY o.id
"""

_NAMES = ", ".join(f"CASE WHEN {one.broken} THEN '{one.name}' END" for one in ORDERS)
_ANY = " OR ".join(f"({one.broken})" for one in ORDERS)

_OF_RANGE = text(_FACTS.format(scope="BETWEEN :low AND :high", names=_NAMES, any=_ANY))
_OF_LIST = text(_FACTS.format(scope="= ANY(:ids)", names=_NAMES, any=_ANY))

# A chunk ends at an id, not after a number of ids: these may have gaps of any width.
_NEXT = text("""
SELECT min(id) AS low, max(id) AS high, count(*) AS orders
FROM (SELECT id FROM orders WHERE id > :after ORDER BY id LIMIT :chunk) AS o
""")

_LAST = text("SELECT coalesce(max(id), 0) FROM orders")

Breach = tuple[str, int]


def last_order(session: Connection) -> int:
    """Return the highest order id."""
    return int(session.execute(_LAST).scalar_one())


def chunks(session: Connection) -> Iterator[tuple[int, int, int]]:
    """Yield (lowest id, highest id, orders) of all orders, chunk by chunk."""
    after = 0
    while (row := session.execute(_NEXT, {"after": after, "chunk": CHUNK}).one()).orders:
        yield row.low, row.high, row.orders
        after = row.high


def breaches_in_range(session: Connection, low: int, high: int, webhooks_since: datetime | None) -> Iterator[Breach]:
    """Yield (invariant, order id) for each invariant that an order from ``low`` to ``high`` breaks."""
    yield from _breaches(session, _OF_RANGE, {"low": low, "high": high}, webhooks_since)


def breaches_of(session: Connection, order_ids: Sequence[int], webhooks_since: datetime | None) -> Iterator[Breach]:
    """Yield (invariant, order id) for each invariant that one of these orders breaks."""
    yield from _breaches(session, _OF_LIST, {"ids": list(order_ids)}, webhooks_since)


def _breaches(session: Connection, statement: object, scope: dict[str, object], since: datetime | None) -> Iterator[Breach]:
    # Nothing is due to happen after infinity: without an endpoint no delivery is missing.
    values = {**scope, "since": since.isoformat() if since else "infinity"}
    for row in session.execute(statement, values):  # type: ignore[call-overload]
        yield from ((name, row.id) for name in row.names)
