"""Passwords: which are refused, and argon2id hashes of the others."""

import unicodedata
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

# NIST SP 800-63B asks for 8 and advises more; a panel that moves stock and money deserves a phrase.
SHORTEST = 12

# Characters. Argon2 reads them all: without an end, a megabyte per attempt would keep a core busy.
LONGEST = 256

# argon2-cffi's defaults follow RFC 9106's profile for little memory (64 MiB, 3 passes): about 50 ms per attempt. Others
# come with a newer release of it, and needs_rehash() says so.
_hasher = PasswordHasher()


def fault_of(password: str, user_name: str) -> str | None:
    """Return why this user may not have this password, or None."""
    if not SHORTEST <= len(password) <= LONGEST:
        return f"Must have {SHORTEST} to {LONGEST} characters."
    if password.strip().casefold() == user_name.casefold():
        return "Must not be the user's name."
    return "Must not be the same character again and again." if len(set(password)) == 1 else None


def hash_of(password: str) -> str:
    """Return the argon2id hash, with its parameters and salt in it."""
    return _hasher.hash(_bytes(password))


def matches(password: str, password_hash: str | None) -> bool:
    """Tell whether the password is the hashed one; without a hash it is not, and that takes as long."""
    decoy = _decoy()  # made before it is needed: the first unknown user must not take longer either
    try:
        return _hasher.verify(password_hash or decoy, _bytes(password)) and password_hash is not None
    except (VerificationError, InvalidHashError):
        return False


def needs_rehash(password_hash: str) -> bool:
    """Tell whether the hash was made with parameters that are no longer ours."""
    return _hasher.check_needs_rehash(password_hash)


@cache
def _decoy() -> str:
    """Return nobody's hash: verified where there is no user, so that the time of an answer does not tell who exists."""
    return _hasher.hash("nobody has this password, it only takes as long")


def _bytes(password: str) -> bytes:
    # One keyboard sends "é" as one character, another as two; and nothing that is typed may raise.
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
