"""Rule 8: what README.md and docs/operations.md say about the code is compared with the code."""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

SPAN = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
PLACE = re.compile(r"([\w*-][\w.*-]*(?:/[\w.*-]+)*/?)(?:::?\s*([\w.]+(?:\(\))?(?:,\s*[\w.]+(?:\(\))?)*))?")
FILE_ENDINGS = (".py", ".md", ".toml", ".yml", ".txt", ".example", "Makefile")


class Setting(Protocol):
    """What the settings table shows of an entry of ``config.SETTINGS``."""

    name: str
    kind: str
    default_text: str
    reason: str


class Task(Protocol):
    """What the queue table shows of an entry of ``orderapp.queues.TASKS``."""

    name: str
    queue: str
    batch: int
    what: str


def settings_table(settings: Iterable[Setting]) -> str:
    """Return the table of settings as docs/operations.md must hold it."""
    rows = [(f"`{one.name}`", one.kind, one.default_text, one.reason) for one in settings]
    return _table(("setting", "kind", "default", "reason"), rows)


def queue_table(tasks: Iterable[Task]) -> str:
    """Return the table of tasks and queues as docs/operations.md must hold it."""
    rows = [(f"`{one.name}`", one.queue, str(one.batch), one.what) for one in tasks]
    return _table(("task", "queue", "batch", "what"), rows)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    cells = [[cell.replace("|", r"\|") for cell in row] for row in rows]
    return "\n".join(["| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *cells]])


def table_breaches(root: Path, mark: str, expected: str) -> list[str]:
    """Compare the table between two marks of docs/operations.md with the expected one."""
    page = "docs/operations.md"
    text = _text(root / page)
    found = re.search(rf"<!-- {mark} -->\n(.*?)\n?<!-- /{mark} -->", text, re.DOTALL)
    if found and found.group(1).strip() == expected:
        return []
    line = text[: found.start()].count("\n") + 1 if found else 1
    wanted = f"<!-- {mark} -->\n{expected}\n<!-- /{mark} -->"
    return [f"{page}:{line}: its table of {mark} is not what the code says; paste this:\n\n{wanted}\n"]


def example_breaches(root: Path, settings: Iterable[Setting]) -> list[str]:
    """Return every setting that .env.example does not list."""
    listed = set(re.findall(r"^#?\s*(\w+)=", _text(root / ".env.example"), re.MULTILINE))
    missing = [one.name for one in settings if one.name not in listed]
    return [f".env.example:1: lacks {name}; add it, commented out if it is optional" for name in missing]


def where_breaches(root: Path) -> list[str]:
    """Return every path and every ``path: name`` of the README's "Where is ...?" table that does not exist."""
    section = re.search(r"^## Where is.*?(?=^## |\Z)", _text(root / "README.md"), re.MULTILINE | re.DOTALL)
    if not section:
        return ['README.md:1: has no section "## Where is ...?"']
    before = section.string[: section.start()].count("\n") + 1
    rows = [(before + offset, row) for offset, row in enumerate(section.group().splitlines()) if row.startswith("|")]
    places = [(line, path, names) for line, row in rows for path, names in _places(row)]
    if not places:
        return [f"README.md:{before}: its table names no file"]
    faults = [(line, fault) for line, path, names in places for fault in _faults(root, path, names)]
    return [f"README.md:{line}: {fault}; say where it is now" for line, fault in faults]


def _places(row: str) -> Iterator[tuple[str, list[str]]]:
    yield from ((link, []) for link in LINK.findall(row) if "://" not in link)
    for span in SPAN.findall(row):
        place = PLACE.fullmatch(span)
        if place and ("/" in place.group(1) or place.group(1).endswith(FILE_ENDINGS)):
            yield place.group(1), re.findall(r"[\w.]+", place.group(2) or "")


def _faults(root: Path, path: str, names: list[str]) -> list[str]:
    files = [*root.glob(path), *(root / "orderapp").glob(path)]
    if not files:
        return [f"{path} does not exist"]
    defined = {name for file in files for name in _defined_in(file)}
    return [f"{path} defines no {name}" for name in names if not set(name.split(".")) <= defined]


def _defined_in(file: Path) -> set[str]:
    if file.is_dir():
        return set()
    if file.suffix != ".py":
        return set(re.findall(r"\w+", file.read_text(encoding="utf-8")))
    nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    definitions = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    return definitions | {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.exists() else ""
