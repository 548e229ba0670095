"""Guessing passwords and keys: limits hold per account and address, whatever the guesser says about where it is."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask

from orderapp.accounts import guard
from tests.admin.visitors import PASSWORD, Visitor
from tests.clients import REQUIRED, a_key, bearer
from tests.sql import one, sql

Visit = Callable[[str], Visitor]

HERE = "127.0.0.1"
PROXIED = pytest.mark.settings(TRUSTED_PROXIES="1")

# Flask-Limiter's words for "10 per 15 minutes".
TRIES = int(guard.PER_ACCOUNT.split()[0])


def attempt(app: Flask, name: str, password: str = "wrong", **headers: str) -> int:
    """Try to log in, from a new browser; returns the status."""
    visitor = Visitor(app)
    sent = {header.replace("_", "-"): value for header, value in headers.items()}
    data = {"csrf_token": visitor.token(), "name": name, "password": password}
    return visitor.client.post("/admin/login/", data=data, headers=sent).status_code


def hits(of: str) -> list[int]:
    """Return the counts whose key holds these words."""
    return [row.hits for row in sql("SELECT hits FROM rate_limits WHERE key LIKE %(of)s", of=f"%{of}%")]


@pytest.mark.usefixtures("visit")
def test_who_calls_itself_somebody_else_is_still_one_address(app: Flask) -> None:
    """Without a proxy nobody's word about an address counts."""
    for number in range(4):
        elsewhere = f"198.51.100.{number}"
        headers = {
            "X_Forwarded_For": elsewhere,
            "X_Real_IP": elsewhere,
            "Forwarded": f"for={elsewhere}",
            "Client_IP": elsewhere,
        }
        assert attempt(app, f"user{number}", **headers) == 401
    assert hits(HERE) == [4]
    assert hits("198.51.100") == []


@PROXIED
@pytest.mark.usefixtures("visit")
def test_behind_a_proxy_the_address_that_it_saw_counts(app: Flask) -> None:
    """What the guesser wrote before it does not, however many there are."""
    for number in range(4):
        assert attempt(app, f"user{number}", X_Forwarded_For=f"198.51.100.{number}, 10.0.0.{number}, 192.0.2.7") == 401
    assert hits("192.0.2.7") == [4]
    assert hits("198.51.100") == hits("10.0.0") == []


@PROXIED
@pytest.mark.usefixtures("visit")
def test_an_account_is_tried_from_everywhere_ten_times(app: Flask) -> None:
    """A thousand addresses are no thousand tries; nor are ways to write the name."""
    names = ["alice", "ALICE", " alice ", "Alice"]
    tries = [attempt(app, names[number % 4], X_Forwarded_For=f"192.0.2.{number}") for number in range(TRIES)]
    assert tries == [401] * TRIES
    assert attempt(app, "alice", PASSWORD, X_Forwarded_For="203.0.113.9") == 429


@pytest.mark.usefixtures("visit")
def test_tries_at_the_same_moment_are_counted_one_by_one(app: Flask) -> None:
    """Two that read the same count would be two for one."""
    with ThreadPoolExecutor(8) as pool:
        answers = Counter(pool.map(lambda _: attempt(app, "alice"), range(TRIES + 6)))
    assert answers == {401: TRIES, 429: 6}


@pytest.mark.settings(**REQUIRED)
def test_a_key_that_is_almost_right_is_no_key(app: Flask) -> None:
    """There is no limit on guesses and none is needed: of 256 bits the last one is as unknown as the first."""
    prefix, _, secret = (true := a_key()).partition("_")
    client = app.test_client()
    path = "/api/orders/"
    assert client.get(path, headers=bearer(true)).status_code == 200
    changed = [secret[:place] + ("1" if secret[place] == "0" else "0") + secret[place + 1 :] for place in range(len(secret))]
    guesses = [f"{prefix}_{guess}" for guess in [*changed, secret.upper(), secret[:-1], secret + "0", "", "*" * 64]]
    guesses += [f"{prefix[:-1]}_{secret}", f"%_{secret}", secret, f"_{secret}", f"{true} {true}", f"{true},", f"{true}\t{true}"]
    answers = {guess: client.get(path, headers=bearer(guess)).status_code for guess in guesses if guess != true}
    assert set(answers.values()) == {401}
    assert one("SELECT count(*) FROM rate_limits") == 0
