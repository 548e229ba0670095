"""Rule 8 of the house: README and docs say what the code says."""

import importlib
from pathlib import Path
from types import SimpleNamespace

import pytest

from .documents import example_breaches, queue_table, settings_table, table_breaches, where_breaches
from .tree import REPOSITORY, assert_found, assert_none, plant

SETTINGS = [
    SimpleNamespace(name="PORT", kind="int", default_text="8000", reason="where it listens"),
    SimpleNamespace(name="LOG_FORMAT", kind="json|console", default_text="", reason="for machines"),
]
TASKS = [SimpleNamespace(name="orders.process", queue="orders", batch=100, what="settles")]

SETTINGS_TABLE = r"""| setting | kind | default | reason |
| --- | --- | --- | --- |
| `PORT` | int | 8000 | where it listens |
| `LOG_FORMAT` | json\|console |  | for machines |"""
QUEUE_TABLE = """| task | queue | batch | what |
| --- | --- | --- | --- |
| `orders.process` | orders | 100 | settles |"""

OPERATIONS = f"""# Operations

<!-- settings -->
{SETTINGS_TABLE}
<!-- /settings -->

<!-- queues -->
{QUEUE_TABLE}
<!-- /queues -->
"""

README = """# Orders

## Where is ...?

| what | where |
|---|---|
| stock is deducted | `products/stock.py: deduct`, called by `orderapp/products/` |
| the numbers | `products/stock.py: Stock.take, LIMIT` and `config.py` |
| every change | `orderapp/*/*ing.py` (`flask outbox status`, task `orders.process`) |
| operations | [the page](docs/operations.md#settings), `Makefile: run` |

## Guarantees

| none | `gone/away.py` |
"""

CLEAN = {
    "README.md": README,
    "Makefile": "run:\n",
    "config.py": "",
    ".env.example": "PORT=8000\n# LOG_FORMAT=json\n",
    "docs/operations.md": OPERATIONS,
    "orderapp/products/stock.py": "LIMIT = 3\ndef deduct(): ...\nclass Stock:\n    def take(self): ...\n",
    "orderapp/orders/placing.py": "",
}

SETTINGS_PLANTED = {
    "another default": OPERATIONS.replace("8000", "8001"),
    "another reason": OPERATIONS.replace("where it listens", "because"),
    "a setting too few": OPERATIONS.replace("| `PORT` | int | 8000 | where it listens |\n", ""),
    "a setting too many": OPERATIONS.replace("<!-- /settings", "| `OLD` | int | 1 | gone |\n<!-- /settings"),
    "no marks": SETTINGS_TABLE,
    "nothing": "",
}

QUEUES_PLANTED = {
    "another queue": OPERATIONS.replace("| orders |", "| webhooks |"),
    "another batch": OPERATIONS.replace("| 100 |", "| 10 |"),
    "a task too few": OPERATIONS.replace("| `orders.process` | orders | 100 | settles |\n", ""),
    "nothing": "",
}

WHERE_PLANTED = {
    "a file that is gone": README.replace("products/stock.py: deduct", "products/shelf.py: deduct"),
    "a folder that is gone": README.replace("orderapp/products/", "orderapp/parcels/"),
    "a function that is gone": README.replace(": deduct", ": withdraw"),
    "a method that is gone": README.replace("Stock.take", "Stock.give"),
    "a constant that is gone": README.replace("LIMIT", "MOST"),
    "a file at the top that is gone": README.replace("`config.py`", "`settings.py`"),
    "a pattern that fits nothing": README.replace("*ing.py", "*ed.py"),
    "a link that leads nowhere": README.replace("docs/operations.md", "docs/running.md"),
    "a Makefile target that is gone": README.replace("Makefile: run", "Makefile: start"),
    "no file named at all": "## Where is ...?\n\n| what | where |\n",
    "no such section": "# Orders\n",
    "nothing": "",
}


def test_the_readme_knows_where_everything_is() -> None:
    """Every path and every name after it in "Where is ...?" exists."""
    assert_none(where_breaches(REPOSITORY))


def test_the_operations_page_lists_exactly_the_settings_of_the_code() -> None:
    """The table is config.SETTINGS; the failure prints the table to paste."""
    settings = importlib.import_module("config").SETTINGS
    assert_none(table_breaches(REPOSITORY, "settings", settings_table(settings)))


def test_the_example_environment_lists_every_setting() -> None:
    """.env.example holds each setting, commented out or not."""
    assert_none(example_breaches(REPOSITORY, importlib.import_module("config").SETTINGS))


def test_the_operations_page_lists_exactly_the_tasks_of_the_code() -> None:
    """The table is orderapp.queues.TASKS; the failure prints the table to paste."""
    tasks = importlib.import_module("orderapp.queues").TASKS
    assert_none(table_breaches(REPOSITORY, "queues", queue_table(tasks.values())))


def test_documents_that_fit_the_code_are_no_breach(tmp_path: Path) -> None:
    """A tidy set of documents is left in peace; commands, task names and other sections are not paths."""
    plant(tmp_path, CLEAN)
    assert_none(table_breaches(tmp_path, "settings", settings_table(SETTINGS)))
    assert_none(table_breaches(tmp_path, "queues", queue_table(TASKS)))
    assert_none([*where_breaches(tmp_path), *example_breaches(tmp_path, SETTINGS)])


@pytest.mark.parametrize("page", SETTINGS_PLANTED.values(), ids=SETTINGS_PLANTED)
def test_a_settings_table_that_lags_behind_is_found(tmp_path: Path, page: str) -> None:
    """Each difference is seen, and the message holds the table to paste."""
    plant(tmp_path, {**CLEAN, "docs/operations.md": page})
    found = table_breaches(tmp_path, "settings", settings_table(SETTINGS))
    assert_found(found, "docs/operations.md")
    assert SETTINGS_TABLE in found[0]


@pytest.mark.parametrize("page", QUEUES_PLANTED.values(), ids=QUEUES_PLANTED)
def test_a_queue_table_that_lags_behind_is_found(tmp_path: Path, page: str) -> None:
    """Each difference is seen, and the message holds the table to paste."""
    plant(tmp_path, {**CLEAN, "docs/operations.md": page})
    found = table_breaches(tmp_path, "queues", queue_table(TASKS))
    assert_found(found, "docs/operations.md")
    assert QUEUE_TABLE in found[0]


@pytest.mark.parametrize("readme", WHERE_PLANTED.values(), ids=WHERE_PLANTED)
def test_a_readme_that_lags_behind_is_found(tmp_path: Path, readme: str) -> None:
    """Each path or name that moved away is seen."""
    plant(tmp_path, {**CLEAN, "README.md": readme})
    assert_found(where_breaches(tmp_path), "README.md")


def test_a_setting_missing_from_the_example_environment_is_found(tmp_path: Path) -> None:
    """A new setting must be added to .env.example."""
    plant(tmp_path, {**CLEAN, ".env.example": "PORT=8000\n"})
    assert_found(example_breaches(tmp_path, SETTINGS), ".env.example")


def test_documents_that_are_missing_are_found(tmp_path: Path) -> None:
    """An empty repository has everything to say."""
    assert_found(where_breaches(tmp_path), "README.md")
    assert_found(table_breaches(tmp_path, "queues", queue_table(TASKS)), "docs/operations.md")
    assert_found(example_breaches(tmp_path, SETTINGS), ".env.example")
