"""People at the panel: a client with a session of its own, that fills in forms as a browser does."""

import re
from html import unescape
from typing import Any
from urllib.parse import urlsplit

from flask import Flask
from werkzeug.test import TestResponse

from orderapp.accounts import passwords
from tests.sql import sql

PASSWORD = "correct horse battery"

# Role and name.
PEOPLE = {"viewer": "vera", "operator": "oscar", "superuser": "alice"}

TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')
ALERT = re.compile(r'role="alert">(.*?)</div>', re.DOTALL)


class Visitor:
    """Somebody with a browser."""

    def __init__(self, app: Flask) -> None:
        """Open the browser; nobody is logged in."""
        self.client = app.test_client()

    def get(self, path: str, **query: Any) -> TestResponse:
        """Open a page."""
        return self.client.get(path, query_string=query or None)

    def token(self, page: str = "/admin/login/") -> str:
        """Return the CSRF token that a page's forms carry."""
        found = TOKEN.search(self.client.get(page, follow_redirects=True).text)
        assert found, f"{page} holds no token"
        return found[1]

    def post(self, path: str, data: dict[str, Any] | None = None) -> TestResponse:
        """Send a form of the panel, with its token."""
        return self.client.post(path, data={"csrf_token": self.token(), **(data or {})})

    def told(self, path: str, data: dict[str, Any]) -> str:
        """Send a form and return what the next page says about it."""
        answer = self.post(path, data)
        if answer.status_code == 302:
            target = urlsplit(answer.headers["Location"])
            assert not target.netloc
            answer = self.client.get(f"{target.path}?{target.query}")
        assert answer.status_code == 200, answer.text
        return alerts(answer)

    def log_in(self, name: str, password: str = PASSWORD, **more: str) -> TestResponse:
        """Send the login."""
        return self.post("/admin/login/", {"name": name, "password": password, **more})


def alerts(answer: TestResponse) -> str:
    """Return what a page tells in its boxes."""
    return " | ".join(unescape(words).strip() for words in ALERT.findall(answer.text))


def create_people() -> None:
    """Create one user of each role; one hash for all, for hashing is slow on purpose."""
    password_hash = passwords.hash_of(PASSWORD)
    for role, name in PEOPLE.items():
        statement = "INSERT INTO users (name, password_hash, role) VALUES (%(name)s, %(password_hash)s, %(role)s)"
        sql(statement, name=name, password_hash=password_hash, role=role)


def contents() -> dict[str, str]:
    """Return a fingerprint of every table's rows; the counters of the login are nobody's data."""
    tables = sql("SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1")
    names = [row.relname for row in tables if row.relname != "rate_limits"]
    each = [f"SELECT '{name}' AS name, md5(string_agg(t::text, '|' ORDER BY t::text)) AS rows FROM {name} t" for name in names]
    return {row.name: row.rows for row in sql(" UNION ALL ".join(each))}
