"""Door: orders over HTTP."""

from typing import Any

from flask import current_app, jsonify, url_for
from flask.typing import ResponseReturnValue
from flask_smorest import Blueprint

from orderapp import access
from orderapp.database import LAST_ID, reading
from orderapp.errors import BodyParser, NotFoundError
from orderapp.orders import placing, queries
from orderapp.orders.idempotency import Answer, Key, fingerprint
from orderapp.orders.queries import OrderView
from orderapp.orders.schemas import IdempotencySchema, OrderSchema, PlaceOrderSchema

blueprint = Blueprint("orders", __name__, url_prefix="/api/orders", description="Orders.")
blueprint.ARGUMENTS_PARSER = BodyParser()


@blueprint.post("/")
@access.requires(access.ORDERS_WRITE)
@blueprint.arguments(PlaceOrderSchema)
@blueprint.arguments(IdempotencySchema, location="headers")
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
        return _created(Answer(placed.id, _body(placed)))
    sent = Key(client_id, key, fingerprint(lines, reference))
    return _created(placing.place_order_once(sent, lines, currency=currency, reference=reference, render=_body))


@blueprint.get(f"/<int(max={LAST_ID}):order_id>/")
@access.requires(access.ORDERS_READ)
@blueprint.response(200, OrderSchema)
def show(order_id: int) -> ResponseReturnValue:
    """Show one order."""
    with reading() as session:
        order = queries.get_order(session, order_id, client_id=access.current_client().id)
    if order is None:
        raise NotFoundError(f"There is no order {order_id}.")
    return jsonify(order)


def _body(order: OrderView) -> bytes:
    return jsonify(order).get_data()


def _created(answer: Answer) -> ResponseReturnValue:
    headers = {"Location": url_for("orders.show", order_id=answer.order_id)}
    if answer.replayed:
        headers["Idempotency-Replayed"] = "true"
    return current_app.response_class(answer.body, 201, headers, mimetype="application/json")
