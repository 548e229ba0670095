"""Reads a source tree with ``ast``: the material of every rule in this folder.

Nothing is imported or run. The root folder is a parameter, so that a test can plant a breach in a tiny tree of its own.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TypeVar

Node = TypeVar("Node", bound=ast.AST)

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDERS = ("orderapp", "migrations", "tests", "bench")

# Folders whose files live by rules of their own: they are not part of what is deployed and read day by day.
BESIDE_THE_PRODUCT = ("migrations/", "tests/", "bench/")

REFERENCE = re.compile(r"orderapp(?:\.\w+)*:\w+(?:\.\w+)*|orderapp(?:\.\w+)+")


@dataclass(frozen=True)
class Import:
    """One imported name, written out in full: ``from .stock import deduct`` is ``orderapp.products.stock.deduct``."""

    line: int
    target: str

    def is_of(self, *modules: str) -> bool:
        """Tell whether the import is of one of these modules or of something inside them."""
        return any(f"{self.target}.".startswith(f"{module}.") for module in modules)


@dataclass(frozen=True)
class Source:
    """One Python file."""

    path: str
    text: str
    code: ast.Module

    @property
    def name(self) -> str:
        """Return the file's own name."""
        return self.path.rpartition("/")[2]

    @property
    def package(self) -> list[str]:
        """Return the parts of the package that relative imports start from."""
        return self.path.split("/")[:-1]

    @property
    def room(self) -> str | None:
        """Return the room of orderapp that the file is in, if any."""
        return self.package[1] if len(self.package) > 1 and self.package[0] == "orderapp" else None

    @property
    def in_orderapp(self) -> bool:
        """Tell whether the file is part of orderapp."""
        return self.path.startswith("orderapp/")

    @property
    def is_door(self) -> bool:
        """Tell whether outsiders come in here: HTTP, Celery or a terminal."""
        return self.room is not None and self.name in {"routes.py", "tasks.py", "cli.py"}

    @property
    def is_act(self) -> bool:
        """Tell whether the file is in ``ls orderapp/*/*ing.py``, the list of all places where data changes."""
        return re.fullmatch(r"orderapp/\w+/\w+ing\.py", self.path) is not None

    @cached_property
    def comments(self) -> dict[int, str]:
        """Return the comments by line, without what is written for tools (``noqa``, ``type: ignore``) only."""
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        found = {token.start[0]: token.string for token in tokens if token.type == tokenize.COMMENT}
        pragma = re.compile(r"#\s*(noqa(:\s*[A-Z0-9, ]+\b)?|type:\s*ignore(\[[^]]*\])?|pragma:\s*no cover)")
        said = {line: pragma.sub("", comment).strip("#:-, ") for line, comment in found.items()}
        return {line: comment for line, comment in said.items() if comment}

    @cached_property
    def own_lines(self) -> set[int]:
        """Return the lines that hold a comment and nothing else."""
        lines = self.text.splitlines()
        return {line for line in self.comments if lines[line - 1].lstrip().startswith("#")}

    def nodes(self, kind: type[Node]) -> list[Node]:
        """Return all nodes of one kind in the order of the text."""
        return in_order(self.code, kind)

    def breach(self, line: int, remedy: str) -> str:
        """Word one breach so that an editor can jump to it."""
        return f"{self.path}:{line}: {remedy}"


@dataclass(frozen=True)
class Tree:
    """All Python files below one root, parsed."""

    root: Path
    sources: tuple[Source, ...]

    @property
    def product(self) -> list[Source]:
        """Return orderapp and the files beside it at the top: what runs in production."""
        return [source for source in self.sources if not source.path.startswith(BESIDE_THE_PRODUCT)]

    @property
    def rooms(self) -> list[str]:
        """Return the names of the rooms."""
        return sorted({source.room for source in self.sources if source.room})

    def imports(self, source: Source) -> Iterator[Import]:
        """Yield everything a file imports, wherever in it, and every module of orderapp that it names in a string."""
        for node in source.nodes(ast.AST):
            if isinstance(node, ast.Import):
                yield from (Import(node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from (Import(node.lineno, target) for target in _targets(node, source.package))
        for line, text in texts(source):
            if REFERENCE.fullmatch(text) and (":" in text or self._has(text.split(".")[1])):
                yield Import(line, text.replace(":", "."))

    def _has(self, name: str) -> bool:
        return name in self.rooms or any(source.path == f"orderapp/{name}.py" for source in self.sources)


def _targets(node: ast.ImportFrom, package: list[str]) -> Iterator[str]:
    start = package[: len(package) - node.level + 1] if node.level else []
    base = [*start, *([node.module] if node.module else [])]
    for alias in node.names:
        yield ".".join(base if alias.name == "*" else [*base, alias.name])


def in_order(root: ast.AST, kind: type[Node]) -> list[Node]:
    """Return all nodes of one kind below a node in the order of the text."""
    found = [node for node in ast.walk(root) if isinstance(node, kind)]
    return sorted(found, key=lambda node: (getattr(node, "lineno", 0), getattr(node, "col_offset", 0)))


def texts(source: Source, within: ast.AST | None = None) -> Iterator[tuple[int, str]]:
    """Yield every string but docstrings; an f-string is one text with ``?`` for its fields."""
    root = within or source.code
    skipped = {id(node.value) for node in in_order(root, ast.Expr)}
    skipped |= {id(part) for node in in_order(root, ast.JoinedStr) for part in node.values}
    for node in in_order(root, ast.expr):
        if isinstance(node, ast.JoinedStr):
            pieces = [part.value if isinstance(part, ast.Constant) else "?" for part in node.values]
            yield node.lineno, "".join(str(piece) for piece in pieces)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            yield node.lineno, node.value


def called(node: ast.expr) -> str:
    """Return the dotted name of what is called or read: ``db.session.execute``; calls on the way are left out."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{called(node.value)}.{node.attr}"
    return called(node.func) if isinstance(node, ast.Call) else "?"


def read_tree(root: Path, folders: Iterable[str] = FOLDERS) -> Tree:
    """Parse the files at the top of a root and in its source folders."""
    found = [*root.glob("*.py"), *(file for folder in folders for file in (root / folder).rglob("*.py"))]
    files = [file for file in found if ".venv" not in file.parts[len(root.parts) :]]  # the peers of bench/ have one there
    return Tree(root, tuple(_parsed(root, file) for file in sorted(files)))


def _parsed(root: Path, file: Path) -> Source:
    text = file.read_text(encoding="utf-8")
    path = file.relative_to(root).as_posix()
    return Source(path, text, ast.parse(text, filename=path))


@cache
def the_house() -> Tree:
    """Parse this repository."""
    house = read_tree(REPOSITORY)
    assert any(source.path == "orderapp/__init__.py" for source in house.sources), "orderapp/__init__.py is missing"
    return house


def plant(root: Path, files: dict[str, str]) -> Tree:
    """Write a tiny tree and parse it."""
    for path, text in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return read_tree(root)


def assert_none(breaches: Iterable[str]) -> None:
    """Fail with one readable line per breach."""
    found = list(breaches)
    assert not found, "\n" + "\n".join(found)


def assert_found(breaches: Iterable[str], path: str) -> None:
    """Fail unless exactly this one file breaks the rule."""
    found = list(breaches)
    assert found, f"the breach planted in {path} was not found"
    assert {breach.partition(":")[0] for breach in found} == {path}, found
