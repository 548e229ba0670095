"""``flask doctor`` in tests: what it found, by check."""

from dataclasses import replace
from typing import Any

import orjson
from flask import Flask
from flask.testing import FlaskCliRunner

Found = dict[str, tuple[str, str, str]]


def examine(runner: FlaskCliRunner, *options: str, code: int) -> Found:
    """Return the findings by check, as (state, found, remedy); the worst of those that share a name."""
    result = runner.invoke(args=["doctor", "--json", *options])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    order = ["ok", "warning", "fault"]
    rows = sorted(orjson.loads(result.stdout), key=lambda row: order.index(row["state"]))
    assert all(bool(row["remedy"]) == (row["state"] != "ok") for row in rows), "a remedy for what needs one, and only there"
    return {row["check"]: (row["state"], row["found"], row["remedy"]) for row in rows}


def change(app: Flask, **settings: Any) -> None:
    """Give the application other settings."""
    app.extensions["settings"] = replace(app.extensions["settings"], **settings)
