"""What a receiver that hangs, or one that is back after a long absence, costs the others and new orders."""

import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import click

from tests.servers.waiting import free_port, wait_until
from tests.soak.load import PLENTY, Load
from tests.soak.planting import DUE_WEBHOOKS
from tests.soak.shop import Shop, a_shop

# The most that a 95th percentile may be of what it is alone. Threads that wait cost nothing; a backlog that is sent keeps
# every core busy, so that what takes 20 ms takes longer, but nothing may stand in line behind it.
MOST, MOST_WHEN_BUSY = 1.2, 2

# Seconds in which the last orders of a phase settle and their webhooks arrive.
ARRIVED = 60

# Connections that wait to be accepted; nobody ever does, which to the sender is a receiver that hangs.
UNANSWERED = 128

# The endpoint of WEBHOOK_URL, whose receiver is well.
HEALTHY = 1

_ENDPOINT = "INSERT INTO webhook_endpoints (url, secret, event_types, description) VALUES (%s, %s, %s, '') RETURNING id"

_TYPES = ["order.confirmed", "order.failed", "order.cancelled"]

# As if it had never been called; an inactive one hears of nothing.
_FRESH = """
UPDATE webhook_endpoints SET active = %s, disabled_reason = CASE WHEN NOT %s THEN 'operator' END,
    failures = 0, failing_since = NULL, open_until = NULL
WHERE id = %s
"""

# Its breaker has been open for long, and the next probe is due.
_PROBED_NOW = """
UPDATE webhook_endpoints SET active = true, disabled_reason = NULL, failures = 15,
    failing_since = clock_timestamp() - interval '3 hours', open_until = clock_timestamp()
WHERE id = %s
"""

# Webhooks written at a time: a statement of seconds, far from its time limit.
AT_ONCE = 20_000

_OPEN = "SELECT count(*) FROM webhook_deliveries WHERE endpoint_id = %s AND order_id > %s AND finished_at IS NULL"

_HANG = "SELECT count(DISTINCT run) FROM webhook_deliveries WHERE endpoint_id = %s AND lease_until > clock_timestamp()"

_TIMES = """
SELECT
    (SELECT array_agg(extract(epoch FROM settled_at - created_at)) FROM orders WHERE id > %s),
    (SELECT array_agg(extract(epoch FROM finished_at - created_at)) FROM webhook_deliveries
        WHERE endpoint_id = %s AND order_id > %s)
"""


@dataclass(frozen=True)
class Phase:
    """Milliseconds: from an order's POST until it is settled, from then until its webhook is received."""

    settled: list[float]
    received: list[float]

    def __str__(self) -> str:
        """Word the medians and 95th percentiles."""
        words = [f"{len(self.settled)} orders"]
        for name, values in (("settled", self.settled), ("received", self.received)):
            words.append(f"{name} p50 {p(values, 0.5):.0f} ms, p95 {p(values, 0.95):.0f} ms")
        return "; ".join(words)


