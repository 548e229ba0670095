"""Whole servers go away under load: everything is final within a minute of their return."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

from tests.servers.waiting import wait_until
from tests.soak.account import Account, account
from tests.soak.kills import rest, show
from tests.soak.load import PLENTY, SHORT, Answers, Load
from tests.soak.planting import plant
from tests.soak.shop import Shop, a_shop

# Seconds from a server's return until everything is final.
RECOVERED = 60

# Seconds of load before a server goes.
BEFORE = 5

# Seconds in which the relay publishes what was planted.
RELAYED = 60


def outage(seconds: float, rate: float, seed: int) -> Account:
    """RabbitMQ is killed and stays away for so long; orders go on coming in."""
    with _open_shop() as (shop, products):
        load = Load(shop.url, products, rate, seed)
        with load:
            shop.tend_for(BEFORE)
            shop.node.kill()
            click.echo(f"RabbitMQ is gone for {seconds:g} s; {rate:g} orders/s go on")
            shop.tend_for(seconds)
            shop.node.start()
        return judge(shop, load.answers)


def wiped(times: int, rate: float, seed: int) -> Account:
    """RabbitMQ is killed and its data directory deleted, again and again."""
    with _open_shop() as (shop, products):
        load = Load(shop.url, products, rate, seed)
        with load:
            for time_ in range(times):
                shop.tend_for(BEFORE)
                shop.node.kill()
                shop.node.lose_everything()
                shop.node.start()
                click.echo(f"RabbitMQ came back with nothing, {time_ + 1} of {times}; {load.answers.attempted} orders so far")
        return judge(shop, load.answers)


def database(seconds: float, count: int, rate: float, seed: int) -> Account:
    """PostgreSQL is away for so long while so many orders are queued in RabbitMQ; clients go on trying."""
    with _open_shop() as (shop, products):
        with shop.world.held_up(shop.processes["worker"]):
            answers = plant(shop.world, products[:9], count)
            wait_until(lambda: "outbox" not in shop.unrest(), RELAYED, "the relay to publish them")
        shop.postgres.stop()
        load = Load(shop.url, products, rate, seed)
        load.answers.accepted.update(answers.accepted)
        with load:
            click.echo(f"PostgreSQL is gone for {seconds:g} s, {count} orders are queued; {rate:g} orders/s are tried")
            shop.tend_for(seconds)
        shop.postgres.start()
        open_orders = shop.unrest().get("orders", 0)
        click.echo(f"PostgreSQL is back; {open_orders} orders are open")
        return judge(shop, load.answers)


@contextmanager
def _open_shop() -> Iterator[tuple[Shop, list[int]]]:
    with a_shop() as shop:
        shop.open()
        yield shop, [shop.world.product(stock) for stock in (*[PLENTY] * 9, SHORT, SHORT)]


def judge(shop: Shop, answers: Answers) -> Account:
    """Wait until everything is final, then show and return the account."""
    began = time.monotonic()
    wait_until(lambda: "orders" not in shop.unrest() or time.monotonic() - began > RECOVERED, 2 * RECOVERED, "the orders")
    click.echo(f"all orders are final {time.monotonic() - began:.1f} s after the return")
    rest(shop)  # longer than allowed, so that what is late is not taken for lost
    took = time.monotonic() - began
    found = account(shop, answers)
    found.require(int(took > RECOVERED), f"time not everything was final within {RECOVERED} s: {took:.0f} s")
    found.require(found.processing_errors, "orders failed with processing_error")
    click.echo(f"everything, webhooks too, is final {took:.1f} s after the return; {shop.restarts} processes had ended")
    show(found, shop)
    return found
