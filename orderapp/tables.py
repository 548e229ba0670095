"""Terminal tables: the same rows for people, or as JSON with ``--json``."""

from collections.abc import Sequence
from typing import Any

import click
from flask import current_app
from rich.console import Console
from rich.markup import escape
from rich.table import Table


def show(rows: Sequence[dict[str, Any]], *, as_json: bool, empty: str) -> None:
    """Print the rows; ``empty`` is what a person reads when there are none."""
    if as_json:
        click.echo(current_app.json.dumps(list(rows)))
        return
    if not rows:
        click.echo(empty)
        return
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    Console().print(table)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.1f}" if isinstance(value, float) else escape(str(value))
