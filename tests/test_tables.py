"""Terminal tables."""

import json

import pytest
from flask import Flask

from orderapp import tables


def test_a_name_with_markup_is_printed_as_it_is(app: Flask, capsys: pytest.CaptureFixture[str]) -> None:
    """A product called "Lamp [/]" must not break the list of products, nor colour it."""
    with app.app_context():
        tables.show([{"id": 1, "name": "Lamp [/] [red]"}], as_json=False, empty="none")
    assert "Lamp [/] [red]" in capsys.readouterr().out


def test_machines_read_json_and_people_a_sentence_when_there_is_nothing(app: Flask, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty list is still JSON to a script; a person is told what the emptiness means."""
    with app.app_context():
        tables.show([], as_json=True, empty="Nothing is parked.")
        tables.show([], as_json=False, empty="Nothing is parked.")
    first, second = capsys.readouterr().out.splitlines()
    assert json.loads(first) == []
    assert second == "Nothing is parked."
