"""A name and a password become a user, or nothing."""

import time
from statistics import median

import pytest
from argon2 import PasswordHasher
from flask import Flask

from orderapp.accounts import authenticating, passwords, registering
from tests.sql import one, sql

from . import NAME, PASSWORD


@pytest.fixture(autouse=True)
def alice(app: Flask) -> None:
    """Create the user."""
    with app.app_context():
        registering.create_user(NAME, PASSWORD, "operator", "cli:me")


def test_the_right_password_is_let_in_and_noted() -> None:
    """The name may be written in any case; the account carries its own."""
    account = authenticating.log_in("ALICE", PASSWORD)
    assert account is not None
    assert (account.name, account.role, account.session_version) == (NAME, "operator", 1)
    assert one("SELECT clock_timestamp() - last_login_at < interval '10 s' FROM users")


@pytest.mark.parametrize(
    ("name", "password"),
    [(NAME, "wrong horse battery"), (NAME, ""), ("bob", PASSWORD), ("", ""), ("al\0ice", PASSWORD), (NAME, PASSWORD + "\0"),
     ("' OR 1=1 --", PASSWORD), (NAME, "x" * 1_000_000), ("x" * 100_000, PASSWORD)],
)  # fmt: skip
def test_anything_else_is_nobody(name: str, password: str) -> None:
    """Without an error, and without a trace."""
    assert authenticating.log_in(name, password) is None
    assert one("SELECT last_login_at FROM users") is None


def test_a_disabled_user_is_nobody() -> None:
    """Even with the right password."""
    registering.disable_user(NAME, "cli:me")
    assert authenticating.log_in(NAME, PASSWORD) is None


def test_an_unknown_name_takes_as_long_as_a_wrong_password() -> None:
    """The time of the answer does not tell who exists: both verify one hash. Processor time, for others share the machine."""

    def seconds(name: str) -> float:
        began = time.process_time()
        authenticating.log_in(name, "wrong horse battery")
        return time.process_time() - began

    seconds("bob")
    known, unknown = (median(seconds(name) for _ in range(5)) for name in (NAME, "bob"))
    assert 0.4 < unknown / known < 2.5


def test_an_old_hash_is_replaced_at_the_login() -> None:
    """The password stays; the session's version too."""
    weak = PasswordHasher(time_cost=1, memory_cost=64).hash(PASSWORD)
    sql("UPDATE users SET password_hash = %(weak)s", weak=weak)
    assert authenticating.log_in(NAME, PASSWORD)
    assert not passwords.needs_rehash(one("SELECT password_hash FROM users"))
    assert authenticating.log_in(NAME, PASSWORD)


def test_a_password_changed_while_the_old_one_is_checked_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who was slower is not let in with what no longer counts."""
    matches = passwords.matches

    def slowly(password: str, password_hash: str | None) -> bool:
        sql("UPDATE users SET session_version = session_version + 1")
        return matches(password, password_hash)

    monkeypatch.setattr(passwords, "matches", slowly)
    assert authenticating.log_in(NAME, PASSWORD) is None


def test_logging_out_counts_the_sessions_version_up() -> None:
    """A copied cookie is worth nothing afterwards."""
    account = authenticating.log_in(NAME, PASSWORD)
    assert account is not None
    authenticating.log_out(account.id)
    assert one("SELECT session_version FROM users") == account.session_version + 1
