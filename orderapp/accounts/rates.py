"""How often a client may ask: RATE_LIMIT per key, counted in PostgreSQL by all processes together."""

import math
from functools import cache

from flask import current_app

from orderapp.access import Client, Standing
from orderapp.accounts import counters
from orderapp.accounts.guard import address_key
from orderapp.database import db

# Seconds.
_PERIODS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


def count(client: Client) -> Standing | None:
    """Count a request of this client; returns how it stands. None, and nothing is written, without RATE_LIMIT.

    A window begins with its first request. Whoever sends no key is counted by the network that the request comes from.
    """
    limit = current_app.extensions["settings"].rate_limit
    if limit is None:
        return None
    most, seconds = _parsed(limit)
    key = f"api:key:{client.key_id}" if client.key_id else f"api:address:{address_key()}"
    # On a connection of its own: the count stays although the request fails. From the pool: there is one per thread.
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        hits, rest = counters.count(connection, key, seconds)
    return Standing(most, max(0, most - hits), max(1, math.ceil(rest)), refused=hits > most)


@cache
def _parsed(limit: str) -> tuple[int, int]:
    number, _, period = limit.partition("/")
    return int(number), _PERIODS[period]
