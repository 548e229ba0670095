"""Rule 6: what is read in one go stays small."""

import ast
from statistics import median

from .tree import Tree

MODULE, MEDIAN, FUNCTION, README, CONFTEST = 300, 80, 40, 150, 150


def breaches(tree: Tree) -> list[str]:
    """Return everything longer than its limit. Applied migrations are exempt: they are never edited again."""
    found = []
    for source in tree.sources:
        if source.path.startswith("migrations/versions/"):
            continue
        limit = CONFTEST if source.name == "conftest.py" else MODULE
        length = _lines(source.text)
        if length > limit:
            found.append(source.breach(limit + 1, f"{length} lines, {limit} at most; split it by what its parts are about"))
        for function in source.nodes(ast.stmt):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                span = (function.end_lineno or 0) - function.lineno + 1
                if span > FUNCTION:
                    found.append(source.breach(function.lineno, f"{function.name} has {span} lines, {FUNCTION} at most"))
    return found + _typical_module(tree) + _readme(tree)


def _typical_module(tree: Tree) -> list[str]:
    sizes = [_lines(source.text) for source in tree.sources if source.in_orderapp]
    middle = median([size for size in sizes if size] or [0])
    return [f"orderapp:1: its median module has {middle} lines, {MEDIAN} at most"] if middle > MEDIAN else []


def _readme(tree: Tree) -> list[str]:
    readme = tree.root / "README.md"
    if not readme.exists():
        return ["README.md:1: there is no README.md"]
    length = _lines(readme.read_text(encoding="utf-8"))
    return [f"README.md:{README + 1}: {length} lines, {README} at most; move the rest to docs/"] if length > README else []


def _lines(text: str) -> int:
    return len(text.splitlines())
