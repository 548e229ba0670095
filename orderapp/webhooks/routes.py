"""Door: webhook endpoints over HTTP. A client sees and changes its own, nobody else's."""

from dataclasses import replace
from typing import Any

from flask import current_app, jsonify, url_for
from flask.typing import ResponseReturnValue
from flask_smorest import Blueprint
from marshmallow import RAISE

from orderapp import access, pagination
from orderapp.database import LAST_ID, reading
from orderapp.errors import BodyParser, NotFoundError

from . import queries, registering, replaying
from .drafts import Draft
from .queries import EndpointView, Wanted
from .schemas import (
    MOST_AT_ONCE,
    AttemptsSchema,
    DeliveriesQuerySchema,
    DeliveriesSchema,
    EndpointChangeSchema,
    EndpointSchema,
    EndpointsSchema,
    EndpointWithSecretSchema,
    NewEndpointSchema,
    ResendSchema,
    ResentSchema,
    SecretSchema,
    SentSchema,
)

blueprint = Blueprint("webhooks", __name__, url_prefix="/api/webhook-endpoints", description="Who is told of outcomes.")
blueprint.ARGUMENTS_PARSER = BodyParser()

ONE = f"/<int(max={LAST_ID}):endpoint_id>/"
ONE_DELIVERY = f"{ONE}deliveries/<int(max={LAST_ID}):delivery_id>/"


@blueprint.get("/")
@access.requires(access.WEBHOOKS_WRITE)
@blueprint.response(200, EndpointsSchema)
def show_all() -> ResponseReturnValue:
    """List the client's endpoints."""
    with reading() as session:
        found = queries.endpoints(session, _owner())
    return jsonify({"data": [_public(endpoint) for endpoint in found]})


@blueprint.post("/")
@access.requires(access.WEBHOOKS_WRITE)
@blueprint.arguments(NewEndpointSchema)
@blueprint.response(201, EndpointWithSecretSchema)
def create(draft: Draft) -> ResponseReturnValue:
    """Create an endpoint that hears of the client's orders from now on; the answer shows its secret, this once."""
    made = registering.create_endpoint(draft, _owner(), _allowed_hosts(), _actor())
    location = url_for("webhooks.show", endpoint_id=made.id)
    return jsonify(_found(made.id) | {"secret": made.secret}), 201, {"Location": location}


@blueprint.get(ONE)
@access.requires(access.WEBHOOKS_WRITE)
@blueprint.response(200, EndpointSchema)
def show(endpoint_id: int) -> ResponseReturnValue:
    """Show one endpoint."""
    return jsonify(_found(endpoint_id))


@blueprint.patch(ONE)
@access.requires(access.WEBHOOKS_WRITE)
@blueprint.arguments(EndpointChangeSchema)
@blueprint.response(200, EndpointSchema)
def edit(change: Draft, endpoint_id: int) -> ResponseReturnValue:
    """Change an endpoint; ``active`` disables and enables it."""
    registering.edit_endpoint(endpoint_id, change, _owner(), _allowed_hosts(), _actor())
    return jsonify(_found(endpoint_id))


@blueprint.delete(ONE)
@access.requires(access.WEBHOOKS_WRITE)
@blueprint.response(204)
def delete(endpoint_id: int) -> ResponseReturnValue:
    """Delete an endpoint; nothing more is sent there."""
    registering.delete_endpoint(endpoint_id, _owner(), _actor())
    return "", 204


@blueprint.post(f"{ONE}rotate/")
@access.requires(access.WEBHOOKS_WRITE)
@blueprint.response(200, SecretSchema)
def rotate(endpoint_id: int) -> ResponseReturnValue:
    """Give an endpoint a new secret, shown this once; for 24 hours both sign."""
    made = registering.rotate_secret(endpoint_id, _owner(), _actor())
    return jsonify({"id": made.id, "secret": made.secret})


