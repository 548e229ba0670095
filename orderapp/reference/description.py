"""The OpenAPI description: what the doors declare, completed by what holds for all of them.

The doors say their shapes; errors, security, examples, links and webhooks are added here, so that no door repeats them.
"""

import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from http import HTTPStatus
from typing import Any

from flask import Flask

from orderapp import access
from orderapp.orders.events import FINAL
from orderapp.reference import examples

Json = dict[str, Any]

METHODS = ("get", "post", "put", "patch", "delete")

ABOUT = """Orders are stored at once and settled by workers; a webhook or the feed tells the outcome.

Send `Authorization: Bearer KEY`. Money is text, times are UTC. A list answers `{"data": [...], "next": cursor}`.
Whatever is wrong is told as application/problem+json; its `type` leads to a page that explains it."""

WORDS = {
    400: "The body cannot be read.",
    401: "No API key, or not a good one.",
    403: "The key lacks the scope.",
    404: "There is no such thing, or it belongs to another client.",
    405: "Not this method.",
    409: "The thing is in a state that does not allow this.",
    412: "The thing is no longer at the version that If-Match names.",
    413: "The body is larger than 64 KiB.",
    414: "The address is longer than 4 KiB; the web server itself says so.",
    415: "The body is not declared as application/json.",
    422: "The request has faults; each is listed.",
    429: "Too many requests; wait Retry-After seconds.",
    503: "The service cannot do its work now; wait Retry-After seconds.",
}

PROBLEM: Json = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "request_id"],
    "properties": {
        "type": {"type": "string", "description": "Address of a page that explains it."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "JSON pointer into the body, or /query/NAME."},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}


def describe(app: Flask) -> Json:
    """Return the whole description of this application's API."""
    (api,) = app.extensions["flask-smorest"]["apis"].values()
    spec: Json = deepcopy(api["ext_obj"].spec.to_dict())
    spec["info"] |= {"description": ABOUT, "license": {"name": "MIT", "identifier": "MIT"}}
    spec["servers"] = [{"url": "/"}]
    components = spec["components"]
    components["securitySchemes"] = {"apiKey": {"type": "http", "scheme": "bearer", "description": "flask keys create NAME"}}
    components["schemas"].pop("Error", None)
    components["schemas"] = {name: _strict(schema) for name, schema in components["schemas"].items()} | {"Problem": PROBLEM}
    components["schemas"]["ProductChange"]["minProperties"] = 1
    components["responses"] = {str(status): _problem(status, words) for status, words in WORDS.items()}
    views = _views(app)
    for path, methods in spec["paths"].items():
        shared = [_plain(parameter) for parameter in methods.pop("parameters", [])]
        for method in METHODS:
            if method in methods:
                _complete(app, methods[method], shared, *views[method, path])
    _require_what_is_always_there(spec)
    spec["webhooks"] = {kind: {"post": _webhook(kind)} for kind in sorted(FINAL)}
    return spec


def _views(app: Flask) -> dict[tuple[str, str], tuple[str, Callable[..., Any]]]:
    """Return the name and the view of each method and path, as the description writes it."""
    return {
        (method.lower(), re.sub(r"<(?:[^:<>]+:)?(\w+)>", r"{\1}", rule.rule)): (
            rule.endpoint.replace(".", "_"),
            app.view_functions[rule.endpoint],
        )
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
    }


def _complete(app: Flask, operation: Json, shared: list[Json], name: str, view: Callable[..., Any]) -> None:
    operation["operationId"] = name
    operation["parameters"] = shared + [_plain(parameter) for parameter in operation.get("parameters", [])]
    if name in examples.GUARDED:
        operation["parameters"].append(
            {"in": "header", "name": "If-Match", "schema": {"type": "string"}, "description": "The ETag that was read."}
        )
    scope = access.declared_by(view)
    if scope:
        operation["security"] = [{"apiKey": [scope]}]
        if not app.extensions["settings"].require_api_key:
            operation["security"].append({})
    good = {status: answer for status, answer in operation["responses"].items() if status.startswith("2")}
    for answer in good.values():
        _show(answer, name)
    operation["responses"] = good | {str(status): {"$ref": f"#/components/responses/{status}"} for status in _faults(operation)}
    if name in examples.REQUESTS:
        operation["requestBody"]["content"]["application/json"]["example"] = examples.REQUESTS[name]


def _faults(operation: Json) -> Iterator[int]:
    """Yield the statuses that an operation may end with besides the good one."""
    places = {parameter["in"] for parameter in operation["parameters"]}
    changes = not operation["operationId"].endswith(("_show", "_show_all", "_show_timeline", "_daily_sales"))
    has_body = "requestBody" in operation
    guarded = operation["operationId"] in examples.GUARDED
    asked = {
        400: has_body,
        401: "security" in operation,
        403: "security" in operation,
        404: "path" in places,
        405: True,
        409: changes,
        412: guarded,
        413: has_body,
        414: True,
        415: has_body,
        422: has_body or "query" in places,
        429: True,
        503: True,
    }
    yield from (status for status, applies in asked.items() if applies)


