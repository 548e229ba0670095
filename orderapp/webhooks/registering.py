"""Act: endpoints are created, changed, disabled and enabled; their secrets rotate; a ping tries them out.

``owner`` limits each act to the endpoints of one client; without one it is the operator, who may change all.
"""

import base64
import secrets
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, text
from uuid_utils.compat import uuid7

from orderapp import audit
from orderapp.database import writing
from orderapp.errors import ConflictError, NotFoundError
from orderapp.outbox.messages import enqueue, enqueue_many
from orderapp.queues import WEBHOOKS_DELIVER

from .claims import RESCUE_AFTER
from .drafts import EVENT_TYPES, Draft, refuse_bad_draft
from .endpoint import BUILT_IN

# Bytes of a new secret, as Standard Webhooks recommends (24 to 64).
SECRET_BYTES = 32

# How long the old secret signs beside the new one: a day to deploy the new one everywhere.
ROTATION = timedelta(hours=24)

# Endpoints of one owner: each outcome of an order is sent to all of them.
MOST_ENDPOINTS = 20

_COUNT = text("""
    SELECT count(*) FROM webhook_endpoints
    WHERE client_id IS NOT DISTINCT FROM :owner AND id <> :built_in AND disabled_reason IS DISTINCT FROM 'deleted'
""")

_INSERT = text("""
    INSERT INTO webhook_endpoints (client_id, url, event_types, description, secret, active, disabled_reason)
    VALUES (:owner, :url, :event_types, :description, :secret, :active, CASE WHEN NOT :active THEN 'operator' END)
    RETURNING id
""")

_LOCK = text("""
    SELECT id, url, event_types, description, active, disabled_reason FROM webhook_endpoints
    WHERE id = :id AND disabled_reason IS DISTINCT FROM 'deleted' AND (CAST(:owner AS bigint) IS NULL OR client_id = :owner)
    ORDER BY id FOR NO KEY UPDATE
""")

_CHANGE = text("""
    UPDATE webhook_endpoints SET url = :url, event_types = :event_types, description = :description WHERE id = :id
""")

# A third secret would need a third signature: the oldest of the three ends now.
_ROTATE = text("""
    UPDATE webhook_endpoints
    SET previous_secret = secret, previous_until = clock_timestamp() + :rotation, secret = :secret WHERE id = :id
""")

_DISABLE = text("UPDATE webhook_endpoints SET active = false, disabled_reason = :reason WHERE id = :id")

_ENABLE = text("""
    UPDATE webhook_endpoints SET active = true, disabled_reason = NULL, active_since = clock_timestamp(),
        failures = 0, failing_since = NULL, open_until = NULL
    WHERE id = :id
""")

# What waits would wait for the rescuer otherwise.
_WAITING = text("SELECT id FROM webhook_deliveries WHERE endpoint_id = :id AND waiting ORDER BY due_at, id LIMIT 1")

_PING = text("""
    INSERT INTO webhook_deliveries (endpoint_id, ping_id, rescue_at)
    VALUES (:id, :ping_id, clock_timestamp() + :rescue_after) RETURNING id
""")


@dataclass(frozen=True)
class NewEndpoint:
    """An endpoint that was created or got another secret, which is shown this once."""

    id: int
    secret: str


def create_endpoint(draft: Draft, owner: int | None, allowed_hosts: frozenset[str], actor: str) -> NewEndpoint:
    """Create an endpoint that hears of its owner's orders from now on; without an owner, of all orders.

    Raises InvalidInputError, and ConflictError when the owner has too many.
    """
    active = draft.active is not False
    draft = Draft(draft.url or "", draft.event_types or list(EVENT_TYPES), draft.description or "", active)
    refuse_bad_draft(draft, allowed_hosts)
    secret = _new_secret()
    with writing() as session:
        if session.execute(_COUNT, {"owner": owner, "built_in": BUILT_IN}).scalar_one() >= MOST_ENDPOINTS:
            raise ConflictError(f"There are {MOST_ENDPOINTS} endpoints already; delete one first.")
        values = {"owner": owner, "secret": secret, **asdict(draft)}
        endpoint_id: int = session.execute(_INSERT, values).scalar_one()
        audit.record(session, _change(actor, "create", endpoint_id, after=asdict(draft)))
    return NewEndpoint(endpoint_id, secret)