def p(values: list[float], share: float) -> float:
    """Return the value that this share of them does not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def hanging(seconds: float, rounds: int, rate: float) -> bool:
    """Compare phases with and without an endpoint that never answers; returns whether the healthy one and orders bear it."""
    with _open_shop() as (shop, products), socket.create_server(("127.0.0.1", 0), backlog=UNANSWERED) as mute:
        endpoint = _endpoint(shop, f"127.0.0.1:{mute.getsockname()[1]}")
        pairs: list[tuple[Phase, Phase]] = []
        for number in range(rounds):
            _refresh(shop, endpoint, active=False)
            alone = _phase(shop, products, seconds, rate, 2 * number)
            _refresh(shop, endpoint, active=True)
            beside = _phase(shop, products, seconds, rate, 2 * number + 1)
            ((calls,),) = shop.rows(_HANG, endpoint)
            click.echo(f"alone: {alone}\nbeside {calls} calls that hang: {beside}")
            pairs.append((alone, beside))
        received, settled = _compared(pairs)
        return received <= MOST and settled <= MOST


def returned(seconds: float, rounds: int, rate: float, count: int) -> bool:
    """Compare orders before and while a receiver gets so many webhooks that it missed; returns whether they do not wait."""
    with _open_shop() as (shop, products):
        host = f"127.0.0.1:{free_port()}"
        shop.world.processes.start("receiver", sys.executable, "-m", "bench.limits.receiving", host)
        endpoint = _endpoint(shop, host)
        _refresh(shop, endpoint, active=False)
        alone = [_phase(shop, products, seconds, rate, number) for number in range(rounds)]
        for done in range(0, count, AT_ONCE):
            shop.rows(DUE_WEBHOOKS, endpoint, min(AT_ONCE, count - done), *products[:2], True)
        shop.rows(_PROBED_NOW, endpoint)
        wait_until(lambda: _left(shop, endpoint) < count, ARRIVED, "the first of them")
        began, had = time.monotonic(), _left(shop, endpoint)
        beside = [_phase(shop, products, seconds, rate, rounds + number) for number in range(rounds)]
        done, took = had - _left(shop, endpoint), time.monotonic() - began
        pairs = list(zip(alone, beside, strict=True))
        for before, while_sent in pairs:
            click.echo(f"before: {before}\nwhile {count} are sent: {while_sent}")
        click.echo(f"sent meanwhile: {done} of {count} in {took:.0f} s, {done / took:.0f} a second")
        _received, settled = _compared(pairs)
        return settled <= MOST_WHEN_BUSY


def _refresh(shop: Shop, endpoint: int, *, active: bool) -> None:
    shop.rows(_FRESH, active, active, endpoint)


def _left(shop: Shop, endpoint: int) -> int:
    return int(shop.rows(_OPEN, endpoint, 0)[0][0])


@contextmanager
def _open_shop() -> Iterator[tuple[Shop, list[int]]]:
    with a_shop() as shop:
        shop.environment["WEBHOOK_ALLOWED_HOSTS"] = "127.0.0.1"
        shop.open()
        products = [shop.world.product(PLENTY) for _ in range(11)]
        _phase(shop, products, 2, 5, seed=1000)  # the first orders find cold processes
        yield shop, products


def _endpoint(shop: Shop, host: str) -> int:
    return int(shop.rows(_ENDPOINT, f"http://{host}/hook", shop.world.receiver.secret, _TYPES)[0][0])


def _phase(shop: Shop, products: list[int], seconds: float, rate: float, seed: int) -> Phase:
    """Let clients order for so long; return how long their orders and webhooks took."""
    ((before,),) = shop.rows("SELECT coalesce(max(id), 0) FROM orders")
    with Load(shop.url, products, rate, seed) as load:
        shop.tend_for(seconds)
    placed = len(load.answers.accepted)
    settled = "SELECT count(*) FROM orders WHERE id > %s AND settled_at IS NULL"
    wait_until(lambda: shop.rows(settled, before)[0][0] == 0, ARRIVED, f"{placed} orders")
    wait_until(lambda: shop.rows(_OPEN, HEALTHY, before)[0][0] == 0, ARRIVED, "their webhooks")
    ((orders, webhooks),) = shop.rows(_TIMES, before, HEALTHY, before)
    return Phase([1000 * float(one) for one in orders], [1000 * float(one) for one in webhooks])


def _compared(pairs: list[tuple[Phase, Phase]]) -> tuple[float, float]:
    """Return 95th percentiles of all phases beside over all alone: the slowest twentieth of one phase is a dozen orders."""
    alone, beside = (_together(column) for column in zip(*pairs, strict=True))
    received, settled = p(beside.received, 0.95) / p(alone.received, 0.95), p(beside.settled, 0.95) / p(alone.settled, 0.95)
    click.echo(f"together, alone: {alone}\ntogether, beside: {beside}")
    click.echo(f"p95 beside / alone: received {received:.2f}, settled {settled:.2f}")
    return received, settled


def _together(phases: tuple[Phase, ...]) -> Phase:
    return Phase([one for phase in phases for one in phase.settled], [one for phase in phases for one in phase.received])
