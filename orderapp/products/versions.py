"""The version of a product that a client has seen, as an entity tag."""

import hashlib
from collections.abc import Collection
from decimal import Decimal

from orderapp.errors import PreconditionFailedError

# Hexadecimal digits of a tag: 128 bits, so that no two versions of a product ever share one.
TAG_LENGTH = 32


def version_of(name: str, price: Decimal, *, archived: bool) -> str:
    """Return the tag of what an editor can change.

    Stock is not part of it: every sale moves it, and an editor would never get through.
    """
    described = f"{price:.2f} {archived} {name}"
    return hashlib.sha256(described.encode()).hexdigest()[:TAG_LENGTH]


def refuse_outdated(version: str, expected: Collection[str] | None) -> None:
    """Raise PreconditionFailedError unless the version is one of those expected; None expects nothing."""
    if expected is not None and version not in expected:
        raise PreconditionFailedError("The product has changed since you read it; get it again, then decide anew.")
