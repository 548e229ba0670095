"""Who sends an API key: ``Authorization: Bearer prefix_secret``."""

from flask import current_app

from orderapp.access import SCOPES, Client
from orderapp.accounts import keys, queries
from orderapp.accounts.models import ANONYMOUS_CLIENT_ID
from orderapp.database import reading_once
from orderapp.errors import NotIdentifiedError

# With REQUIRE_API_KEY off, whoever sends no key.
_ANONYMOUS = Client(ANONYMOUS_CLIENT_ID, "anonymous", frozenset(SCOPES))


def identify(authorization: str) -> Client:
    """Return the client whose key this is; raises NotIdentifiedError.

    A key that is sent counts even where none is required: whoever sends a wrong one means to be somebody.
    """
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() != "bearer":
        if current_app.extensions["settings"].require_api_key:
            raise NotIdentifiedError("Send your API key: Authorization: Bearer KEY.")
        return _ANONYMOUS
    parsed = keys.parse(credentials.strip())
    if parsed is None:
        raise NotIdentifiedError("This is not an API key of this service.", key_was_sent=True)
    prefix, secret_hash = parsed
    with reading_once() as session:
        found = queries.active_key(session, prefix)
    if not keys.matches(secret_hash, found.secret_hash if found else None) or found is None:
        raise NotIdentifiedError("This API key is unknown or revoked.", key_was_sent=True)
    return found.client
