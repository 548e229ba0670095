"""Door: products over HTTP. Stock is never set here, only moved, with a reason."""

from typing import Any

from flask import Response, jsonify, request, url_for
from flask.typing import ResponseReturnValue
from flask_smorest import Blueprint
from marshmallow import RAISE

from orderapp import access, pagination
from orderapp.database import LAST_ID, reading
from orderapp.errors import BodyParser, NotFoundError
from orderapp.products import editing, queries
from orderapp.products.changes import ProductChange
from orderapp.products.queries import ProductView
from orderapp.products.schemas import NewProductSchema, ProductChangeSchema, ProductSchema, ProductsSchema, RestockSchema
from orderapp.products.versions import version_of

blueprint = Blueprint("products", __name__, url_prefix="/api/products", description="What is sold.")
blueprint.ARGUMENTS_PARSER = BodyParser()

ONE = f"/<int(max={LAST_ID}):product_id>/"


@blueprint.get("/")
@access.requires(access.ORDERS_READ)
@blueprint.arguments(pagination.PageSchema, location="query", unknown=RAISE)
@blueprint.response(200, ProductsSchema)
def show_all(asked: dict[str, Any]) -> ResponseReturnValue:
    """List products, by id, the archived ones too."""
    about = {"list": "products"}
    (after,) = pagination.unseal(asked["cursor"], about) or [0]
    with reading() as session:
        found = queries.product_page(session, after, asked["limit"] + 1)
    page = found[: asked["limit"]]
    return jsonify({"data": page, "next": pagination.seal([page[-1].id], about) if len(found) > len(page) else None})


@blueprint.get(ONE)
@access.requires(access.ORDERS_READ)
@blueprint.response(200, ProductSchema)
def show(product_id: int) -> ResponseReturnValue:
    """Show one product; its ETag is the version that a change may expect."""
    return _shown(product_id)


@blueprint.post("/")
@access.requires(access.PRODUCTS_WRITE)
@blueprint.arguments(NewProductSchema)
@blueprint.response(201, ProductSchema)
def create(product: dict[str, Any]) -> ResponseReturnValue:
    """Create a product with its opening stock."""
    product_id = editing.create_product(**product, actor=_actor())
    answer = _shown(product_id)
    answer.status_code = 201
    answer.headers["Location"] = url_for("products.show", product_id=product_id)
    return answer


@blueprint.patch(ONE)
@access.requires(access.PRODUCTS_WRITE)
@blueprint.arguments(ProductChangeSchema)
@blueprint.response(200, ProductSchema)
def edit(change: ProductChange, product_id: int) -> ResponseReturnValue:
    """Change name or price; with If-Match only if nobody else has changed the product meanwhile.

    Orders already placed keep the price that they were quoted.
    """
    editing.edit_product(product_id, change, _actor(), expected=_expected())
    return _shown(product_id)


@blueprint.post(f"{ONE}archive/")
@access.requires(access.PRODUCTS_WRITE)
@blueprint.response(200, ProductSchema)
def archive(product_id: int) -> ResponseReturnValue:
    """Take a product off sale; orders already placed still settle. If-Match counts as for a change."""
    editing.archive_product(product_id, _actor(), expected=_expected())
    return _shown(product_id)


@blueprint.post(f"{ONE}restock/")
@access.requires(access.PRODUCTS_WRITE)
@blueprint.arguments(RestockSchema)
@blueprint.response(200, ProductSchema)
def restock(movement: dict[str, Any], product_id: int) -> ResponseReturnValue:
    """Move stock by hand; never below zero. Sending it twice moves twice."""
    editing.restock_product(product_id, movement["quantity"], movement["reason"], _actor())
    return _shown(product_id)


def _actor() -> str:
    return f"api:{access.current_client().name}"


def _shown(product_id: int) -> Response:
    with reading() as session:
        product = queries.get_product(session, product_id)
    if product is None:
        raise NotFoundError(f"There is no product {product_id}.")
    answer = jsonify(product)
    # A tag of what can be edited, not of every byte (stock moves on): it guards changes and is no answer to If-None-Match.
    answer.set_etag(_tag(product))
    return answer


def _tag(product: ProductView) -> str:
    return version_of(product.name, product.price, archived=product.archived)


def _expected() -> set[str] | None:
    """Return the versions that If-Match names; None when any will do."""
    if "If-Match" not in request.headers or request.if_match.star_tag:
        return None
    return request.if_match.as_set()