def _show(answer: Json, name: str) -> None:
    content = answer.get("content", {}).get("application/json")
    if content and name in examples.ANSWERS:
        content["example"] = examples.ANSWERS[name]
    headers = examples.HEADERS.get(name, {})
    if headers:
        answer["headers"] = {header: {"description": words, "schema": {"type": "string"}} for header, words in headers.items()}
    if name in examples.LINKS:
        parameter, targets = examples.LINKS[name]
        answer["links"] = {
            target: {"operationId": target, "parameters": {parameter: "$response.body#/id"}} for target in targets
        }


def _problem(status: int, words: str) -> Json:
    if status == HTTPStatus.REQUEST_URI_TOO_LONG:  # refused before it reaches the application
        return {"description": words, "content": {"text/html": {"schema": {"type": "string"}}}}
    content: Json = {"schema": {"$ref": "#/components/schemas/Problem"}}
    if status == HTTPStatus.UNPROCESSABLE_ENTITY:
        content["example"] = examples.PROBLEM
    return {"description": words, "content": {"application/problem+json": content}}


def _webhook(kind: str) -> Json:
    body = {
        "type": "object",
        "required": ["id", "type", "timestamp", "data", "sequence"],
        "properties": {
            "id": {"type": "string", "format": "uuid", "description": "The webhook-id; the same with every attempt."},
            "type": {"const": kind},
            "timestamp": {"type": "string", "format": "date-time"},
            "data": {"$ref": "#/components/schemas/Order"},
            "sequence": {"type": "integer", "description": "1, 2, 3 ... within the order; attempts may overtake each other."},
        },
    }
    example = {
        "id": "0198f1f0-0000-7000-8000-000000000000",
        "type": kind,
        "timestamp": "2026-01-31T12:00:01.000000Z",
        "data": examples.OUTCOMES[kind],
        "sequence": 2,
    }
    headers = ("webhook-id", "webhook-timestamp", "webhook-signature")
    return {
        "summary": f"Tells {kind}, signed by Standard Webhooks.",
        "operationId": f"webhook_{kind.removeprefix('order.')}",
        "tags": ["webhooks"],
        "security": [],
        "parameters": [{"in": "header", "name": name, "required": True, "schema": {"type": "string"}} for name in headers],
        "requestBody": {"required": True, "content": {"application/json": {"schema": body, "example": example}}},
        "responses": {"2XX": {"description": "Received. Anything else, or nothing within 15 s, is tried again."}},
    }


def _plain(parameter: Json) -> Json:
    """Return a parameter as it can be sent: a URL has no null, an id begins with 1."""
    schema = _strict(parameter["schema"])
    if "null" in schema.get("type", ()):
        schema["type"] = schema["type"][0]
    if schema.get("default", "") is None:
        del schema["default"]
    if "enum" in schema:
        schema["enum"] = [value for value in schema["enum"] if value is not None]
    if parameter["in"] == "path" and schema.get("type") == "integer":
        schema |= {"minimum": 1, "example": 1}
    return parameter | {"schema": schema}


def _strict(schema: Any) -> Any:
    """Return a schema in JSON Schema's terms: money is text, patterns are ECMAScript's."""
    if isinstance(schema, list):
        return [_strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: _strict(value) for name, value in schema.items()}
    kind = found.get("type")
    if kind == "number" or (isinstance(kind, list) and "number" in kind):
        found |= {"type": "string" if kind == "number" else ["string", "null"], "format": "decimal"}
    if isinstance(found.get("pattern"), str):
        found["pattern"] = "^" + found["pattern"].removeprefix("^").replace(r"\Z", "$")
    return found


def _require_what_is_always_there(spec: Json) -> None:
    """Say of answers that every name is in them; requests have declared theirs."""
    schemas = spec["components"]["schemas"]
    asked: set[str] = set()
    for methods in spec["paths"].values():
        for operation in methods.values():
            asked |= set(_named(operation.get("requestBody", {}), schemas))
    for name, schema in schemas.items():
        if name not in asked and name != "Problem":
            schema["required"] = list(schema.get("properties", {}))


def _named(part: Any, schemas: Json) -> Iterator[str]:
    if isinstance(part, dict):
        if "$ref" in part:
            name = part["$ref"].rpartition("/")[2]
            yield name
            yield from _named(schemas[name], schemas)
        for value in part.values():
            yield from _named(value, schemas)
    elif isinstance(part, list):
        for value in part:
            yield from _named(value, schemas)
