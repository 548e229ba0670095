"""Secrets never reach the log, whoever wrote the line: ours, a library's, an exception's.

Nothing of ours logs one. This is for what nobody thought of: a library at debug level, an error that quotes its input.
"""

import json
import re
from collections.abc import Iterable

# What stands in a secret's place.
MARK = "***"

# Letters. A shorter secret may be a word that lines are full of; production refuses such a SECRET_KEY anyway.
SHORTEST = 8

# What looks like a secret, whether we know it or not, behind what is kept of it: API keys as accounts/keys.py makes them,
# signing secrets of Standard Webhooks, passwords in URLs, and the headers that carry logins. The text may be JSON inside
# JSON, so that quotes come with backslashes in front. Each begins with fixed letters, for which a line is searched as fast as
# memory is read; [Bb]earer at the beginning is tried at each letter, which took a fifth of the relay's time.
_LOOKS = tuple(
    map(
        re.compile,
        (
            r"(_)[0-9a-f]{64}\b",
            r"(whsec_)[A-Za-z0-9+/=]{8,}",
            r"(://[^/\s:@\"']*:)[^@\s/\"']+(?=@)",
            *(
                rf"({scheme} +)[A-Za-z0-9._~+/=-]{{8,}}"
                for scheme in ("earer(?<=[Bb]earer)", "BEARER", "asic(?<=[Bb]asic)", "BASIC")
            ),
            *(rf"({name}\\*[\"']?\s*[:=,]\s*\\*[\"']?)[^\"'\\\s][^\"'\\\r\n]*" for name in ("ookie(?<=[Cc]ookie)", "COOKIE")),
        ),
    )
)


class Redactor:
    """Puts a mark in the place of every secret in a line."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        # Longest first, so that one that begins with another is replaced whole.
        known = {one for one in secrets if len(one) >= SHORTEST}
        known |= {json.dumps(one)[1:-1] for one in known}  # as a line of JSON writes it
        self._known = sorted(known, key=len, reverse=True)

    def __call__(self, line: str) -> str:
        """Return the line without its secrets."""
        for secret in self._known:
            line = line.replace(secret, MARK)
        for pattern in _LOOKS:
            if pattern.search(line):  # three times as fast as to replace nothing
                line = pattern.sub(rf"\1{MARK}", line)
        return line
