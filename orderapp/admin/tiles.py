"""The single numbers of the dashboard, in words, and which of them somebody should look at."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from orderapp.admin import formats
from orderapp.admin.figures import MOST_COUNTED

# Seconds that an order may be open: a lost message costs up to 35, a dead worker 20. What is older, something holds up.
LONGEST_OPEN = 60

# Seconds that a message may be due: a relay takes it within 60 ms, and within 5 s after an outage of the broker.
LONGEST_DUE = 10


@dataclass(frozen=True)
class Part:
    """What one question of the dashboard came to, or why it has no answer."""

    value: Any = None
    fault: str | None = None


@dataclass(frozen=True)
class Tile:
    """One number: what it is of, what there is to add, where its list is; ``look`` when somebody should."""

    title: str
    number: str
    note: str
    endpoint: str | None = None
    query: dict[str, str] = field(default_factory=dict)
    look: bool = False


def from_parts(found: Mapping[str, Part]) -> list[Tile]:
    """Return the tiles, what is most urgent first."""
    rows: tuple[tuple[str, str, Callable[[Any], Tile]], ...] = (
        ("Open orders", "open", _open),
        ("Time to settled", "flow", _settled),
        ("Outbox", "outbox", _outbox),
        ("Parked messages", "outbox", _parked),
        ("Webhook success", "webhooks", _webhooks),
        ("Webhooks on their way", "webhooks", _on_their_way),
    )
    shown = [_tile(title, found[name], say) for title, name, say in rows]
    return [*shown, Tile("Dead letters", "?", "Only RabbitMQ counts them: flask outbox dead")]


def _tile(title: str, part: Part, say: Callable[[Any], Tile]) -> Tile:
    return Tile(title, "–", part.fault) if part.fault else say(part.value)  # noqa: RUF001 - as cells without a value


def _open(row: Any) -> Tile:
    age = f"the oldest for {formats.seconds(row.oldest)}" if row.orders else "all are settled"
    woken = f"; {_count(row.rescued)} woken again" if row.rescued else ""
    late = row.orders > 0 and row.oldest > LONGEST_OPEN
    return Tile("Open orders", _count(row.orders), f"{age}{woken}", "admin_orders.index_view", {"status": "pending"}, late)


def _settled(flow: Any) -> Tile:
    if not flow.total.orders:
        return Tile("Time to settled", "–", "no order in the last hour")  # noqa: RUF001
    half, most = (formats.seconds(took) for took in flow.total.took)
    return Tile("Time to settled", half, f"half of the last hour's orders; 95 % in {most}")


def _outbox(row: Any) -> Tile:
    waits = f"the oldest for {formats.seconds(row['oldest'])}" if row["due"] else "all are on their way"
    return Tile("Outbox", _count(row["due"]), f"messages due; {waits}", look=(row["oldest"] or 0) > LONGEST_DUE)


def _parked(row: Any) -> Tile:
    note = "could not be published: decide" if row["parked"] else "every message could be published"
    return Tile("Parked messages", _count(row["parked"]), note, "admin_parked.index_view", look=row["parked"] > 0)


def _webhooks(row: Any) -> Tile:
    if not row["attempts"]:
        return Tile("Webhook success", "–", "none was sent in the last hour", "admin_deliveries.index_view")  # noqa: RUF001
    note = f"of {row['attempts']:,} attempts succeeded in the last hour"
    return Tile("Webhook success", formats.share(row["succeeded"], row["attempts"]), note, "admin_deliveries.index_view")


def _on_their_way(row: Any) -> Tile:
    lost = row["given_up"]
    note = f"{_count(lost)} given up in 24 h: resend" if lost else "none given up in 24 h"
    query = {"state": "exhausted" if lost else "pending"}
    return Tile("Webhooks on their way", _count(row["open"]), note, "admin_deliveries.index_view", query, lost > 0)


def _count(number: int) -> str:
    return f"{number:,}" if number < MOST_COUNTED else f"{number:,}+"
