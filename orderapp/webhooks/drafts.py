"""What an owner decides about an endpoint, and what is refused at once because no webhook could ever be sent there."""

from dataclasses import dataclass

from orderapp.errors import InvalidInputError
from orderapp.orders.events import FINAL

from .addresses import RefusedError
from .target import refuse_bad_url

# Characters, as the column has them: far more than any address needs.
LONGEST_URL = 2000

# Characters, as the column has them: a sentence for whoever reads the list.
LONGEST_DESCRIPTION = 200

EVENT_TYPES = tuple(sorted(FINAL))


@dataclass(frozen=True)
class Draft:
    """What an owner decides about an endpoint; None (of a change) leaves it as it is."""

    url: str | None = None
    event_types: list[str] | None = None
    description: str | None = None
    active: bool | None = None


def refuse_bad_draft(draft: Draft, allowed_hosts: frozenset[str]) -> None:
    """Raise InvalidInputError with a pointer to each fault."""
    faults = []
    fault = _fault_of_url(draft.url or "", allowed_hosts)
    if fault:
        faults.append(("/url", f"Refused: {fault}."))
    types = draft.event_types or []
    if not types or len(set(types)) < len(types) or not set(types) <= FINAL:
        faults.append(("/event_types", f"Must name some of {', '.join(EVENT_TYPES)}, each once."))
    description = draft.description or ""
    if len(description) > LONGEST_DESCRIPTION or not description.isprintable():
        faults.append(("/description", f"Must be at most {LONGEST_DESCRIPTION} printable characters."))
    if faults:
        raise InvalidInputError(faults)


def _fault_of_url(url: str, allowed_hosts: frozenset[str]) -> str | None:
    if not 0 < len(url) <= LONGEST_URL or not url.isprintable() or " " in url:
        return f"must be a URL of at most {LONGEST_URL} printable characters without spaces"
    try:
        refuse_bad_url(url, allowed_hosts)
    except RefusedError as fault:
        return str(fault)
    return None