def edit_endpoint(endpoint_id: int, change: Draft, owner: int | None, allowed_hosts: frozenset[str], actor: str) -> None:
    """Change where an endpoint is or what it hears of; deliveries on their way go to the new address.

    Raises NotFoundError, InvalidInputError, and ConflictError for the built-in endpoint.
    """
    with writing() as session:
        before = _locked(session, endpoint_id, owner)
        _refuse_built_in(endpoint_id)
        old = Draft(before["url"], before["event_types"], before["description"], before["active"])
        new = replace(old, **{name: value for name, value in asdict(change).items() if value is not None})
        refuse_bad_draft(new, allowed_hosts)
        session.execute(_CHANGE, {"id": endpoint_id, **asdict(new)})
        if old.active and not new.active:
            _disable(session, endpoint_id, "operator")
        elif new.active and not old.active:
            session.execute(_ENABLE, {"id": endpoint_id})
        audit.record(session, _change(actor, "edit", endpoint_id, before=asdict(old), after=asdict(new)))


def rotate_secret(endpoint_id: int, owner: int | None, actor: str) -> NewEndpoint:
    """Give an endpoint a new secret; for a day the old one signs as well. Raises NotFoundError, ConflictError."""
    secret = _new_secret()
    with writing() as session:
        _locked(session, endpoint_id, owner)
        _refuse_built_in(endpoint_id)
        session.execute(_ROTATE, {"id": endpoint_id, "secret": secret, "rotation": ROTATION})
        audit.record(session, _change(actor, "rotate", endpoint_id))
    return NewEndpoint(endpoint_id, secret)


def disable_endpoint(endpoint_id: int, owner: int | None, actor: str, reason: str | None = None) -> None:
    """Send nothing more to an endpoint; what is on its way ends as disabled when it comes due. Raises as the others."""
    with writing() as session:
        before = _locked(session, endpoint_id, owner)
        if not before["active"]:
            raise ConflictError(f"Endpoint {endpoint_id} is disabled already ({before['disabled_reason']}).")
        _disable(session, endpoint_id, "operator")
        old, new = {"active": True}, {"active": False}
        audit.record(session, _change(actor, "disable", endpoint_id, before=old, after=new, reason=reason))


def enable_endpoint(endpoint_id: int, owner: int | None, actor: str, reason: str | None = None) -> None:
    """Send to an endpoint again, of what happens from now on; what was missed can be resent. Raises as the others."""
    with writing() as session:
        before = _locked(session, endpoint_id, owner)
        if before["active"]:
            raise ConflictError(f"Endpoint {endpoint_id} is active already.")
        session.execute(_ENABLE, {"id": endpoint_id})
        old = {"active": False, "disabled_reason": before["disabled_reason"]}
        audit.record(session, _change(actor, "enable", endpoint_id, before=old, after={"active": True}, reason=reason))


def delete_endpoint(endpoint_id: int, owner: int | None, actor: str) -> None:
    """Send nothing more to an endpoint and list it no more; its log stays. Raises NotFoundError, ConflictError."""
    with writing() as session:
        before = _locked(session, endpoint_id, owner)
        _refuse_built_in(endpoint_id)
        _disable(session, endpoint_id, "deleted")
        audit.record(session, _change(actor, "delete", endpoint_id, before={"url": before["url"]}))


def send_test(endpoint_id: int, owner: int | None, actor: str) -> int:
    """Send a ping through the whole way that an event takes; returns its delivery. Raises NotFoundError, ConflictError."""
    with writing() as session:
        before = _locked(session, endpoint_id, owner)
        if not before["active"]:
            raise ConflictError(f"Endpoint {endpoint_id} is disabled ({before['disabled_reason']}); enable it first.")
        values = {"id": endpoint_id, "ping_id": str(uuid7()), "rescue_after": RESCUE_AFTER}
        delivery_id: int = session.execute(_PING, values).scalar_one()
        enqueue(WEBHOOKS_DELIVER, delivery_id)
        audit.record(session, _change(actor, "test", endpoint_id, after={"delivery": delivery_id}))
    return delivery_id


def _locked(session: Connection, endpoint_id: int, owner: int | None) -> dict[str, Any]:
    row = session.execute(_LOCK, {"id": endpoint_id, "owner": owner}).mappings().one_or_none()
    if row is None:
        raise NotFoundError(f"There is no webhook endpoint {endpoint_id}.")
    return dict(row)


def _disable(session: Connection, endpoint_id: int, reason: str) -> None:
    session.execute(_DISABLE, {"id": endpoint_id, "reason": reason})
    enqueue_many(WEBHOOKS_DELIVER, list(session.scalars(_WAITING, {"id": endpoint_id})))


def _refuse_built_in(endpoint_id: int) -> None:
    if endpoint_id == BUILT_IN:
        raise ConflictError("The built-in endpoint is what WEBHOOK_URL and WEBHOOK_SECRET say; change them there.")


def _new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def _change(actor: str, action: str, endpoint_id: int, **more: Any) -> audit.Change:
    return audit.Change(actor, action, "webhook_endpoint", endpoint_id, **more)
