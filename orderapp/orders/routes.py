"""Door: orders over HTTP."""

from dataclasses import replace
from typing import Any

import structlog
from flask import current_app, jsonify, request
from flask.typing import ResponseReturnValue
from flask_smorest import Blueprint
from marshmallow import RAISE

from orderapp import access, pagination
from orderapp.database import LAST_ID, reading, reading_once
from orderapp.errors import BodyParser, NotFoundError
from orderapp.orders import cancelling, pages, placing, positioning, queries, timeline
from orderapp.orders.idempotency import Answer, Key, fingerprint
from orderapp.orders.pages import Wanted
from orderapp.orders.queries import OrderView
from orderapp.orders.schemas import (
    EventsSchema,
    IdempotencySchema,
    OrderSchema,
    OrdersSchema,
    PlaceOrderSchema,
    TimelineSchema,
    WantedEventsSchema,
    WantedOrdersSchema,
)

log = structlog.get_logger(__name__)

blueprint = Blueprint("orders", __name__, url_prefix="/api/orders", description="Orders.")
blueprint.ARGUMENTS_PARSER = BodyParser()

events = Blueprint("events", __name__, url_prefix="/api/events", description="The public history of orders, as a feed.")
events.ARGUMENTS_PARSER = BodyParser()

ONE = f"/<int(max={LAST_ID}):order_id>/"


@blueprint.post("/")
@access.requires(access.ORDERS_WRITE)
# Instances: of a class webargs makes a new one for every request, a tenth of what a POST costs.
@blueprint.arguments(PlaceOrderSchema())
@blueprint.arguments(IdempotencySchema(), location="headers")
@blueprint.response(201, OrderSchema)
def place(order: dict[str, Any], headers: dict[str, str | None]) -> ResponseReturnValue:
    """Store a pending order; a worker settles it.

    With an Idempotency-Key it may be repeated for 24 hours: the answer is the first one, and no second order is placed.
    """
    client_id, key = access.current_client().id, headers["key"]
    lines, reference = order["items"], order["reference"]
    currency = current_app.extensions["settings"].currency
    if key is None:
        placed = placing.place_order(client_id, lines, currency=currency, reference=reference)
        answer = Answer(placed.id, _body(placed))
    else:
        sent = Key(client_id, key, fingerprint(lines, reference))
        answer = placing.place_order_once(sent, lines, currency=currency, reference=reference, render=_body)
    log.info("order placed", order_id=answer.order_id, client_id=client_id, replayed=answer.replayed)
    return _created(answer)


@blueprint.get("/")
@access.requires(access.ORDERS_READ)
@blueprint.arguments(WantedOrdersSchema, location="query", unknown=RAISE)
@blueprint.response(200, OrdersSchema)
def show_all(asked: dict[str, Any]) -> ResponseReturnValue:
    """List orders, newest first."""
    cursor, limit = asked.pop("cursor"), asked.pop("limit")
    client_id = access.current_client().id
    about = {"list": "orders", "client": client_id} | {name: str(value) for name, value in asked.items()}
    after = pagination.unseal(cursor, about)
    with reading() as session:
        page = pages.find(session, Wanted(client_id, limit, **asked, after=tuple(after) if after else None))
        orders = queries.get_orders(session, page.order_ids)
    return jsonify({"data": orders, "next": pagination.seal(page.end, about) if page.end else None})


@blueprint.get(ONE)
@access.requires(access.ORDERS_READ)
@blueprint.response(200, OrderSchema)
def show(order_id: int) -> ResponseReturnValue:
    """Show one order."""
    return jsonify(_shown(order_id))


@blueprint.post(f"{ONE}cancel/")
@access.requires(access.ORDERS_WRITE)
@blueprint.response(200, OrderSchema)
def cancel(order_id: int) -> ResponseReturnValue:
    """Cancel a pending or confirmed order; what it had bought goes back to stock, and its webhook is on the way."""
    client = access.current_client()
    cancelling.cancel_order(order_id, f"api:{client.name}", client_id=client.id)
    log.info("order cancelled", order_id=order_id, client_id=client.id)
    return jsonify(_shown(order_id))


@blueprint.get(f"{ONE}timeline/")
@access.requires(access.ORDERS_READ)
@blueprint.response(200, TimelineSchema)
def show_timeline(order_id: int) -> ResponseReturnValue:
    """Show what happened to an order: its events, claim, stock movements and webhook attempts, oldest first."""
    with reading() as session:
        if not queries.belongs(session, order_id, access.current_client().id):
            raise _no_order(order_id)
        entries = timeline.timeline_of(session, order_id)
    return jsonify({"data": entries})


@events.get("/")
@access.requires(access.ORDERS_READ)
@events.arguments(WantedEventsSchema, location="query", unknown=RAISE)
@events.response(200, EventsSchema)
def feed(asked: dict[str, int]) -> ResponseReturnValue:
    """Show what happened to all orders: completely, each order's events in their order.

    What was committed before the request is in the feed. Keep `next`, and ask for it again and again.
    """
    with reading() as session:
        behind = queries.any_unplaced(session)
    # Here and not by the clock: the feed is then never late, needs no broker, and costs nothing where nobody reads it.
    backlog = behind and positioning.place_events() == positioning.BATCH
    with reading() as session:
        page = queries.feed_page(session, access.current_client().id, asked["after"], asked["limit"])
    return jsonify(replace(page, more=page.more or backlog))


def _shown(order_id: int) -> OrderView:
    with reading_once() as session:
        order = queries.get_order(session, order_id, client_id=access.current_client().id)
    if order is None:
        raise _no_order(order_id)
    return order


def _no_order(order_id: int) -> NotFoundError:
    return NotFoundError(f"There is no order {order_id}.")


def _body(order: OrderView) -> bytes:
    return jsonify(order).get_data()


def _created(answer: Answer) -> ResponseReturnValue:
    # As url_for() would say it, in a fiftieth of the time.
    headers = {"Location": f"{request.script_root}{request.path}{answer.order_id}/"}
    if answer.replayed:
        headers["Idempotency-Replayed"] = "true"
    return current_app.response_class(answer.body, 201, headers, mimetype="application/json")
