"""What a new order may look like, and that the description of the answer fits the answer."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from marshmallow import ValidationError

from orderapp.orders.lines import Line
from orderapp.orders.schemas import ItemSchema, OrderSchema, PlaceOrderSchema
from orderapp.orders.states import Outcome
from tests.orders.examples import placed


def test_an_order_becomes_lines() -> None:
    """The act's own type; the reference is optional."""
    loaded = PlaceOrderSchema().load({"items": [{"product_id": 1, "quantity": 2}]})
    assert loaded == {"items": [Line(1, 2)], "reference": None}


@pytest.mark.parametrize("wrong", [True, False, 1.0, "1", b"1", None, [], {}, 2**64, -(2**63)])
def test_an_integer_is_what_json_writes_as_one(wrong: object) -> None:
    """Python takes True for 1, marshmallow "1" and 1.0; a client that sends these means something else."""
    with pytest.raises(ValidationError) as refusal:
        PlaceOrderSchema().load({"items": [{"product_id": wrong, "quantity": wrong}]})
    assert set(refusal.value.messages["items"][0]) == {"product_id", "quantity"}


@pytest.mark.parametrize("fine", ["PO-1", "a", "x" * 64, "naïve ☕ 😀", " ", "a\u00a0b"])
def test_a_reference_is_kept_as_it_came(fine: str) -> None:
    """It is the client's, not ours."""
    loaded = PlaceOrderSchema().load({"items": [{"product_id": 1, "quantity": 1}], "reference": fine})
    assert loaded["reference"] == fine


@pytest.mark.parametrize("wrong", ["", "x" * 65, "a\x00", "\x1f", "\n", "a\n", "\x7f", "\x85", "\x9b31m"])
def test_a_reference_has_no_control_characters_and_fits_its_column(wrong: str) -> None:
    """They would end a log line, or colour somebody's terminal; NUL does not even fit into PostgreSQL."""
    with pytest.raises(ValidationError) as refusal:
        PlaceOrderSchema().load({"items": [{"product_id": 1, "quantity": 1}], "reference": wrong})
    assert set(refusal.value.messages) == {"reference"}


def test_the_answer_has_the_fields_that_its_schema_describes(client: FlaskClient, a_product: Callable[..., int]) -> None:
    """The API page is made from the schema, the answer from the query."""
    placed((a_product(), 1))
    order = client.get("/api/orders/1/").get_json()
    assert list(order) == list(OrderSchema().fields)
    assert list(order["items"][0]) == list(ItemSchema().fields)
    assert not OrderSchema(partial=True).validate(order)


def test_every_final_status_is_described() -> None:
    """Confirmed and failed are in the list of the API page."""
    choices = OrderSchema().fields["status"].validate.choices
    assert {Outcome(1, None, None).status, Outcome(1, None, {"code": "x"}).status} < set(choices)
