"""Stock beside the sum of its ledger, for every product: only the ledger since the last clean audit is read again."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, text

# Movements per statement: half a second each, far from the limit of 30 s however long the ledger is.
CHUNK = 500_000

_NEWEST = text("SELECT coalesce(max(id), 0) FROM stock_movements")

# Ids may have gaps of any width.
_FIRST = text("SELECT min(id) FROM stock_movements WHERE id >= :low")

_SUMS = text("""
SELECT product_id, sum(delta)::bigint AS units FROM stock_movements WHERE id BETWEEN :low AND :high GROUP BY product_id
""")

_BALANCES = text("SELECT product_id, units FROM audit_balances")

_STOCK = text("SELECT id, stock FROM products ORDER BY id")


@dataclass(frozen=True)
class Ledger:
    """The products whose stock is wrong, and the balances below the new mark that differ from the stored ones."""

    wrong: tuple[int, ...]
    changed: Mapping[int, int]


def check_ledger(session: Connection, since: int, until: int, *, everything: bool) -> Ledger:
    """Compare stock and ledger; ``since`` and ``until`` are the movement ids of the last clean audit's mark and this one's.

    A product that looks wrong beside the stored balances is judged by its whole ledger: a balance is only a shortcut.
    """
    stored = {row.product_id: row.units for row in session.execute(_BALANCES)}
    wrong, balances = _compared(session, {} if everything else stored, 0 if everything else since, until)
    if wrong and not everything:
        wrong, balances = _compared(session, {}, 0, until)
    changed = {product_id: units for product_id, units in balances.items() if stored.get(product_id) != units}
    # A product without a movement below the mark any more: the ledger was rewritten, and so is its balance.
    changed |= {product_id: 0 for product_id, units in stored.items() if units and product_id not in balances}
    return Ledger(tuple(wrong), changed)


def _compared(session: Connection, start: Mapping[int, int], since: int, until: int) -> tuple[list[int], Counter[int]]:
    newest: int = session.execute(_NEWEST).scalar_one()
    balances = _summed(session, Counter(start), since, until - 1)
    units = _summed(session, Counter(balances), max(since, until), newest)
    wrong = [product_id for product_id, stock in _stock(session) if stock != units[product_id]]
    return wrong, balances


def _summed(session: Connection, sums: Counter[int], first: int, last: int) -> Counter[int]:
    low: int | None = session.scalar(_FIRST, {"low": first})
    while low is not None and low <= last:
        for row in session.execute(_SUMS, {"low": low, "high": min(low + CHUNK - 1, last)}):
            sums[row.product_id] += row.units
        low = session.scalar(_FIRST, {"low": low + CHUNK})
    return sums


def _stock(session: Connection) -> Iterator[tuple[int, int]]:
    yield from ((row.id, row.stock) for row in session.execute(_STOCK))