@blueprint.post(f"{ONE}test/")
@access.requires(access.WEBHOOKS_WRITE)
@blueprint.response(202, SentSchema)
def test(endpoint_id: int) -> ResponseReturnValue:
    """Send a ping to an endpoint; its deliveries show what came of it."""
    return jsonify({"delivery_id": registering.send_test(endpoint_id, _owner(), _actor())}), 202


@blueprint.get(f"{ONE}deliveries/")
@access.requires(access.WEBHOOKS_WRITE)
@blueprint.arguments(DeliveriesQuerySchema, location="query", unknown=RAISE)
@blueprint.response(200, DeliveriesSchema)
def show_deliveries(asked: dict[str, Any], endpoint_id: int) -> ResponseReturnValue:
    """List an endpoint's deliveries, newest first."""
    _found(endpoint_id)
    wanted = Wanted(asked["state"], asked["order_id"], endpoint_id, asked["type"])
    about = {"list": "deliveries", **vars(wanted)}
    (before,) = pagination.unseal(asked["cursor"], about) or [None]
    with reading() as session:
        found = queries.deliveries(session, wanted, asked["limit"] + 1, before)
    page = found[: asked["limit"]]
    return jsonify({"data": page, "next": pagination.seal([page[-1].id], about) if len(found) > len(page) else None})


@blueprint.get(f"{ONE_DELIVERY}attempts/")
@access.requires(access.WEBHOOKS_WRITE)
@blueprint.response(200, AttemptsSchema)
def show_attempts(endpoint_id: int, delivery_id: int) -> ResponseReturnValue:
    """List a delivery's attempts, oldest first: when, how long, and what the receiver said."""
    _found(endpoint_id)
    with reading() as session:
        if not queries.belongs(session, delivery_id, endpoint_id):
            raise NotFoundError(f"There is no delivery {delivery_id}.")
        return jsonify({"data": queries.attempts(session, delivery_id)})


@blueprint.post(f"{ONE_DELIVERY}resend/")
@access.requires(access.WEBHOOKS_WRITE)
@blueprint.response(202, SentSchema)
def resend(endpoint_id: int, delivery_id: int) -> ResponseReturnValue:
    """Send a delivery again that was given up, or that the receiver wants once more."""
    _found(endpoint_id)
    return jsonify({"delivery_id": replaying.resend(delivery_id, _actor(), endpoint_id=endpoint_id)}), 202


@blueprint.post(f"{ONE}resend/")
@access.requires(access.WEBHOOKS_WRITE)
@blueprint.arguments(ResendSchema)
@blueprint.response(200, ResentSchema)
def resend_fitting(asked: dict[str, Any], endpoint_id: int) -> ResponseReturnValue:
    """Count an endpoint's finished deliveries that fit; with ``send`` send them again, so many a second from now on."""
    _found(endpoint_id)
    wanted, send = replace(asked["wanted"], endpoint_id=endpoint_id), asked["send"]
    if send:
        count = replaying.resend_fitting(wanted, _actor(), enabled=False, per_second=asked["rate"], at_most=MOST_AT_ONCE)
    else:
        with reading() as session:
            count = queries.count_again(session, wanted, enabled=False, limit=MOST_AT_ONCE + 1)
    return jsonify({"count": count, "sent": send})


def _owner() -> int:
    return access.current_client().id


def _actor() -> str:
    return f"api:{access.current_client().name}"


def _allowed_hosts() -> frozenset[str]:
    hosts: frozenset[str] = current_app.extensions["settings"].webhook_allowed_hosts
    return hosts


def _found(endpoint_id: int) -> dict[str, Any]:
    with reading() as session:
        found = queries.endpoints(session, _owner(), endpoint_id)
    if not found:
        raise NotFoundError(f"There is no webhook endpoint {endpoint_id}.")
    return _public(found[0])


def _public(endpoint: EndpointView) -> dict[str, Any]:
    return {name: value for name, value in vars(endpoint).items() if name != "client"}
