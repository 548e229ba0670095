"""The soak itself: mixed load, a schedule of faults, then rest and the account."""

import time
from collections import Counter
from dataclasses import asdict

import click

from orderapp import create_app
from tests.soak.account import Account, account, oddities
from tests.soak.faults import inflict
from tests.soak.load import PLENTY, SHORT, Load
from tests.soak.operators import Operators
from tests.soak.schedule import Fault, schedule
from tests.soak.shop import LOOK, MANY_ROLES, Shop, a_shop

# Seconds until everything is final after the last fault: a lease, a rescue that had doubled three times, and the backlog.
REST = 360

# Seconds between two lines of progress.
TELL = 10

# Seconds of rest after which a webhook that waits for its next attempt is given it.
RIPE = 20


# A receiver that could not be reached twice is left alone for minutes: the past moves instead of the clock.
_NEXT_ATTEMPTS = """
WITH endpoints AS (UPDATE webhook_endpoints SET open_until = NULL WHERE open_until IS NOT NULL),
    deliveries AS (UPDATE webhook_deliveries SET due_at = now(), rescue_at = now() WHERE state = 'pending' AND due_at > now())
UPDATE outbox SET available_at = now() WHERE available_at > now() RETURNING id
"""


def soak(seconds: float, seed: int, rate: float, every: float) -> Account:
    """Run one soak; returns its account. The schedule, printed at the start, is a function of the arguments."""
    faults = schedule(seconds, every, seed)
    kinds = Counter(fault.kind for fault in faults)
    killed = sum(count for kind, count in kinds.items() if kind.startswith("kill"))
    click.echo(f"soak of {seconds:g} s, seed {seed}: {len(faults)} faults, {killed} of them kills; {rate:g} orders/s")
    with a_shop() as shop:
        shop.wire(*MANY_ROLES)
        shop.open(*MANY_ROLES)
        products = [shop.world.product(stock) for stock in (*[PLENTY] * 9, SHORT, SHORT)]
        load = Load(shop.url, products, rate, seed)
        operators = Operators(create_app(), products, seed)
        with load, operators:
            _go_through(shop, load, faults, seconds)
        shop.network.heal()
        rest(shop)
        found = account(shop, load.answers, operators)
        done = f"{len(operators.cancelled)} cancels, {operators.reopened.total()} retries, {operators.edited} prices"
        click.echo(f"operators: {done}, {operators.restocked} units restocked; {shop.restarts} processes started again")
        click.echo(f"answers: {dict(load.answers.statuses)}; webhooks refused on purpose: {shop.recorder.refused}")
        show(found, shop)
    return found


def _go_through(shop: Shop, load: Load, faults: list[Fault], seconds: float) -> None:
    began = told = time.monotonic()
    waiting = list(reversed(faults))
    while (now := time.monotonic()) - began < seconds or waiting:
        if waiting and now - began >= waiting[-1].at:
            fault = waiting.pop()
            click.echo(f"{now - began:6.1f} s  {fault.kind}: {inflict(shop, fault)}")
        shop.tend()
        if now - told > TELL:
            told = now
            click.echo(f"{now - began:6.1f} s  {load.answers.attempted} attempted, {len(load.answers.accepted)} accepted")
        time.sleep(LOOK)


def rest(shop: Shop, seconds: float = REST) -> float:
    """Wait until everything is final, tending the processes; returns the seconds that it took, or ``seconds`` if it did not."""
    began = told = time.monotonic()
    while left := shop.unrest():
        now = time.monotonic()
        if now - began > seconds:
            click.echo(f"not final after {seconds:g} s: {left}")
            return seconds
        if now - told > TELL:
            told = now
            if now - began > RIPE and "orders" not in left:
                shop.rows(_NEXT_ATTEMPTS)
            click.echo(f"waiting for {', '.join(f'{count} {kind}' for kind, count in left.items())}")
        shop.tend()
        time.sleep(LOOK)
    took = time.monotonic() - began
    click.echo(f"everything is final after {took:.1f} s")
    return took


def show(found: Account, shop: Shop) -> None:
    """Print the account and the verdict."""
    for name, value in asdict(found).items():
        if name != "faults":
            click.echo(f"  {name.replace('_', ' '):22} {value}")
    for sign, count in oddities(shop).most_common():
        click.echo(f"  printed {count} times: {sign}")
    for fault in found.faults:
        click.echo(f"  WRONG: {fault}")
    shop.keep = not found.clean
    click.echo("verdict: clean" if found.clean else f"verdict: NOT clean; output of the processes: {shop.folder / 'output'}")
