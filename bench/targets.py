"""What is asked for: ratios within one run, and a few absolute figures. Fixed; never adjusted to what was measured."""

from dataclasses import dataclass

# Sample names are those that the cases give; a ratio is the first over the second.


@dataclass(frozen=True)
class Target:
    """A ratio of two samples, or (``against`` None) a figure: to close it must be reached, the goal is where we want to be."""

    case: str
    subject: str
    against: str | None
    to_close: float | None = None
    goal: float | None = None
    at_most: bool = False

    @property
    def name(self) -> str:
        """Return what it is called in the table."""
        return f"{self.subject} / {self.against}" if self.against else self.subject

    def verdict(self, value: float) -> str:
        """Return goal, met or missed; a ratio that nobody asks for is only shown."""
        if self.to_close is None:
            return "shown"
        if self.goal is not None and self._reaches(value, self.goal):
            return "goal"
        return "met" if self._reaches(value, self.to_close) else "MISSED"

    def _reaches(self, value: float, wanted: float) -> bool:
        return value <= wanted if self.at_most else value >= wanted


TARGETS = (
    Target("post", "ours", "pgbench", 0.30, 0.40),
    Target("post", "ours", "fastapi", 0.8, 1.0),
    Target("post", "ours", "flask-orm", 3),
    Target("post", "ours", "django", 3, 5),
    Target("get", "ours", "constant", 0.25, 0.35),
    Target("relay", "ours", "raw", 0.4, 0.5),
    Target("relay", "ours", "django-celery-outbox", 4),
    Target("relay_backlog", "1,000,000 due", "1,000", 0.9, 0.97),
    Target("relay_backlog", "1,000,000 later", "1,000", 0.9, 0.97),
    Target("settle", "ours", "pgbench", 1.0, 1.5),
    Target("settle", "ours", "django", 15),
    Target("settle", "ours", "celery no-op"),
    Target("settle", "ours", "procrastinate no-op"),
    Target("settle_hot", "one product", "spread", 0.8, 0.95),
    Target("pipeline", "settled", "post only", 0.65, 0.8),
    Target("webhooks", "ours", "bare loop", 0.7),
    Target("idle_latency", "p50 ms", None, 15, 8, at_most=True),
    Target("idle_latency", "p99 ms", None, 50, 25, at_most=True),
    Target("time_to_settled", "ours p50 ms", "task.delay p50 ms", 2, 1.2, at_most=True),
    Target("memory", "web worker MB", None, 120, 90, at_most=True),
    Target("memory", "relay MB", None, 120, 90, at_most=True),
    Target("memory", "worker child MB", None, 120, 90, at_most=True),
    Target("make_run", "second start s", None, 15, 8, at_most=True),
    Target("held_snapshot", "throughput held", "throughput", 0.9, 0.95),
    Target("held_snapshot", "p99 ms held", "p99 ms", 2, None, at_most=True),
    Target("many_orders", "POST ms at 1,000,000", "POST ms at 10,000", 1.25, 1.1, at_most=True),
    Target("many_orders", "GET ms at 1,000,000", "GET ms at 10,000", 1.25, 1.1, at_most=True),
    Target("many_orders", "list ms at 1,000,000", "list ms at 10,000", 1.25, 1.1, at_most=True),
    Target("many_orders", "settle ms at 1,000,000", "settle ms at 10,000", 1.25, 1.1, at_most=True),
    *(
        Target("pages", f"{page} p50 ms at 1,000,000", f"{page} p50 ms at 1,000", 1.3, at_most=True)
        for page in ("detail", "first page", "deep page", "first page of confirmed")
    ),
    Target("more_orders", "POST ms at 10,000,000", "POST ms at 10,000", 1.25, 1.1, at_most=True),
    Target("more_orders", "GET ms at 10,000,000", "GET ms at 10,000", 1.25, 1.1, at_most=True),
    Target("more_orders", "list ms at 10,000,000", "list ms at 10,000", 1.25, 1.1, at_most=True),
    Target("more_orders", "settle ms at 10,000,000", "settle ms at 10,000", 1.25, 1.1, at_most=True),
)
