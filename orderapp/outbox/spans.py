"""The spans of a window: one per message, from its making until the broker's answer. Nothing when traces are off."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from orderapp import traces
from orderapp.outbox.receipts import Message, Receipt
from orderapp.queues import Task

if TYPE_CHECKING:
    from orderapp.spans import Span


class WindowSpans:
    """What a relay knows of the traces of the window that it publishes now."""

    def __init__(self) -> None:
        self._open: dict[int, Span] = {}

    def open(self, task: Task, row_ids: Sequence[int], causes: Collection[str | None]) -> dict[str, str]:
        """Begin the span of a message whose rows have these causes; returns the header that its task goes on from."""
        if not traces.are_made():  # asked here, for what follows would be a tenth of a message's time
            return {}
        about = {"messaging.system": "rabbitmq", "messaging.destination.name": task.queue, "rows": len(row_ids)}
        span = traces.open_span(f"publish {task.name}", "producer", causes, **about)
        if span is None:
            return {}
        self._open[row_ids[0]] = span
        return traces.headers(span)

    def end(self, published: Sequence[Message], receipt: Receipt) -> None:
        """End the spans of what was published; those of an earlier window that failed half-way are forgotten."""
        if not self._open:
            return
        acked = {message.id for message in receipt.acked}
        for message in published:
            span = self._open.pop(message.row_ids[0])
            span.set_attribute("message_id", message.id)
            traces.end(span, None if message.id in acked else "not confirmed")
        self._open.clear()
