"""Rule 1: a room imports only from floors below its own; rooms on one floor do not know each other."""

from .tree import Source, Tree

# Lowest first. The ground is config.py, config_kinds.py, heartbeat.py, tally.py and the modules directly in orderapp/; the
# roof is orderapp/__init__.py and the other files at the top (wsgi.py, celery_worker.py, gunicorn.conf.py).
FLOORS = (
    ("products", "outbox", "accounts"),
    ("orders",),
    ("webhooks", "reports"),
    ("monitoring",),
    ("admin", "local", "reference"),
    ("drill",),
)
GROUND, ROOF = 0, len(FLOORS) + 1
ROOMS = {room: floor for floor, rooms in enumerate(FLOORS, start=1) for room in rooms}


def breaches(tree: Tree) -> list[str]:
    """Return every import that goes up or across, and every room without a floor."""
    homeless = [room for room in tree.rooms if room not in ROOMS]
    found = [f"orderapp/{room}/__init__.py:1: no floor; give the room one in tests/house/floors.py" for room in homeless]
    for source in tree.product:
        for wanted in tree.imports(source):
            remedy = _remedy(tree, source, wanted.target)
            if remedy:
                found.append(source.breach(wanted.line, remedy))
    return found


def _remedy(tree: Tree, source: Source, target: str) -> str | None:
    here, there = _floor_of_source(source), _floor_of_target(tree, target)
    room = target.split(".")[1] if target.startswith("orderapp.") else None
    if there is None or source.room == room:
        return None
    if source.room == "orders" and room == "webhooks":
        return "orders never imports webhooks; the roof subscribes webhooks.fan_out to order events"
    if there > here:
        return f"imports {target} from a floor above; let the roof introduce the two, or move what is shared down"
    if there == here and GROUND < here < ROOF:
        return f"imports {target} from a room on the same floor; let a room above or the roof connect the two"
    return None


def _floor_of_source(source: Source) -> int:
    if source.room:
        return ROOMS.get(source.room, ROOF)
    ground = source.path in {"config.py", "config_kinds.py", "heartbeat.py", "tally.py"} or (
        source.in_orderapp and source.name != "__init__.py"
    )
    return GROUND if ground else ROOF


def _floor_of_target(tree: Tree, target: str) -> int | None:
    """Return the floor of what is imported; None for a library."""
    top, _, rest = target.partition(".")
    if top == "orderapp":
        name = rest.partition(".")[0]
        on_ground = any(source.path == f"orderapp/{name}.py" for source in tree.sources)
        return ROOMS.get(name, GROUND if on_ground else ROOF)
    if top in {"config", "config_kinds", "heartbeat", "tally"}:
        return GROUND
    return ROOF if any(source.path == f"{top}.py" for source in tree.sources) else None
