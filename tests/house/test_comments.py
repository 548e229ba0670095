"""Rules 7 and 9 of the house: reasons in comments, no print, plain log calls."""

from pathlib import Path

import pytest

from .comments import except_breaches, log_breaches, number_breaches, print_breaches
from .tree import assert_found, assert_none, plant, the_house

CLEAN = {
    "orderapp/orders/placing.py": """
# More than this no cart ever had.
MOST_ITEMS: Final = 100

# Two lines of reason:
# the second.
LEASE = timedelta(seconds=15)
NAME = "orders"
DEBUG = False
COPY = other.NUMBER
counter = 0

def place():
    LIMIT = 3
    try:
        go()
    except ValueError:
        pass
    # The operator sees it in the log.
    except Exception:
        log.exception("order_refused", order_id=1, share=10 % 3)
    try:
        go()
    except Exception:  # noqa: BLE001 - the client sees a 500
        console.print(f"{LIMIT}")
    try:
        go()
    except BaseException:
        # The supervisor sees the exit code.
        raise ValueError(f"order {LIMIT}")
    # Nobody: the pool replaces it.
    with suppress(Exception):
        logger.bind(order_id=1).info("order %s placed", 1)
""",
    "gunicorn.conf.py": "# One per core.\nworkers = 2\nbind = '127.0.0.1'\n",
    "tests/test_placing.py": "LIMIT = 3\nprint(LIMIT)\n",
}

PLACING = "orderapp/orders/placing.py"

NUMBERS = {
    "an int": (PLACING, "LIMIT = 3\n"),
    "a float, annotated": (PLACING, "LIMIT: Final[float] = 0.5\n"),
    "a negative number": (PLACING, "LIMIT = -1\n"),
    "a product": (PLACING, "LIMIT = 64 * 1024\n"),
    "a timedelta": (PLACING, "LIMIT = timedelta(seconds=3)\n"),
    "a Decimal": (PLACING, 'LIMIT = Decimal("0.01")\n'),
    "a pair": (PLACING, "LOW, HIGH = 1, 5\n"),
    "a private one": (PLACING, "_LIMIT = 3\n"),
    "a comment behind it": (PLACING, "LIMIT = 3  # why\n"),
    "a comment one line too high": (PLACING, "# why\n\nLIMIT = 3\n"),
    "a comment behind the line above": (PLACING, "name = ''  # why\nLIMIT = 3\n"),
    "one comment for two": (PLACING, "# why\nFIRST = 1\nSECOND = 2\n"),
    "a comment for tools only": (PLACING, "# noqa: E501\nLIMIT = 3\n"),
    "in config.py": ("config.py", "LIMIT = 3\n"),
    "a gunicorn setting": ("gunicorn.conf.py", "workers = 2\n"),
}

TRY = "try:\n    go()\n"
EXCEPTS = {
    "except Exception": f"{TRY}except Exception:\n    pass\n",
    "except Exception as": f"{TRY}except Exception as error:\n    log(error)\n",
    "a bare except": f"{TRY}except:\n    pass\n",
    "except BaseException": f"{TRY}except BaseException:\n    raise\n",
    "Exception among others": f"{TRY}except (ValueError, Exception):\n    pass\n",
    "a comment for tools only": f"{TRY}except Exception:  # noqa: BLE001\n    pass\n",
    "a comment too far below": f"{TRY}except Exception:\n    go()\n    # who\n",
    "suppress": "with contextlib.suppress(Exception):\n    pass\n",
}

PRINTS = {
    "a call": 'print("placed")\n',
    "in a function": "def f():\n    print()\n",
    "as a callback": "run(on_line=print)\n",
}

LOGS = {
    "an f-string": 'log.info(f"order {order_id} placed")\n',
    "a percent sign": 'logger.warning("order %s" % order_id)\n',
    "format": 'self._log.error("order {}".format(order_id))\n',
    "an f-string in a field": 'log.info("placed", order=f"no {order_id}")\n',
    "the logging module": 'logging.error(f"{order_id}")\n',
    "a bound log": 'log.bind(a=1).info(f"{order_id}")\n',
    "a fresh log": 'structlog.get_logger(__name__).info(f"{order_id}")\n',
}


def test_every_number_constant_gives_its_reason() -> None:
    """A comment stands right above each number of a module, and above each of gunicorn's settings."""
    assert_none(number_breaches(the_house()))


def test_every_broad_except_says_who_sees_the_error() -> None:
    """A comment stands on the except, above it or right below."""
    assert_none(except_breaches(the_house()))


def test_nothing_prints() -> None:
    """The product logs, or speaks to people through rich."""
    assert_none(print_breaches(the_house()))


def test_log_calls_name_an_event_and_pass_fields() -> None:
    """No f-string, percent sign or format in a log call."""
    assert_none(log_breaches(the_house()))


def test_reasons_in_their_places_are_no_breach(tmp_path: Path) -> None:
    """A tidy tree is left in peace, and so are tests."""
    tree = plant(tmp_path, CLEAN)
    assert_none([*number_breaches(tree), *except_breaches(tree), *print_breaches(tree), *log_breaches(tree)])


@pytest.mark.parametrize(("path", "text"), NUMBERS.values(), ids=NUMBERS)
def test_a_number_without_a_reason_is_found(tmp_path: Path, path: str, text: str) -> None:
    """Each kind of number is seen, and a comment elsewhere does not count."""
    assert_found(number_breaches(plant(tmp_path, {**CLEAN, path: text})), path)


@pytest.mark.parametrize("text", EXCEPTS.values(), ids=EXCEPTS)
def test_a_silent_broad_except_is_found(tmp_path: Path, text: str) -> None:
    """Each kind of catching everything is seen."""
    assert_found(except_breaches(plant(tmp_path, {**CLEAN, PLACING: text})), PLACING)


@pytest.mark.parametrize("text", PRINTS.values(), ids=PRINTS)
def test_a_print_is_found(tmp_path: Path, text: str) -> None:
    """A call is seen, and a print handed on."""
    assert_found(print_breaches(plant(tmp_path, {**CLEAN, PLACING: text})), PLACING)


@pytest.mark.parametrize("text", LOGS.values(), ids=LOGS)
def test_a_formatted_log_line_is_found(tmp_path: Path, text: str) -> None:
    """Each way of formatting is seen, on each kind of log."""
    assert_found(log_breaches(plant(tmp_path, {**CLEAN, PLACING: text})), PLACING)
