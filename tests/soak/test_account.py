"""``tests/soak/account.py``: an account that cannot be wrong proves nothing, so each fault is planted once."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests.soak.account import Account, _orders, _webhooks
from tests.soak.load import Answers
from tests.soak.recorder import Told

EVENT = "00000000-0000-7000-8000-000000000001"
TOLD = Told(EVENT, 1, 2, valid=True, digest="a")


def orders(stored: list[tuple[int, str, str]], answers: Answers) -> Account:
    """Account for the orders that are stored."""
    found = Account()
    database: Any = SimpleNamespace(rows=lambda statement: [] if "UNION" in statement else stored)
    _orders(found, SimpleNamespace(world=database), answers)  # type: ignore[arg-type]
    return found


def test_what_was_accepted_and_settled_is_in_order() -> None:
    """So is an order whose answer was lost, stored or not, and one that was refused."""
    answers = Answers(accepted={"a": 1}, refused={"r"}, unknown={"u", "v"})
    found = orders([(1, "a", "confirmed"), (2, "u", "failed")], answers)
    assert (found.attempted, found.settled, found.recovered, found.clean) == (4, 1, 1, True)


@pytest.mark.parametrize(
    ("stored", "lost", "duplicated", "unexpected"),
    [
        ([], 1, 0, 0),
        ([(1, "a", "processing")], 1, 0, 0),
        ([(9, "a", "confirmed")], 1, 0, 0),
        ([(1, "a", "confirmed"), (2, "a", "confirmed")], 0, 1, 0),
        ([(1, "a", "confirmed"), (2, "r", "confirmed")], 0, 0, 1),
        ([(1, "a", "confirmed"), (2, "x", "confirmed")], 0, 0, 1),
    ],
    ids=["gone", "open", "another order", "stored twice", "refused and stored", "placed by nobody"],
)
def test_what_is_lost_duplicated_or_unexpected_is_counted(
    stored: list[tuple[int, str, str]], lost: int, duplicated: int, unexpected: int
) -> None:
    """Each with a sentence in the verdict."""
    found = orders(stored, Answers(accepted={"a": 1}, refused={"r"}))
    assert (found.lost, found.duplicated, found.unexpected) == (lost, duplicated, unexpected)
    assert len(found.faults) == 1


@pytest.mark.parametrize(
    ("told", "missing", "wrong"),
    [
        ([TOLD], 0, 0),
        ([TOLD, TOLD], 0, 0),
        ([], 1, 0),
        ([TOLD, Told("foreign", 2, 2, valid=True, digest="b")], 0, 1),
        ([Told(EVENT, 1, 2, valid=False, digest="a")], 0, 1),
        ([TOLD, Told(EVENT, 1, 2, valid=True, digest="b")], 0, 1),
        ([TOLD, Told("another", 1, 2, valid=True, digest="a")], 0, 2),
    ],
    ids=["once", "a copy", "never", "of nothing", "badly signed", "told in two ways", "under two ids"],
)
def test_a_webhook_is_received_signed_and_founded(told: list[Told], missing: int, wrong: int) -> None:
    """Copies are allowed; everything else is a fault."""
    found = Account()
    _webhooks(found, [(EVENT, 1, 2)], told)
    assert (found.webhooks_missing, found.webhooks_wrong, found.clean) == (missing, wrong, not missing and not wrong)
