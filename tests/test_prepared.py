"""Statements that requests wait for are planned once in a while, and nobody can tell by their answers."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Connection, text
from sqlalchemy.exc import DataError, InternalError

from orderapp import prepared
from orderapp.database import reading, reading_once, writing
from tests.clients import REQUIRED, a_key, bearer
from tests.servers.others import UNPOOLED
from tests.sql import one

pytestmark = pytest.mark.usefixtures("app")

QUOTIENT = text("SELECT 84 / CAST(:divisor AS integer)").execution_options(prepared="quotient")
SUM = text("SELECT CAST(:a AS integer) + CAST(:b AS integer) + CAST(:a AS integer)").execution_options(prepared="sum")

KNOWN = text("SELECT name, generic_plans, custom_plans FROM pg_prepared_statements ORDER BY name")


def divide(divisor: int) -> Any:
    """Return what the quotient is."""
    with reading_once() as session:
        return session.scalar(QUOTIENT, {"divisor": divisor})


def known() -> list[tuple[str, int, int]]:
    """Return what is prepared on this thread's connection: name, plans for all parameters, plans for some."""
    with reading() as session:
        return [tuple(row) for row in session.execute(KNOWN)]


@UNPOOLED
def test_a_statement_is_planned_once_for_all_its_parameters() -> None:
    """Not five times for some of them first, as PostgreSQL does by itself."""
    assert [divide(divisor) for divisor in (1, 2, 3)] == [84, 42, 28]
    assert known() == [("quotient", 3, 0)]


@UNPOOLED
def test_several_are_prepared_side_by_side() -> None:
    """A parameter that a statement names twice is one."""
    assert divide(2) == 42
    with reading_once() as session:
        assert session.scalar(SUM, {"a": 1, "b": 5}) == 7
    assert divide(3) == 28
    assert known() == [("quotient", 2, 0), ("sum", 1, 0)]


@UNPOOLED
def test_a_plan_ends_with_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was planned on an empty table is planned anew when it has filled."""
    divide(2)
    divide(2)
    monkeypatch.setattr(prepared, "LASTING", -1)
    assert divide(2) == 42
    assert known() == [("quotient", 1, 0)]


@pytest.mark.parametrize("before", [0, 1, 2])
def test_after_an_error_a_statement_is_as_good_as_before(before: int) -> None:
    """Whether it failed while it was being prepared or later: nobody knows how far the server came."""
    for _ in range(before):
        divide(2)
    for _ in range(2):
        with pytest.raises(DataError):
            divide(0)
    assert [divide(2), divide(4)] == [42, 21]


def test_one_that_fails_while_it_is_prepared_beside_others_is_as_good_as_before() -> None:
    """PREPARE has happened then, and may not be said again as if it had not."""
    with reading_once() as session:
        session.scalar(SUM, {"a": 1, "b": 5})
    for _ in range(2):
        with pytest.raises(DataError):
            divide(0)
    assert divide(2) == 42


def test_in_a_transaction_that_failed_nothing_is_prepared_and_the_next_one_is_well() -> None:
    """The server refuses the rest of it, PREPARE included."""

    def go_on_in_vain(session: Connection) -> None:
        with pytest.raises(DataError):
            session.execute(text("SELECT 1 / 0"))
        with pytest.raises(InternalError):
            session.scalar(QUOTIENT, {"divisor": 2})

    with reading() as session:
        go_on_in_vain(session)
    divide(2)
    with reading() as session:
        go_on_in_vain(session)
    assert divide(2) == 42


@UNPOOLED
def test_an_act_that_is_undone_takes_no_plan_along() -> None:
    """PREPARE knows no ROLLBACK; SET does, so that PostgreSQL plans for some parameters until the plans' time is over."""
    with suppress(KeyError), writing() as session:
        session.scalar(QUOTIENT, {"divisor": 2})
        raise KeyError
    assert divide(2) == 42
    assert known() == [("quotient", 1, 1)]


@UNPOOLED
def test_a_new_connection_knows_that_nothing_is_prepared_on_it() -> None:
    """After a restart of PostgreSQL, the pool's connections are others under the same name."""
    with reading() as session:
        session.scalar(QUOTIENT, {"divisor": 2})
        pid = session.scalar(text("SELECT pg_backend_pid()"))
    assert one("SELECT pg_terminate_backend(%(pid)s, 5000)", pid=pid)
    assert divide(2) == 42
    assert known() == [("quotient", 1, 0)]


@UNPOOLED
def test_behind_a_pooler_nothing_is_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next transaction may get another connection of the server, where nobody knows it."""
    with reading() as session:
        session.invalidate()
    monkeypatch.setattr(prepared, "is_pooled", lambda _session: True)
    assert [divide(2), divide(4)] == [42, 21]
    assert known() == []


@UNPOOLED
@pytest.mark.settings(**REQUIRED)
def test_what_a_client_waits_for_is_prepared(client: FlaskClient, a_product: Callable[..., int]) -> None:
    """Its key, its order with an idempotency key and without, and its order shown."""
    lamp, headers = a_product(), bearer(a_key())
    order = {"items": [{"product_id": lamp, "quantity": 1}]}
    client.post("/api/orders/", json=order, headers=headers)
    client.post("/api/orders/", json=order, headers=headers | {"Idempotency-Key": "a"})
    assert client.get("/api/orders/1/", headers=headers).status_code == 200
    assert known() == [("active_key", 3, 0), ("place_order", 1, 0), ("place_order_once", 1, 0), ("show_order", 1, 0)]
