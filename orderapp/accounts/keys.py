"""API keys: ``prefix_secret``. The prefix finds the row, the secret's hash must be the stored one."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

# Bytes. 256 bits cannot be guessed, so one SHA-256 is enough; a slow hash is for what people think up.
SECRET_BYTES = 32

# Bytes. Enough that prefixes do not meet; short enough to stay whole in a list, for that is what `revoke` takes.
PREFIX_BYTES = 4

# Marks the text as ours to whoever searches repositories and logs for leaked keys.
MARK = "oak"

_KEY = re.compile(r"([a-z0-9]{1,32})_([0-9a-f]{64})\Z")

# Compared with where there is no such prefix: the time of an answer does not tell which prefixes exist.
_NOBODYS_HASH = bytes(hashlib.sha256().digest_size)


@dataclass(frozen=True)
class NewKey:
    """A key as it is shown once, and what is kept of it."""

    text: str
    prefix: str
    secret_hash: bytes


def new_key() -> NewKey:
    """Return a key that nobody has."""
    prefix, secret = f"{MARK}{secrets.token_hex(PREFIX_BYTES)}", secrets.token_hex(SECRET_BYTES)
    return NewKey(f"{prefix}_{secret}", prefix, _hash(secret))


def parse(text: str) -> tuple[str, bytes] | None:
    """Return the prefix and the hash of the secret; None when this cannot be a key of ours."""
    found = _KEY.match(text)
    return (found[1], _hash(found[2])) if found else None


def matches(given: bytes, stored: bytes | None) -> bool:
    """Tell whether the hashes are the same; without a stored one they are not, and that takes as long."""
    return hmac.compare_digest(given, stored or _NOBODYS_HASH) and stored is not None


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
