"""Which orders are on a page of the list: newest first, found by an index or among a bounded number of rows.

Every combination of filters is one piece of one index, except a product and the status of a reference: these are looked for
in the rows of that piece, so many at a time. A page may then hold fewer orders than asked for, and still have a next one.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

# Rows that one page looks at: about 40 ms at the most; a product that is in one order of a hundred still fills a page.
SCANNED = 10_000

# A product in no more orders than this is looked up by its orders, and not in a client's whole history.
FEW = 1_000

# In the index's order: without one, every entry of a common product was collected first.
_FEW = text("SELECT order_id FROM order_items WHERE product_id = :product ORDER BY order_id LIMIT :limit")

# What the index of a client's orders answers.
_BY_INDEX = {
    "client_id": "orders.client_id = :client_id",
    "start": "orders.created_at >= :start",
    "stop": "orders.created_at < :stop",
    "after": "(orders.created_at, orders.id) < (CAST(:after_created_at AS timestamptz), :after_id)",
}

_STATUS = {"status": "orders.status = :status"}
_REFERENCE = {"reference": "orders.reference = :reference"}

# Not a join and not EXISTS: either could be turned round, to read every order with a product that is in half of them.
_PRODUCT = {"product": "(SELECT true FROM order_items WHERE order_id = orders.id AND product_id = :product)"}

_NEWEST_FIRST = "ORDER BY orders.created_at DESC, orders.id DESC"

# OFFSET 0: each order by its id, never the other way round.
_THESE = """
unnest(CAST(:these AS bigint[])) AS these(id)
CROSS JOIN LATERAL (SELECT * FROM orders WHERE orders.id = these.id OFFSET 0) AS orders
"""


@dataclass(frozen=True)
class Wanted:
    """What the list is of; ``start`` is included, ``stop`` is not. ``after`` is where the page before ended."""

    client_id: int
    limit: int
    status: str | None = None
    product: int | None = None
    reference: str | None = None
    start: datetime | None = None
    stop: datetime | None = None
    after: tuple[str, int] | None = None


@dataclass(frozen=True)
class Page:
    """The orders of a page, and where the next one begins; None on the last."""

    order_ids: list[int]
    end: tuple[str, int] | None


def find(session: Connection, wanted: Wanted) -> Page:
    """Return the page. One statement, or two when a product is asked for, and one more when the page is not full."""
    these = _few_orders(session, wanted.product) if wanted.product is not None else None
    indexed = _BY_INDEX | (_REFERENCE if wanted.reference is not None else _STATUS)
    looked_for = {name: sql for name, sql in (_STATUS | _REFERENCE | _PRODUCT).items() if name not in indexed}
    if these is not None:
        source, conditions = _THESE, _asked(indexed | looked_for, wanted)
    else:
        conditions = _asked(looked_for, wanted)
        source = f"({_scan(indexed, wanted)} LIMIT {SCANNED if conditions else wanted.limit + 1}) AS orders"
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    statement = text(f"SELECT orders.id, orders.created_at FROM {source} {where} {_NEWEST_FIRST} LIMIT :limit")
    rows = session.execute(statement, _values(wanted) | {"these": these, "limit": wanted.limit + 1}).all()
    page = rows[: wanted.limit]
    end: Any = page[-1] if len(rows) > len(page) else None
    if end is None and these is None and conditions:
        # Nothing more among these; where the next ones begin, if there are any.
        statement = text(f"{_scan(indexed, wanted)} OFFSET {SCANNED - 1} LIMIT 1")
        end = session.execute(statement, _values(wanted)).one_or_none()
    return Page([row.id for row in page], (end.created_at.isoformat(), end.id) if end else None)


def _few_orders(session: Connection, product: int) -> list[int] | None:
    found = list(session.scalars(_FEW, {"product": product, "limit": FEW + 1}))
    return found if len(found) <= FEW else None


def _scan(indexed: dict[str, str], wanted: Wanted) -> str:
    return f"SELECT id, created_at, status FROM orders WHERE {' AND '.join(_asked(indexed, wanted))} {_NEWEST_FIRST}"


def _asked(conditions: dict[str, str], wanted: Wanted) -> list[str]:
    return [sql for name, sql in conditions.items() if getattr(wanted, name) is not None]


def _values(wanted: Wanted) -> dict[str, Any]:
    created_at, order_id = wanted.after or (None, None)
    return {**vars(wanted), "after_created_at": created_at, "after_id": order_id}
