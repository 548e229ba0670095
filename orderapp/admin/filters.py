"""What a list is narrowed to: each filter reads its own part of the address and refuses what makes no sense."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from flask import request

from orderapp.database import LAST_ID

# Characters of a search; references have 64, names 200.
LONGEST_TEXT = 200


@dataclass(frozen=True)
class Filter:
    """One field above a list; ``kind`` is text, number, date or choice."""

    name: str
    label: str
    kind: str = "text"
    choices: tuple[str, ...] = ()

    @property
    def raw(self) -> str:
        """Return what was asked for, as it came."""
        return request.args.get(self.name, "").strip()

    @property
    def shown(self) -> str:
        """Return what the field shows: of a date, which the browser refuses to show when it is none, only a date."""
        try:
            return self.raw if self.kind != "date" or self.read() else ""
        except ValueError:
            return ""

    def read(self) -> Any:
        """Return the value to search for, None without one. Raises ValueError saying what is wrong with it."""
        if not self.raw:
            return None
        if self.kind == "number":
            return number(self.raw)
        if self.kind == "date":
            return date.fromisoformat(self.raw)
        if self.kind == "choice" and self.raw not in self.choices:
            raise ValueError("is not one of those offered")
        if len(self.raw) > LONGEST_TEXT or not self.raw.isprintable():
            raise ValueError(f"must be at most {LONGEST_TEXT} printable characters")
        return self.raw


def number(raw: object) -> int:
    """Return an id that may exist. Raises ValueError."""
    text = str(raw).strip()
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(LAST_ID)) and 0 < int(text) <= LAST_ID):
        raise ValueError("must be a number of a row")
    return int(text)


def number_in(words: str) -> int:
    """Return the id that a search may mean; 0, which no row has, when it means none."""
    try:
        return number(words)
    except ValueError:
        return 0


def read_all(filters: Iterable[Filter]) -> tuple[dict[str, Any], list[str]]:
    """Return what is asked for by name, and the faults in words."""
    values, faults = {}, []
    for each in filters:
        try:
            values[each.name] = each.read()
        except ValueError as error:
            faults.append(f"{each.label} {error}.")
    return values, faults
