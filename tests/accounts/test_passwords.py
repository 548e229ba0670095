"""Which passwords are refused, and how the others are kept."""

import pytest
from argon2 import PasswordHasher

from orderapp.accounts import passwords


@pytest.mark.parametrize(
    "password",
    ["", "short", "elevenchars", "x" * 257, "Margaret-Hamilton", " margaret-hamilton ", "aaaaaaaaaaaaaaaa", " " * 20],
)
def test_short_endless_and_obvious_passwords_are_refused(password: str) -> None:
    """Twelve characters at least, not the name in any case, not one character over and over."""
    assert passwords.fault_of(password, "margaret-hamilton")


@pytest.mark.parametrize(
    "password", ["twelve chars", "x" * 255 + "y", "Пароль из двенадцати", "nul\0 in the middle", "\udcff broken byte"]
)
def test_anything_else_is_a_password(password: str) -> None:
    """No rule asks for digits or signs; a stray byte of a terminal is no error."""
    assert passwords.fault_of(password, "margaret") is None
    assert passwords.matches(password, passwords.hash_of(password))


def test_passwords_are_kept_as_salted_argon2id() -> None:
    """Two hashes of one password differ."""
    first, second = passwords.hash_of("twelve chars"), passwords.hash_of("twelve chars")
    assert first.startswith("$argon2id$")
    assert first != second
    assert not passwords.needs_rehash(first)


def test_one_keyboard_is_as_good_as_another() -> None:
    """An accent typed as one character or as two is the same password."""
    assert passwords.matches("cafe\u0301 au lait", passwords.hash_of("caf\u00e9 au lait"))


def test_another_password_a_broken_hash_and_no_hash_do_not_match() -> None:
    """None of them raises."""
    assert not passwords.matches("twelve chars!", passwords.hash_of("twelve chars"))
    assert not passwords.matches("twelve chars", "not a hash")
    assert not passwords.matches("twelve chars", None)
    assert not passwords.matches("nobody has this password, it only takes as long", None)


def test_weaker_parameters_ask_for_a_new_hash() -> None:
    """What an older release wrote is noticed."""
    assert passwords.needs_rehash(PasswordHasher(time_cost=1, memory_cost=64).hash("twelve chars"))
