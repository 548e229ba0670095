"""Orders in bulk, settled when a test wants them to be, and what they come to, counted one by one."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from tests.sql import sql

PRODUCTS = 8

ZONES = ("Europe/Berlin", "America/New_York", "UTC")

Items = tuple[tuple[int, int, Decimal], ...]
Summary = dict[tuple[date, str], dict[str, Any]]


@dataclass(frozen=True)
class Sample:
    """One order as it is to be; ``outcome`` is a status, or ``withdrawn``: cancelled while pending."""

    settled_at: datetime
    outcome: str = "confirmed"
    currency: str = "USD"
    items: Items = ((1, 1, Decimal("10.00")),)

    @property
    def total(self) -> Decimal | None:
        """Return what the order comes to, if it was ever sold."""
        sold = self.outcome in {"confirmed", "cancelled"}
        return sum((units * price for _, units, price in self.items), Decimal(0)) if sold else None


def a_shop(stock: int = 1_000_000) -> None:
    """Make the products that samples are of, ids 1 to PRODUCTS."""
    sql(
        "WITH made AS (INSERT INTO products (name, price, stock) SELECT 'Product ' || n, n, %(stock)s"
        " FROM generate_series(1, %(count)s) AS n RETURNING id, stock)"
        " INSERT INTO stock_movements (product_id, delta, kind) SELECT id, stock, 'opening' FROM made",
        count=PRODUCTS,
        stock=stock,
    )


def insert(samples: Sequence[Sample], first_id: int = 1) -> list[int]:
    """Store the orders, each through legal states only; returns their ids."""
    ids = list(range(first_id, first_id + len(samples)))
    settled = [sample.settled_at for sample in samples]
    sql(
        "INSERT INTO orders (id, client_id, currency, created_at, rescue_at)"
        " SELECT id, 1, currency, settled_at - interval '1 second', now()"
        " FROM unnest(%(ids)s::bigint[], %(currencies)s::text[], %(settled)s::timestamptz[]) AS n(id, currency, settled_at)",
        ids=ids,
        currencies=[sample.currency for sample in samples],
        settled=settled,
    )
    sql("SELECT setval(pg_get_serial_sequence('orders', 'id'), %(last)s)", last=ids[-1])
    lines = [(order_id, *item) for order_id, sample in zip(ids, samples, strict=True) for item in sample.items]
    sql(
        "INSERT INTO order_items (order_id, product_id, quantity, unit_price)"
        " SELECT * FROM unnest(%(a)s::bigint[], %(b)s::bigint[], %(c)s::bigint[], %(d)s::numeric[])",
        **{name: [line[at] for line in lines] for at, name in enumerate("abcd")},
    )
    _settle(list(zip(ids, samples, strict=True)))
    return ids


def _settle(orders: list[tuple[int, Sample]]) -> None:
    tried = [order_id for order_id, sample in orders if sample.outcome in {"confirmed", "failed", "cancelled"}]
    sql(
        "UPDATE orders SET status = 'processing', task_id = gen_random_uuid(), lease_until = now() WHERE id = ANY(%(ids)s)",
        ids=tried,
    )
    _move(orders, {"confirmed", "cancelled"}, "confirmed", 2, "order.confirmed")
    _move(orders, {"failed"}, "failed", 2, "order.failed")
    _move(orders, {"cancelled"}, "cancelled", 3, "order.cancelled")
    _move(orders, {"withdrawn"}, "cancelled", 2, "order.cancelled")


def _move(orders: list[tuple[int, Sample]], outcomes: set[str], status: str, sequence: int, event: str) -> None:
    chosen = [(order_id, sample) for order_id, sample in orders if sample.outcome in outcomes]
    sql(
        "WITH moved AS (UPDATE orders SET status = %(status)s, total_amount = total, settled_at = at, lease_until = NULL,"
        " rescue_at = NULL, failure_reason = CASE WHEN %(status)s = 'failed' THEN '{}'::jsonb END,"
        " last_sequence = %(sequence)s"
        " FROM unnest(%(ids)s::bigint[], %(totals)s::numeric[], %(times)s::timestamptz[]) AS n(order_id, total, at)"
        " WHERE id = order_id RETURNING id, at)"
        " INSERT INTO order_events (id, order_id, sequence, type, occurred_at)"
        " SELECT gen_random_uuid(), id, %(sequence)s, %(event)s, at + interval '1 millisecond' FROM moved",
        ids=[order_id for order_id, _ in chosen],
        totals=[sample.total for _, sample in chosen],
        times=[sample.settled_at for _, sample in chosen],
        status=status,
        sequence=sequence,
        event=event,
    )


def some_samples(days: Iterable[date], per_day: int, seed: int = 1) -> list[Sample]:
    """Return orders around these days: some at any time, some at and beside the midnights of every zone."""
    chance = random.Random(seed)
    moments = []
    for day in days:
        morning = datetime(day.year, day.month, day.day, tzinfo=UTC)
        moments += [morning + timedelta(seconds=chance.uniform(0, 86400)) for _ in range(per_day)]
        for zone in ZONES:
            midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)
            moments += [midnight + timedelta(microseconds=beside) for beside in (-1, 0, 1)]
    return [a_sample(chance, moment) for moment in sorted(moments)]


def a_sample(chance: random.Random, settled_at: datetime) -> Sample:
    """Return some order."""
    products = sorted(chance.sample(range(1, PRODUCTS + 1), chance.randint(1, 4)))
    items = tuple((product, chance.randint(1, 9), Decimal(chance.randint(0, 99_999)) / 100) for product in products)
    outcome = chance.choices(["confirmed", "failed", "cancelled", "withdrawn"], [70, 12, 12, 6])[0]
    return Sample(settled_at, outcome, chance.choice(["USD", "USD", "EUR"]), items)


def recomputed(zone: str, days: Iterable[date] | None = None, default: str = "USD") -> Summary:
    """Return what the summaries should be, from the orders as they are now, one order at a time."""
    wanted = None if days is None else set(days)
    orders = sql("SELECT id, currency, status, total_amount, settled_at FROM orders WHERE settled_at IS NOT NULL")
    lines = sql("SELECT order_id, product_id, quantity, unit_price FROM order_items ORDER BY order_id")
    items = {order_id: list(group) for order_id, group in groupby(lines, lambda line: line.order_id)}
    names = {row.id: row.name for row in sql("SELECT id, name FROM products")}
    found: Summary = {}
    for order in orders:
        day = order.settled_at.astimezone(ZoneInfo(zone)).date()
        if (wanted is None or day in wanted) and (order.status != "cancelled" or order.total_amount is not None):
            _count(found.setdefault((day, order.currency), _nothing()), order, items[order.id])
    for day in wanted or ():
        if not any(key[0] == day for key in found):
            found[day, default] = _nothing()
    return {key: _finished(one, names) for key, one in found.items()}


def _nothing() -> dict[str, Any]:
    return {"orders": 0, "failed": 0, "cancelled": 0, "items": 0, "revenue": Decimal(0), "products": {}}


def _count(one: dict[str, Any], order: Any, items: Sequence[Any]) -> None:
    one["orders"] += order.status != "failed"
    one["failed"] += order.status == "failed"
    one["cancelled"] += order.status == "cancelled"
    if order.status == "confirmed":
        one["revenue"] += order.total_amount
        for item in items:
            one["items"] += item.quantity
            units, revenue = one["products"].get(item.product_id, (0, Decimal(0)))
            one["products"][item.product_id] = units + item.quantity, revenue + item.quantity * item.unit_price


def _finished(one: dict[str, Any], names: dict[int, str]) -> dict[str, Any]:
    kept = one["orders"] - one["cancelled"]
    best = sorted(one.pop("products").items(), key=lambda entry: (-entry[1][1], -entry[1][0], entry[0]))[:5]
    top = [{"product_id": key, "name": names[key], "units": units, "revenue": str(money)} for key, (units, money) in best]
    average = (one["revenue"] / kept).quantize(Decimal("0.01"), ROUND_HALF_UP) if kept else Decimal(0)
    return one | {"average": average, "top_products": top}


def stored(days: Iterable[date] | None = None) -> Summary:
    """Return the summaries that are there."""
    wanted = None if days is None else set(days)
    rows = sql("SELECT * FROM daily_sales")
    left_out = {"day", "currency", "summarised_at"}
    return {
        (row.day, row.currency): {name: value for name, value in row._asdict().items() if name not in left_out}
        for row in rows
        if wanted is None or row.day in wanted
    }


def days_from(first: date, count: int) -> list[date]:
    """Return so many days, beginning with this one."""
    return [first + timedelta(days=number) for number in range(count)]


def recent_days(count: int, zone: str = "UTC") -> list[date]:
    """Return the last days that are over."""
    return days_from(datetime.now(ZoneInfo(zone)).date() - timedelta(days=count), count)


def noon(day: date) -> datetime:
    """Return a moment that is in this day in every zone of ZONES."""
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
