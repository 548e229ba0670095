"""``flask users``: what an administrator does at the terminal."""

import json

import pytest
from flask.testing import FlaskCliRunner

from orderapp.access import SCOPES
from orderapp.accounts import authenticating
from tests.sql import one, sql

from . import NAME, PASSWORD


def test_a_superuser_is_asked_for_name_and_password_twice(runner: FlaskCliRunner) -> None:
    """The password is not shown."""
    result = runner.invoke(args=["users", "create-superuser"], input=f"{NAME}\n{PASSWORD}\n{PASSWORD}\n")
    assert result.exit_code == 0, result.output
    assert "Superuser alice created. Log in at /admin/." in result.output
    assert PASSWORD not in result.output
    assert one("SELECT role FROM users") == "superuser"
    assert one("SELECT actor FROM audit_log").startswith("cli")


def test_options_answer_the_questions(runner: FlaskCliRunner) -> None:
    """For scripts."""
    result = runner.invoke(args=["users", "create-superuser", "--name", NAME, "--password", PASSWORD])
    assert result.exit_code == 0, result.output
    assert authenticating.log_in(NAME, PASSWORD)


@pytest.mark.parametrize("role", ["viewer", "operator", "superuser"])
def test_any_role_can_be_created(runner: FlaskCliRunner, role: str) -> None:
    """By name and role."""
    result = runner.invoke(args=["users", "create", NAME, "--role", role, "--password", PASSWORD])
    assert result.exit_code == 0, result.output
    assert one("SELECT role FROM users") == role


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["create-superuser", "--name", NAME, "--password", "short"], "/password: Must have 12 to 256 characters."),
        (["create-superuser", "--name", "a b", "--password", PASSWORD], "/name: Must be 1 to 100 letters"),
        (["create", NAME, "--role", "root", "--password", PASSWORD], "'root' is not one of"),
        (["set-password", "bob", "--password", PASSWORD], "There is no user bob."),
        (["disable", "bob"], "There is no user bob."),
        (["enable", "bob"], "There is no user bob."),
    ],
)
def test_a_refusal_is_one_line_and_changes_nothing(runner: FlaskCliRunner, arguments: list[str], words: str) -> None:
    """No traceback."""
    result = runner.invoke(args=["users", *arguments])
    assert result.exit_code in {1, 2}
    assert words in result.output
    assert "Traceback" not in result.output
    assert sql("SELECT 1 FROM users UNION ALL SELECT 1 FROM audit_log") == []


def test_a_life_of_a_user(runner: FlaskCliRunner) -> None:
    """Created, given another password, disabled, enabled; the list shows each."""
    runner.invoke(args=["users", "create", NAME, "--role", "viewer", "--password", PASSWORD])
    assert runner.invoke(args=["users", "set-password", NAME, "--password", "another horse"]).exit_code == 0
    assert authenticating.log_in(NAME, PASSWORD) is None
    assert authenticating.log_in(NAME, "another horse")
    assert runner.invoke(args=["users", "disable", NAME]).exit_code == 0
    (row,) = json.loads(runner.invoke(args=["users", "list", "--json"]).output)
    assert (row["name"], row["role"]) == (NAME, "viewer")
    assert row["disabled_at"]
    assert row.keys() == {"id", "name", "role", "disabled_at", "last_login_at", "created_at"}
    assert runner.invoke(args=["users", "enable", NAME]).exit_code == 0
    assert NAME in runner.invoke(args=["users", "list"]).output


def test_an_empty_list_says_how_to_begin(runner: FlaskCliRunner) -> None:
    """There is no default user."""
    assert "flask users create-superuser" in runner.invoke(args=["users", "list"]).output


def test_a_life_of_a_key(runner: FlaskCliRunner) -> None:
    """Created and printed once, listed by its prefix, revoked by it."""
    created = runner.invoke(args=["keys", "create", "Shop"])
    assert created.exit_code == 0, created.output
    key = created.stdout.strip()
    prefix, _, secret = key.partition("_")
    assert len(secret) == 64
    assert "not shown again" in created.stderr
    listed = runner.invoke(args=["keys", "list", "--json"])
    (row,) = json.loads(listed.output)
    assert row.keys() == {"prefix", "client", "scopes", "created_at", "last_used_at", "revoked_at"}
    assert (row["prefix"], row["client"], row["revoked_at"]) == (prefix, "Shop", None)
    assert row["scopes"] == "orders:read orders:write"
    assert secret not in listed.output
    assert f"Key {prefix} is revoked." in runner.invoke(args=["keys", "revoke", key]).output
    assert json.loads(runner.invoke(args=["keys", "list", "--json"]).output)[0]["revoked_at"]


def test_a_key_has_the_scopes_that_it_was_given(runner: FlaskCliRunner) -> None:
    """Several, in any order."""
    arguments = ["keys", "create", "Shop", "--scope", "reports:read", "--scope", "orders:read"]
    assert runner.invoke(args=arguments).exit_code == 0
    assert one("SELECT scopes FROM api_keys") == ["orders:read", "reports:read"]


def test_80_columns_show_every_prefix_whole(runner: FlaskCliRunner) -> None:
    """It is what `revoke` takes; the longest name of a client gives way."""
    created = runner.invoke(args=["keys", "create", "x" * 100, *(f"--scope={scope}" for scope in SCOPES)])
    assert created.stdout.partition("_")[0] in runner.invoke(args=["keys", "list"]).output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["create", " "], "/name: Must be 1 to 100 printable characters"),
        (["create", "Shop", "--scope", "everything"], "'everything' is not one of"),
        (["revoke", "oak1"], "There is no key oak1."),
        (["list"], "There are no keys: flask keys create NAME."),
    ],
)
def test_what_cannot_be_done_with_keys_is_one_line(runner: FlaskCliRunner, arguments: list[str], words: str) -> None:
    """No traceback, and nothing is stored."""
    result = runner.invoke(args=["keys", *arguments])
    assert words in result.output
    assert "Traceback" not in result.output
    assert sql("SELECT 1 FROM api_keys UNION ALL SELECT 1 FROM audit_log") == []
