"""The page behind the ``type`` of a problem document: what it means, what to do."""

from html import escape

from flask import Flask, abort

from orderapp.access import public
from orderapp.problems import KINDS, PREFIX, address


def init_app(app: Flask) -> None:
    """Serve the pages, to everybody: who has no key yet needs them most."""
    app.add_url_rule(PREFIX, "problems", public(_list))
    app.add_url_rule(f"{PREFIX}<name>/", "problem", public(_page))


def _list() -> str:
    rows = (f'<li>{kind.status} <a href="{address(kind.status, kind.name)}">{kind.name}</a></li>' for kind in KINDS)
    return _html("Problems", f"<ul>{''.join(rows)}</ul>")


def _page(name: str) -> str:
    kind = next((kind for kind in KINDS if kind.name == name), None)
    if kind is None:
        abort(404)
    words = f"<p>Status {kind.status}. {escape(kind.meaning)}</p><p>{escape(kind.remedy)}</p>"
    return _html(kind.name, f'{words}<p><a href="{PREFIX}">All problems</a></p>')


def _html(title: str, body: str) -> str:
    return f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><h1>{title}</h1>{body}</html>'
