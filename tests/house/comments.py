"""Rules 7 and 9: numbers and broad excepts give their reason in a comment; nothing prints; logs are not formatted."""

import ast
import re
from collections.abc import Iterator

from .tree import Source, Tree, called, in_order

BROAD = {"Exception", "BaseException"}
LOGGER = re.compile(r"(^|.*[._])(log|logger|logging|getLogger|get_logger)$", re.IGNORECASE)


def number_breaches(tree: Tree) -> list[str]:
    """Return every number constant of a module without a comment right above it."""
    remedy = "a number without its reason; say in a comment above it why it is this number"
    return [
        source.breach(node.lineno, remedy)
        for source in tree.product
        for node in source.code.body
        if _names_a_number(node, any_case=source.path == "gunicorn.conf.py")
        if node.lineno - 1 not in source.own_lines
    ]


def _names_a_number(node: ast.stmt, *, any_case: bool) -> bool:
    if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
        return False
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    names = [name.id for target in targets for name in in_order(target, ast.Name)]
    return any(any_case or name.isupper() for name in names) and _is_number(node.value)


def _is_number(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int | float) and not isinstance(node.value, bool)
    if isinstance(node, ast.UnaryOp):
        return _is_number(node.operand)
    if isinstance(node, ast.BinOp):
        return _is_number(node.left) or _is_number(node.right)
    if isinstance(node, ast.Tuple):
        return any(_is_number(part) for part in node.elts)
    if isinstance(node, ast.Call) and called(node).rpartition(".")[2] in {"timedelta", "Decimal"}:
        return any(isinstance(part, ast.Constant) for part in ast.walk(node))
    return False


def except_breaches(tree: Tree) -> list[str]:
    """Return every broad except without a comment on its line, above it or on the first line below."""
    remedy = "catches everything; say in a comment who will see the error"
    return [source.breach(line, remedy) for source in tree.product for line in _silent_excepts(source)]


def _silent_excepts(source: Source) -> Iterator[int]:
    for node in source.nodes(ast.AST):
        if isinstance(node, ast.ExceptHandler):
            broad = node.type is None or _is_broad(node.type)
        else:
            broad = isinstance(node, ast.Call) and called(node).endswith("suppress") and any(map(_is_broad, node.args))
        line = getattr(node, "lineno", 0)
        if broad and not {line, line + 1} & source.comments.keys() and line - 1 not in source.own_lines:
            yield line


def _is_broad(node: ast.expr) -> bool:
    return bool(BROAD & {name.id for name in in_order(node, ast.Name)})


def print_breaches(tree: Tree) -> list[str]:
    """Return every use of print."""
    remedy = "prints; log what happened, or answer a person through rich's console"
    uses = [(source, name) for source in tree.product for name in source.nodes(ast.Name) if name.id == "print"]
    return [source.breach(name.lineno, remedy) for source, name in uses]


def log_breaches(tree: Tree) -> list[str]:
    """Return every log call that formats its text: it could be neither counted nor searched."""
    remedy = 'formats a log line; name the event and pass the rest: log.info("order_placed", order_id=order_id)'
    return [
        source.breach(call.lineno, remedy)
        for source in tree.product
        for call in source.nodes(ast.Call)
        if isinstance(call.func, ast.Attribute) and LOGGER.match(_spoken_to(call.func.value))
        if any(_formats(part) for value in [*call.args, *call.keywords] for part in ast.walk(value))
    ]


def _spoken_to(node: ast.expr) -> str:
    """Return the name of the object whose method is called; ``log.bind(...)`` is still the log."""
    name = called(node)
    return name.removesuffix(".bind") if isinstance(node, ast.Call) else name


def _formats(node: ast.AST) -> bool:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        return isinstance(node.left, ast.Constant) and isinstance(node.left.value, str)
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Call) and called(node).endswith(".format"))
