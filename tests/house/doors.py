"""Rule 2: inside a room doors use acts, acts use things, never back; only the roof opens a door."""

from .tree import Import, Source, Tree

ROOF = "orderapp/__init__.py"
DOORS = {"routes", "tasks", "cli"}

# An act runs the same from HTTP, from a worker, from a terminal and from a test.
WORDS_OF_DOORS = ("flask", "celery")


def breaches(tree: Tree) -> list[str]:
    """Return every import from an inner file outwards, of a door, of another room's schemas, of a framework in an act."""
    return [
        source.breach(wanted.line, remedy)
        for source in tree.product
        for wanted in tree.imports(source)
        for remedy in [_remedy(source, wanted)]
        if remedy
    ]


def _remedy(source: Source, wanted: Import) -> str | None:
    parts = [*wanted.target.split("."), "", ""]
    top, room, module = parts[:3]
    if source.is_act and (top in WORDS_OF_DOORS or top.startswith(("flask_", "celery_"))):
        return f"an act imports {top}; let the door pass in what the act needs"
    if top != "orderapp":
        return None
    if module in DOORS and source.path != ROOF:
        return f"imports the door {wanted.target}; only create_app() does, others call the act behind it"
    if module == "schemas" and source.room not in {room, None}:
        return f"imports the schemas of {room}; every room words its own input and output"
    if module.endswith("ing") and source.room == room and not (source.is_door or source.is_act):
        return f"a thing imports the act {wanted.target}; let the act call the thing"
    return None
