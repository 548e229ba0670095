"""The text of an API key, and what is kept of it."""

import hashlib

import pytest

from orderapp.accounts import keys


def test_a_key_is_a_prefix_and_256_bits_of_which_only_a_hash_is_kept() -> None:
    """Every key another one."""
    key = keys.new_key()
    prefix, secret = key.text.split("_")
    assert prefix == key.prefix
    assert len(bytes.fromhex(secret)) == 32
    assert key.secret_hash == hashlib.sha256(secret.encode()).digest()
    assert secret not in repr(key.secret_hash) + key.prefix
    assert len({keys.new_key().text for _ in range(100)} | {keys.new_key().prefix for _ in range(100)}) == 200


def test_a_key_is_read_as_it_was_made() -> None:
    """The hash of what was sent is the hash that was stored."""
    key = keys.new_key()
    assert keys.parse(key.text) == (key.prefix, key.secret_hash)


SECRET = "0" * 64

NO_KEYS = ["", "_", "oak1", "oak1_", f"_{SECRET}", f"oak1_{SECRET[1:]}", f"oak1_{SECRET}0", f"oak1_{SECRET}\n", f"OAK_{SECRET}"]
NO_KEYS += [f"oak1_{'G' * 64}", f"o\x00k_{SECRET}", f"{'o' * 33}_{SECRET}", "oak1_" + "\u0660" * 64, "x" * 10_000]


@pytest.mark.parametrize("text", NO_KEYS)
def test_what_cannot_be_a_key_is_known_without_the_database(text: str) -> None:
    """Nothing strange gets as far as a query."""
    assert keys.parse(text) is None


def test_only_the_same_hash_matches() -> None:
    """And none at all, where there is no such key."""
    one, other = keys.new_key().secret_hash, keys.new_key().secret_hash
    assert keys.matches(one, one)
    assert not keys.matches(one, other)
    assert not keys.matches(one, None)
    assert not keys.matches(bytes(32), None)
