"""What can be wrong with a request: every kind of problem, what it means and what to do.

The only list; docs/operations.md shows it. errors.py says which error is of which kind.
"""

from dataclasses import dataclass

PREFIX = "/api/problems/"

# What RFC 9457 has for a problem that says no more than its status.
NOTHING_MORE = "about:blank"

KEY_REUSED = "idempotency-key-reused"
STILL_RUNNING = "request-still-running"


@dataclass(frozen=True)
class Kind:
    """One kind of problem: its name in the address, its status, what it means, what to do."""

    name: str
    status: int
    meaning: str
    remedy: str


KINDS = (
    Kind("bad-request", 400, "The body is not JSON, or not unambiguous JSON.", "Send one JSON document, each name once."),
    Kind("no-api-key", 401, "The request carries no API key, or an unknown or revoked one.", "Send Authorization: Bearer KEY."),
    Kind("missing-scope", 403, "The key is good, but not for this.", "Have a key issued with the scope that detail names."),
    Kind("not-found", 404, "There is no such thing, or it belongs to another client.", "Compare the address with an answer."),
    Kind("method-not-allowed", 405, "This address does not know this method.", "Use one of those in the header Allow."),
    Kind("conflict", 409, "The thing is in a state that does not allow this.", "Read it again, then decide."),
    Kind(
        STILL_RUNNING,
        409,
        "The first request with this key has not ended.",
        "Send it again after Retry-After seconds.",
    ),
    Kind("precondition-failed", 412, "The thing is not the version that If-Match names.", "Read it again, then change it."),
    Kind("body-too-large", 413, "The body has more than 64 KiB.", "Send less at once."),
    Kind("unsupported-media-type", 415, "The body is not declared as JSON.", "Send Content-Type: application/json."),
    Kind("invalid-input", 422, "The request can be read but has faults.", "Mend what errors lists, pointer by pointer."),
    Kind(KEY_REUSED, 422, "This Idempotency-Key was sent with another body.", "Take a new key for each new order."),
    Kind("too-many-requests", 429, "The key has used up its requests for now.", "Wait Retry-After seconds."),
    Kind("internal-error", 500, "The fault is ours.", "Report it with its request_id."),
    Kind("unavailable", 503, "The service cannot do its work now.", "Try again after Retry-After seconds."),
)

# The first of each status is the one that is meant where nothing more is said.
_BY_STATUS = {kind.status: kind.name for kind in reversed(KINDS)}


def address(status: int, name: str | None = None) -> str:
    """Return the ``type`` of a problem: where it is explained."""
    name = name or _BY_STATUS.get(status)
    return f"{PREFIX}{name}/" if name else NOTHING_MORE
