"""Rule 3: only acts begin, and only database.py ends, a transaction; doors read through queries; no ORM object leaves."""

import ast
import re
from collections.abc import Iterator

from .tree import Source, Tree, called, in_order, texts

DATABASE = "orderapp/database.py"
ENDINGS = {"commit", "rollback", "begin"}
STATEMENTS = {"text", "select", "insert", "update", "delete"}
SQLALCHEMY = {"", "sqlalchemy", "sa", "db"}
SPOKEN = re.compile(r"\s*(BEGIN|COMMIT|ROLLBACK|START TRANSACTION)\b[\s;]*")
PANEL_WRITES = {"create_model", "update_model", "delete_model"}


def breaches(tree: Tree) -> list[str]:
    """Return every transaction begun, ended, used or left in the wrong place."""
    found = []
    for source in tree.product:
        found += [source.breach(line, remedy) for line, remedy in _misplaced_transactions(source)]
        if source.is_door:
            found += [source.breach(line, remedy) for line, remedy in [*_sql_in_a_door(source), *_odd_reading(source)]]
        if source.is_act:
            found += [source.breach(line, remedy) for line, remedy in _escaping_objects(source)]
        if source.room == "admin":
            found += [source.breach(line, remedy) for line, remedy in _panel_that_commits(source)]
    return found


def _misplaced_transactions(source: Source) -> Iterator[tuple[int, str]]:
    if source.path == DATABASE:
        return
    remedy = "only an act (*ing.py) may use writing(); move the change into one"
    if not source.is_act:
        imported = [node for node in source.nodes(ast.ImportFrom) if "writing" in {alias.name for alias in node.names}]
        yield from ((node.lineno, remedy) for node in imported)
    for call in source.nodes(ast.Call):
        name = called(call.func).rpartition(".")[2]
        if name == "writing" and not source.is_act:
            yield call.lineno, remedy
        if name in ENDINGS and isinstance(call.func, ast.Attribute):
            yield call.lineno, f".{name}() belongs to {DATABASE}; use `with writing():`"
    for line, text in texts(source):
        if SPOKEN.fullmatch(text):
            yield line, f"a transaction by hand; {DATABASE} begins and ends them"


def _sql_in_a_door(source: Source) -> Iterator[tuple[int, str]]:
    remedy = "SQL in a door; read through queries.py, change through an act"
    for node in source.nodes(ast.ImportFrom):
        if (node.module or "").startswith("sqlalchemy") and STATEMENTS & {alias.name for alias in node.names}:
            yield node.lineno, remedy
    for call in source.nodes(ast.Call):
        before, _, name = called(call.func).rpartition(".")
        if name == "execute" or (name in STATEMENTS and before in SQLALCHEMY):
            yield call.lineno, remedy
    for used in source.nodes(ast.Attribute):
        if used.attr == "session" or called(used.value) == "session":
            yield used.lineno, "a door uses the session; read through queries.py, change through an act"


def _odd_reading(source: Source) -> Iterator[tuple[int, str]]:
    """Yield each ``reading()`` and ``reading_once()`` of a door that calls no query."""
    imported = [(node.module or "", alias) for node in source.nodes(ast.ImportFrom) for alias in node.names]
    queries = {alias.asname or alias.name for module, alias in imported if module.rpartition(".")[2] == "queries"}
    queries |= {alias.asname or "queries" for _, alias in imported if alias.name == "queries"}
    for call in source.nodes(ast.Call):
        if called(call.func).rpartition(".")[2] not in {"reading", "reading_once"}:
            continue
        blocks = [node for node in source.nodes(ast.With) if call in [item.context_expr for item in node.items]]
        scope = blocks[0] if blocks else call
        if not queries & {called(inner.func).split(".")[0] for inner in in_order(scope, ast.Call)}:
            yield call.lineno, "a door reads without queries; put the SELECT into the room's queries.py and call it here"


def _escaping_objects(source: Source) -> Iterator[tuple[int, str]]:
    """Yield what a function that owns a transaction returns although it lives in it, or may change after it."""
    from_models = [node for node in source.nodes(ast.ImportFrom) if (node.module or "").endswith("models")]
    models = {alias.asname or alias.name for node in from_models for alias in node.names} | {"models"}
    changeable = {node.name for node in source.nodes(ast.ClassDef) if _is_changeable_dataclass(node)}
    for act in source.nodes(ast.FunctionDef):
        owns = any(called(call.func).rpartition(".")[2] == "writing" for call in in_order(act, ast.Call))
        if not owns or act.returns is None:
            continue
        promised = {name.id for name in in_order(act.returns, ast.Name)}
        if promised & models:
            yield act.lineno, f"{act.name} returns an ORM object past its commit; return ids or a frozen dataclass"
        if promised & changeable:
            yield act.lineno, f"{act.name} returns a dataclass that is not frozen; write @dataclass(frozen=True)"


def _is_changeable_dataclass(node: ast.ClassDef) -> bool:
    marks = [ast.unparse(mark) for mark in node.decorator_list]
    return any("dataclass" in mark and "frozen=True" not in mark for mark in marks)


def _panel_that_commits(source: Source) -> Iterator[tuple[int, str]]:
    """Yield each view on Flask-Admin's own ModelView that would commit by itself."""
    for view in source.nodes(ast.ClassDef):
        bases = {called(base).rpartition(".")[2] for base in view.bases}
        missing = PANEL_WRITES - {node.name for node in view.body if isinstance(node, ast.FunctionDef)}
        if "ModelView" in bases and missing:
            yield view.lineno, f"{view.name} commits by itself; override {', '.join(sorted(missing))} to call acts"
