"""GET /api/openapi.json: it says of every route what is true of it."""

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from flask import Flask
from flask.testing import FlaskClient

from orderapp import access
from orderapp.reference import examples
from tests.api_routes import ROUTES
from tests.clients import REQUIRED


@pytest.fixture
def spec(client: FlaskClient) -> dict[str, Any]:
    """Return the description."""
    answer = client.get("/api/openapi.json")
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    found: dict[str, Any] = answer.get_json()
    return found


def operations(spec: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield method, path and operation."""
    for path, methods in spec["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def test_every_protected_route_is_described_with_its_scope(app: Flask, spec: dict[str, Any]) -> None:
    """A route that nobody described fails here; so does one whose scope is told wrong."""
    described = {operation["operationId"]: operation["security"][0]["apiKey"][0] for _, _, operation in operations(spec)}
    assert described == {endpoint.replace(".", "_"): route.scope for (_, endpoint), route in ROUTES.items() if route.scope}
    assert spec["components"]["securitySchemes"]["apiKey"]["scheme"] == "bearer"
    assert app.config["OPENAPI_VERSION"] == spec["openapi"] == "3.1.0"


def test_in_open_mode_a_key_is_optional(spec: dict[str, Any]) -> None:
    """And the description says so."""
    assert all({} in operation["security"] for _, _, operation in operations(spec))


@pytest.mark.settings(**REQUIRED)
def test_where_keys_are_required_so_it_is_told(spec: dict[str, Any]) -> None:
    """The description itself is for everybody."""
    assert not any({} in operation["security"] for _, _, operation in operations(spec))


def references(part: Any) -> Iterator[str]:
    """Yield all that a part of the description points to."""
    if isinstance(part, dict):
        yield from [part["$ref"]] if "$ref" in part else []
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def test_nothing_points_nowhere(spec: dict[str, Any]) -> None:
    """Schemas, answers and links exist; operations have names of their own."""
    for reference in set(references(spec)):
        target = spec
        for name in reference.removeprefix("#/").split("/"):
            target = target[name]
    names = [operation["operationId"] for _, _, operation in operations(spec)]
    assert len(set(names)) == len(names)
    told = {*examples.REQUESTS, *examples.ANSWERS, *examples.LINKS, *examples.HEADERS, *examples.GUARDED}
    links = {target for _, targets in examples.LINKS.values() for target in targets}
    assert (told | links) - set(names) == set()


def test_every_fault_is_a_problem_and_every_answer_has_a_shape(spec: dict[str, Any]) -> None:
    """No default answer that says nothing."""
    for method, path, operation in operations(spec):
        assert {"405", "429", "503"} < set(operation["responses"]), (method, path)
        for status, answer in operation["responses"].items():
            if status.startswith("2"):
                assert answer.get("content") or status == "204", (method, path)
            else:
                assert answer == {"$ref": f"#/components/responses/{status}"}
    for status, answer in spec["components"]["responses"].items():  # gunicorn refuses an address that is too long
        assert list(answer["content"]) == ["text/html" if status == "414" else "application/problem+json"]


def test_a_parameter_is_never_null(spec: dict[str, Any]) -> None:
    """A URL has no way to say it."""
    schemas = [parameter["schema"] for _, _, one in operations(spec) for parameter in one["parameters"]]
    assert len(schemas) > 20
    for schema in schemas:
        assert isinstance(schema["type"], str), schema
        assert None not in [schema.get("default", 0), *schema.get("enum", ())], schema


def valid(spec: dict[str, Any], schema: dict[str, Any], value: Any) -> bool:
    """Tell whether a value fits a schema of the description."""
    return bool(jsonschema_rs.validator_for(schema | {"components": spec["components"]}).is_valid(value))


def test_examples_fit_their_shapes(spec: dict[str, Any]) -> None:
    """Requests, answers, the problem and the webhooks."""
    contents = [operation["requestBody"]["content"] for _, _, operation in operations(spec) if "requestBody" in operation]
    contents += [answer.get("content", {}) for _, _, one in operations(spec) for answer in one["responses"].values()]
    contents += [answer["content"] for answer in spec["components"]["responses"].values()]
    contents += [webhook["post"]["requestBody"]["content"] for webhook in spec["webhooks"].values()]
    shown = [content for one in contents for content in one.values() if "example" in content]
    assert len(shown) >= 11
    for content in shown:
        assert valid(spec, content["schema"], content["example"]), content["example"]
        assert not valid(spec, content["schema"], []), content["schema"]


def test_the_webhooks_are_described(spec: dict[str, Any]) -> None:
    """The three outcomes, with the headers of Standard Webhooks."""
    assert list(spec["webhooks"]) == ["order.cancelled", "order.confirmed", "order.failed"]
    for webhook in spec["webhooks"].values():
        assert [one["name"] for one in webhook["post"]["parameters"]] == [
            "webhook-id",
            "webhook-timestamp",
            "webhook-signature",
        ]


def test_an_answer_fits_what_is_said_of_it(client: FlaskClient, spec: dict[str, Any]) -> None:
    """The examples are sent; what comes back is valid by the description, money as text."""
    for name in ("products_create", "orders_place"):
        ((path, operation),) = [(path, one) for _, path, one in operations(spec) if one["operationId"] == name]
        body = examples.REQUESTS[name] if name == "products_create" else {"items": [{"product_id": 1, "quantity": 1}]}
        answer = client.post(path, json=body)
        schema = operation["responses"]["201"]["content"]["application/json"]["schema"]
        assert answer.status_code == 201
        assert valid(spec, schema, answer.get_json())
        assert set(operation["responses"]["201"]["headers"]) & set(answer.headers.keys())


def test_the_page_needs_no_key_and_allows_no_foreign_script(client: FlaskClient) -> None:
    """Its own script has a nonce, another one each time."""
    pages = [client.get("/api/docs") for _ in range(2)]
    policies = [page.headers["Content-Security-Policy"] for page in pages]
    assert [page.status_code for page in pages] == [200, 200]
    assert "default-src 'none'" in policies[0]
    assert policies[0] != policies[1]
    assert access.PREFIX + "/docs/swagger-ui-bundle.js" in pages[0].text
    assert "http://" not in pages[0].text
    assert "https://" not in pages[0].text
