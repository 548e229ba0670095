"""Rule 10 and style: no module is named after nothing; modules, rooms, public functions and classes say what they are for."""

import ast
from pathlib import PurePosixPath

from .tree import Tree

EMPTY_WORDS = {"util", "utils", "helper", "helpers", "common", "service", "services", "manager", "managers"}
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def name_breaches(tree: Tree) -> list[str]:
    """Return every module or package whose name holds a word for anything."""
    return [
        source.breach(1, f"'{part}' says nothing; name it after what is inside")
        for source in tree.sources
        for part in PurePosixPath(source.path).with_suffix("").parts
        if EMPTY_WORDS & set(part.lower().split("_"))
    ]


def docstring_breaches(tree: Tree) -> list[str]:
    """Return every module, public function and public class of orderapp without a docstring, and rooms without a front page."""
    pages = {source.path for source in tree.sources}
    missing = [room for room in tree.rooms if f"orderapp/{room}/__init__.py" not in pages]
    found = [f"orderapp/{room}/__init__.py:1: missing; say in its docstring what the room is for" for room in missing]
    for source in tree.product:
        if source.in_orderapp:
            public = [node for node in source.code.body if isinstance(node, Definition) and not node.name.startswith("_")]
            mute = [node for node in public if ast.get_docstring(node) is None]
            found += [source.breach(node.lineno, f"{node.name} has no docstring; say what is true afterwards") for node in mute]
            if ast.get_docstring(source.code) is None:
                found.append(source.breach(1, "no docstring; say what the module is for"))
    return found
