"""Rule 5: one writer for the stock, one for the status, one way out to the world, one place that speaks AMQP."""

import ast
import re
from collections.abc import Iterator

from .tree import Source, Tree, called, in_order, texts

# (table, model, column): the only file that changes it.
WRITERS = {
    ("products", "Product", "stock"): "orderapp/products/stock.py",
    ("orders", "Order", "status"): "orderapp/orders/states.py",
}

# Who may speak HTTP to the outside, and why.
HTTP = ("requests", "requests_hardened", "httpx", "aiohttp", "urllib3", "urllib.request", "http.client")
HTTP_CLIENTS = {
    "orderapp/local/readiness.py",  # `make run` asks its own web process whether it is ready
    "orderapp/webhooks/sending.py",  # sends webhooks
    "orderapp/webhooks/target.py",  # the POST of sending.py
    "orderapp/webhooks/addresses.py",  # vets the address that it connects to
    "orderapp/orders/simulator.py",  # plays a client of our own API
    "orderapp/monitoring/doctor.py",  # asks the services whether they answer; makes a drill's virtual host
}

AMQP = ("kombu", "amqp")
AMQP_SPEAKERS = {
    "orderapp/outbox/broker.py",  # publishes
    "orderapp/outbox/dead_letters.py",  # looks at dead letters
    "orderapp/outbox/inspection.py",  # looks at version, queues and confirms for the doctor
    "orderapp/queues.py",  # declares the queues
    "orderapp/worker.py",  # consumes
    "orderapp/filebroker.py",  # is the broker of `make run`
}


def breaches(tree: Tree) -> list[str]:
    """Return every second writer, every other way out and every other speaker of AMQP."""
    found = []
    for source in tree.product:
        for wanted in tree.imports(source):
            if wanted.is_of(*HTTP) and source.path not in HTTP_CLIENTS:
                found.append(source.breach(wanted.line, "outgoing HTTP; only webhooks/sending.py may reach out"))
            if wanted.is_of(*AMQP) and source.path not in AMQP_SPEAKERS:
                found.append(source.breach(wanted.line, "speaks AMQP; enqueue() a row and let outbox/broker.py publish it"))
        for (table, model, column), writer in WRITERS.items():
            if source.path != writer:
                lines = [*_in_sql(source, table, column), *_in_python(source, model, column)]
                found += [source.breach(line, f"writes {table}.{column}; only {writer} does, call it") for line in lines]
    return found


def _in_sql(source: Source, table: str, column: str) -> Iterator[int]:
    name = rf'(?:ONLY\s+)?(?:public\.)?"?{table}"?\b'
    change = rf"\b(?:UPDATE\s+{name}|INSERT\s+INTO\s+{name}[^;]*?\bDO\s+UPDATE)[^;]*?\bSET\b"
    for line, text in texts(source):
        for found in re.finditer(change, text, re.IGNORECASE):
            if re.search(rf'\b"?{column}"?\s*=', _assignments(text[found.end() :]), re.IGNORECASE):
                yield line


def _assignments(sql: str) -> str:
    """Return what stands between SET and the WHERE, FROM or RETURNING that ends it."""
    depth = 0
    for token in re.finditer(r"[();]|\b(?:WHERE|FROM|RETURNING)\b", sql, re.IGNORECASE):
        depth += {"(": 1, ")": -1}.get(token.group(), 0)
        if depth < 0 or (depth == 0 and token.group() not in "()"):
            return sql[: token.start()]
    return sql


def _in_python(source: Source, model: str, column: str) -> Iterator[int]:
    for target in source.nodes(ast.Attribute):
        if target.attr == column and isinstance(target.ctx, ast.Store) and called(target.value) != "self":
            yield target.lineno
    for call in source.nodes(ast.Call):
        if called(call.func) == "setattr" and column in _constants(call):
            yield call.lineno
        if called(call.func).endswith(".values") and _is_update_of(call, model) and column in _constants(call):
            yield call.lineno


def _constants(call: ast.Call) -> set[str | None]:
    """Return the keywords of a call and the strings among its arguments: ``values(stock=1)``, ``values({"stock": 1})``."""
    strings = {str(node.value) for argument in call.args for node in in_order(argument, ast.Constant)}
    return {word.arg for word in call.keywords} | strings


def _is_update_of(call: ast.Call, model: str) -> bool:
    updates = [inner for inner in in_order(call, ast.Call) if called(inner.func).rpartition(".")[2] == "update"]
    return any(called(argument).rpartition(".")[2] == model for inner in updates for argument in inner.args)
