"""Failpoints: what each action does, at which passage, and that nothing happens while they are off."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

import config
from orderapp import failpoints
from orderapp.database import is_outage, outlast, reading, writing
from orderapp.failpoints import FailpointError
from tests.orders.examples import placed
from tests.sql import one

Arm = Callable[[str], Path]


@pytest.fixture
def arm(tmp_path: Path) -> Iterator[Arm]:
    """Return what arms plans and returns the record; nothing is armed after the test."""

    def arm(plans: str) -> Path:
        failpoints.arm(f"{tmp_path}/record {plans}")
        return tmp_path / "record"

    yield arm
    failpoints.arm(None)


def passes(name: str) -> bool:
    """Pass once; tells whether nothing happened."""
    act, _, point = name.rpartition(":")
    try:
        failpoints.passing(act, point)
    except FailpointError:
        return False
    return True


def test_off_nothing_is_noted_and_no_act_is_looked_for() -> None:
    """What every transaction goes through in production."""
    failpoints.arm(None)
    assert passes("a:b:c")
    assert failpoints.act_outside(frames=0) == ""


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        ("a:x=raise@1", [False, True, True, True]),
        ("a:x=raise@3", [True, True, False, True]),
        ("a:x=raise@2+", [True, False, False, False]),
        ("b:x=raise@1", [True, True, True, True]),
        ("a:x=raise@1 a:x=raise@4", [False, True, True, False]),
    ],
)
def test_it_fails_at_the_passage_it_was_armed_for(arm: Arm, plan: str, expected: list[bool]) -> None:
    """Once, or from there on always; two plans do not disturb each other."""
    arm(plan)
    assert [passes("a:x") for _ in expected] == expected


def test_a_pattern_counts_all_that_fits_it_as_one_series(arm: Arm) -> None:
    """A loop over every step of an order arms ``*=kill@1``, ``*=kill@2`` and so on."""
    record = arm("*:commit=raise@3")
    assert [passes(name) for name in ("a:commit", "b:other", "b:commit", "c:commit")] == [True, True, True, False]
    assert record.read_text().splitlines() == ["a:commit", "b:other", "b:commit", "c:commit"]


def test_passages_of_several_processes_are_one_series(arm: Arm) -> None:
    """The process that replaces a killed one does not die at the same point again."""
    record = arm("a:x=kill@2")
    ends = []
    for _ in range(4):
        pid = os.fork()
        if not pid:
            passes("a:x")
            os._exit(0)
        ends.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    assert ends == [0, -signal.SIGKILL, 0, 0]
    assert record.read_text().splitlines() == ["a:x"] * 4


def test_a_hanging_point_lets_nobody_through(arm: Arm) -> None:
    """Until the process is killed, by a time limit or by hand."""
    record = arm("a:x=hang@1")
    stuck = threading.Thread(target=passes, args=["a:x"], daemon=True)
    stuck.start()
    stuck.join(0.2)
    assert stuck.is_alive()
    assert record.read_text() == "a:x\n"


def test_a_reset_breaks_the_connection_that_the_place_uses(arm: Arm) -> None:
    """Without one of its own it raises what a socket raises."""
    arm("a:x=reset@1 a:y=reset@1")
    cut: list[str] = []
    failpoints.passing("a", "x", lambda: cut.append("its own"))
    assert cut == ["its own"]
    with pytest.raises(ConnectionResetError):
        failpoints.passing("a", "y")


def test_every_act_passes_its_own_name_around_its_commit(arm: Arm, a_product: Callable[..., int]) -> None:
    """The name is that of the function that opened the transaction."""
    product_id = a_product()
    record = arm("")
    placed((product_id, 1))
    assert record.read_text().splitlines() == [
        "orders.placing:place_order:begun",
        "orders.placing:place_order:before_commit",
        "orders.placing:place_order:after_commit",
    ]


@pytest.mark.parametrize(("point", "stored"), [("begun", 0), ("before_commit", 0), ("after_commit", 1)])
@pytest.mark.parametrize("action", ["raise", "reset"])
def test_before_the_commit_nothing_is_stored_and_after_it_all(
    arm: Arm, a_product: Callable[..., int], action: str, point: str, stored: int
) -> None:
    """Also when the connection breaks, and then it is an outage; the next act is well."""
    product_id = a_product()
    arm(f"*:{point}={action}@1")
    with pytest.raises(FailpointError if action == "raise" else OperationalError) as caught:
        placed((product_id, 1))
    assert is_outage(caught.value) is (action == "reset")
    assert one("SELECT count(*) FROM orders") == stored
    placed((product_id, 1))
    assert one("SELECT count(*) FROM orders") == stored + 1


@pytest.mark.usefixtures("app")
def test_what_outlasts_an_outage_outlasts_a_reset(arm: Arm) -> None:
    """The broken connection does not come back from the pool."""
    record = arm("*:before_commit=reset@1")

    def act() -> int:
        with writing() as session:
            return int(session.exec_driver_sql("SELECT 42").scalar_one())

    assert outlast(act, 5) == 42
    assert record.read_text().splitlines().count("tests.test_failpoints:act:before_commit") == 2
    with reading() as session:
        assert session.exec_driver_sql("SELECT 1").scalar_one() == 1


@pytest.mark.parametrize("wrong", ["/tmp/record a:x", "/tmp/record a:x=explode@1", "/tmp/record a:x=kill@0", "/tmp/r a=kill@"])
def test_a_wrong_setting_stops_the_start(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    """A typo must not make a test that cannot fail."""
    assert environment
    monkeypatch.setenv("FAILPOINTS", wrong)
    with pytest.raises(config.SettingsError, match="FAILPOINTS"):
        config.load()


def test_production_refuses_failpoints(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever copies a test's environment does not kill the shop."""
    assert environment
    monkeypatch.setenv("APP_ENV", "production")
    monkeypatch.setenv("FAILPOINTS", "/tmp/record")
    with pytest.raises(config.SettingsError) as caught:
        config.load()
    assert ("FAILPOINTS", "makes processes fail on purpose") in [fault[:2] for fault in caught.value.faults]
