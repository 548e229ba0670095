"""Yesterday against the day before, from the summaries of daily sales."""

from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from sqlalchemy import Connection

from orderapp.admin import formats
from orderapp.reports import queries
from orderapp.reports.days import ONE_DAY, today

# What two days are compared by, with its words.
COMPARED = (
    ("revenue", "Revenue"),
    ("orders", "Orders"),
    ("average", "Average"),
    ("cancelled", "Cancelled"),
    ("failed", "Failed"),
)


@dataclass(frozen=True)
class Comparison:
    """One figure of two days, in one currency; None where a day is not summarised."""

    words: str
    yesterday: Any
    before: Any

    @property
    def change(self) -> str:
        """Return by how many per cent it grew or shrank."""
        if self.yesterday is None or self.before is None:
            return ""
        if self.yesterday == self.before:
            return "same"
        return formats.growth(self.yesterday, self.before) if self.before else "new"


def compared(session: Connection, zone: tzinfo) -> dict[str, list[Comparison]]:
    """Return the comparisons by currency; nothing without a summary of either day."""
    last = today(zone) - ONE_DAY
    rows = {(row["day"], row["currency"]): row for row in queries.daily_sales(session, last - ONE_DAY, last)}
    found = {}
    for currency in sorted({currency for _, currency in rows}):
        new, old = (rows.get((day, currency), {}) for day in (last, last - ONE_DAY))
        found[currency] = [Comparison(words, new.get(name), old.get(name)) for name, words in COMPARED]
    return found
