"""Users are created, get another password, are disabled and enabled."""

import pytest
from flask import Flask

from orderapp.accounts import registering
from orderapp.errors import ConflictError, InvalidInputError, NotFoundError
from tests.sql import one, sql
from tests.threads import at_once

from . import NAME, PASSWORD

pytestmark = pytest.mark.usefixtures("app")


def test_a_superuser_is_created_with_a_line_in_the_audit_log() -> None:
    """The hash is in neither."""
    user_id = registering.create_superuser(NAME, PASSWORD, "cli:me")
    user = one("SELECT * FROM users")
    assert (user.id, user.name, user.role, user.disabled_at) == (user_id, NAME, "superuser", None)
    entry = one("SELECT actor, action, subject, subject_id, before, after FROM audit_log")
    assert entry == ("cli:me", "create", "user", user_id, None, {"name": NAME, "role": "superuser"})


@pytest.mark.parametrize(
    ("name", "role", "password", "pointer"),
    [
        ("", "viewer", PASSWORD, "/name"),
        (" alice", "viewer", PASSWORD, "/name"),
        ("al ice", "viewer", PASSWORD, "/name"),
        ("\u0430lice", "viewer", PASSWORD, "/name"),
        ("alice\n", "viewer", PASSWORD, "/name"),
        ("al\0ice", "viewer", PASSWORD, "/name"),
        ("a" * 101, "viewer", PASSWORD, "/name"),
        ("alice", "root", PASSWORD, "/role"),
        ("alice", "viewer", "too short", "/password"),
        ("alice-the-great", "viewer", "Alice-The-Great", "/password"),
    ],
)
def test_bad_names_roles_and_passwords_are_refused(name: str, role: str, password: str, pointer: str) -> None:
    """The fault is named and nothing is written."""
    with pytest.raises(InvalidInputError) as refusal:
        registering.create_user(name, password, role, "cli:me")
    assert [fault[0] for fault in refusal.value.faults] == [pointer]
    assert sql("SELECT 1 FROM users UNION ALL SELECT 1 FROM audit_log") == []


def test_a_name_is_taken_in_any_case() -> None:
    """Alice and alice would be one person to everybody."""
    registering.create_user("Alice", PASSWORD, "viewer", "cli:me")
    with pytest.raises(ConflictError, match="There is a user aLICE already"):
        registering.create_user("aLICE", PASSWORD, "viewer", "cli:me")
    assert one("SELECT count(*) FROM users") == 1


def test_of_two_at_once_one_gets_the_name(app: Flask) -> None:
    """The database decides, not a look before the write."""

    def create() -> bool:
        try:
            registering.create_user(NAME, PASSWORD, "viewer", "cli:me")
        except ConflictError:
            return False
        return True

    assert sorted(at_once(app, *[create] * 4)) == [False, False, False, True]
    assert one("SELECT count(*) FROM users") == 1


def test_a_new_password_counts_the_sessions_version_up() -> None:
    """Open sessions carry the old one."""
    registering.create_user(NAME, PASSWORD, "viewer", "cli:me")
    before = one("SELECT password_hash, session_version FROM users")
    registering.set_password("ALICE", "another horse battery", "cli:me")
    after = one("SELECT password_hash, session_version FROM users")
    assert after.password_hash != before.password_hash
    assert after.session_version == before.session_version + 1
    assert one("SELECT after FROM audit_log WHERE action = 'set-password'") == {"name": NAME}


def test_a_new_password_is_held_to_the_same_rules() -> None:
    """Too short: the old one stays."""
    registering.create_user(NAME, PASSWORD, "viewer", "cli:me")
    with pytest.raises(InvalidInputError):
        registering.set_password(NAME, "short", "cli:me")
    assert one("SELECT session_version FROM users") == 1


def test_disabling_and_enabling_are_done_and_told_once() -> None:
    """A second time changes nothing and is not told again."""
    registering.create_user(NAME, PASSWORD, "viewer", "cli:me")
    for act, disabled in ((registering.disable_user, True), (registering.enable_user, False)):
        act(NAME, "cli:me")
        act(NAME, "cli:me")
        assert (one("SELECT disabled_at FROM users") is not None) == disabled
    assert one("SELECT session_version FROM users") == 2
    assert [row.action for row in sql("SELECT action FROM audit_log ORDER BY id")] == ["create", "disable", "enable"]


@pytest.mark.parametrize("name", ["bob", "", "al\0ice", "' OR 1=1 --"])
def test_somebody_unknown_cannot_be_changed(name: str) -> None:
    """The answer is a refusal, whatever the name is made of."""
    for act in (registering.disable_user, registering.enable_user):
        with pytest.raises(NotFoundError):
            act(name, "cli:me")
    with pytest.raises(NotFoundError):
        registering.set_password(name, PASSWORD, "cli:me")
