"""Rule 4: rows are locked ordered, by FOR NO KEY UPDATE, alone, in one order of tables; FOR UPDATE only in the outbox."""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise

from .tree import Source, Tree, called, in_order, texts

OUTBOX = "orderapp/outbox/"

# Whoever needs two of these locks them in this order, so that no two transactions wait for each other.
ORDER = ("orders", "products", "webhook_deliveries", "webhook_endpoints")

LOCK = re.compile(r"\bFOR\s+(NO\s+KEY\s+)?UPDATE\b(\s+OF\s+\w+)?(\s+SKIP\s+LOCKED)?", re.IGNORECASE)
CHANGE = re.compile(r"\b(UPDATE\s+\w+\s+(AS\s+\w+\s+|\w+\s+)?SET|INSERT\s+INTO|DELETE\s+FROM)\b", re.IGNORECASE)
ITEMS = re.compile(r"\bINSERT\s+INTO\s+order_items\b(?!.*\bORDER\s+BY\b)", re.IGNORECASE | re.DOTALL)


def breaches(tree: Tree) -> list[str]:
    """Return every lock that can block a POST or deadlock."""
    found = []
    for source in tree.product:
        faults = [*_locks_in_sql(source), *_locks_in_sqlalchemy(source), *_locks_out_of_order(source)]
        found += [source.breach(line, remedy) for line, remedy in faults]
    return found


def _statements(source: Source, within: ast.AST | None = None) -> Iterator[tuple[int, str]]:
    for line, text in texts(source, within):
        for statement in re.sub(r"--[^\n]*", "", text).split(";"):
            yield line, statement


def _locks(statement: str) -> list[re.Match[str]]:
    """Return the lock clauses; prose such as "waits for update" is none."""
    sql = "select" in statement.lower()
    return [lock for lock in LOCK.finditer(statement) if sql or lock.group().isupper()]


def _locks_in_sql(source: Source) -> Iterator[tuple[int, str]]:
    for line, statement in _statements(source):
        for lock in _locks(statement):
            weak, _, skips = lock.groups()
            selected = re.split(r"\bSELECT\b", statement[: lock.start()], flags=re.IGNORECASE)[-1]
            if not weak and not (source.path.startswith(OUTBOX) and skips):
                yield line, "FOR UPDATE blocks every POST's foreign-key check; write ORDER BY id FOR NO KEY UPDATE"
            elif not re.search(r"\bORDER\s+BY\b", selected, re.IGNORECASE):
                yield line, "locks rows in any order and can deadlock; write ORDER BY id before the lock"
            elif not skips and CHANGE.search(statement):
                yield line, "locks and changes in one statement, on a snapshot older than the lock; lock in one of its own"
        if ITEMS.search(statement):
            yield line, "items are inserted in any order and can deadlock; add ORDER BY product_id"


def _locks_in_sqlalchemy(source: Source) -> Iterator[tuple[int, str]]:
    calls = source.nodes(ast.Call)
    ordered = {id(link) for call in calls if ".order_by" in called(call) for link in _chain(call)}
    for call in calls:
        if not called(call.func).endswith(".with_for_update"):
            continue
        true = {word.arg for word in call.keywords if isinstance(word.value, ast.Constant) and word.value.value is True}
        if "key_share" not in true and not (source.path.startswith(OUTBOX) and "skip_locked" in true):
            yield call.lineno, "a plain FOR UPDATE; write with_for_update(key_share=True), which is FOR NO KEY UPDATE"
        elif id(call) not in ordered:
            yield call.lineno, "locks rows in any order and can deadlock; add order_by"


def _chain(call: ast.expr) -> Iterator[ast.expr]:
    """Yield a call and the calls that it is chained to: ``select(X).order_by(Y)`` holds two."""
    while isinstance(call, ast.Call | ast.Attribute):
        yield call
        call = call.func if isinstance(call, ast.Call) else call.value


def _locks_out_of_order(source: Source) -> Iterator[tuple[int, str]]:
    """Compare the locks that one function takes, in SQL of its own or by the name of a module's constant."""
    constants = {
        name.id: table
        for node in source.code.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for name in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(name, ast.Name)
        for _, table in _locked_lines(source, node)
    }
    for function in source.nodes(ast.FunctionDef):
        by_name = [(name.lineno, constants[name.id]) for name in in_order(function, ast.Name) if name.id in constants]
        taken = sorted([*by_name, *_locked_lines(source, function)])
        for (_, earlier), (line, later) in pairwise(taken):
            if ORDER.index(earlier) > ORDER.index(later):
                yield line, f"locks {later} after {earlier}; the order is {' -> '.join(ORDER)}"


def _locked_lines(source: Source, within: ast.AST) -> Iterator[tuple[int, str]]:
    for line, statement in _statements(source, within):
        table = re.search(r"\bFROM\s+(\w+)", statement, re.IGNORECASE)
        if table and table.group(1) in ORDER and _locks(statement):
            yield line, table.group(1)
