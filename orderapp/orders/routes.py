"""Door: orders over HTTP."""

from typing import Any

from flask import current_app, jsonify, url_for
from flask.typing import ResponseReturnValue
from flask_smorest import Blueprint

from orderapp import access
from orderapp.database import LAST_ID, reading
from orderapp.errors import BodyParser, NotFoundError
from orderapp.orders import placing, queries
from orderapp.orders.schemas import OrderSchema, PlaceOrderSchema

blueprint = Blueprint("orders", __name__, url_prefix="/api/orders", description="Orders.")
blueprint.ARGUMENTS_PARSER = BodyParser()


@blueprint.post("/")
@access.requires(access.ORDERS_WRITE)
@blueprint.arguments(PlaceOrderSchema)
@blueprint.response(201, OrderSchema)
def place(order: dict[str, Any]) -> ResponseReturnValue:
    """Store a pending order; a worker settles it."""
    currency = current_app.extensions["settings"].currency
    client = access.current_client()
    placed = placing.place_order(client.id, order["items"], currency=currency, reference=order["reference"])
    return jsonify(placed), 201, {"Location": url_for("orders.show", order_id=placed.id)}


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
