"""Door: the API's description, and a page to read and try it, which asks nobody outside."""

import secrets
from pathlib import Path

import flask_swagger_ui
from flask import Blueprint, Response, current_app, jsonify, make_response, render_template, send_from_directory
from flask.typing import ResponseReturnValue

from orderapp.access import public
from orderapp.reference.description import describe

blueprint = Blueprint("reference", __name__, url_prefix="/api", template_folder="templates")

# The package is taken for its files only; its own page runs inline scripts that no policy could allow.
ASSETS = Path(flask_swagger_ui.__file__).parent / "dist"

# Bytes of a nonce that nobody can guess within the one answer that it is for.
NONCE_BYTES = 16

# Styles inline, without nonce: Swagger UI writes style attributes. data: for the icons in its style sheet.
_POLICY = (
    "default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@blueprint.get("/openapi.json")
@public
def openapi() -> ResponseReturnValue:
    """Show the description, OpenAPI 3.1."""
    return jsonify(describe(current_app))


@blueprint.get("/docs")
@public
def docs() -> ResponseReturnValue:
    """Show the page."""
    nonce = secrets.token_urlsafe(NONCE_BYTES)
    answer = make_response(render_template("reference/docs.html", nonce=nonce))
    answer.headers["Content-Security-Policy"] = _POLICY.format(nonce=nonce)
    return answer


@blueprint.get('/docs/<any("swagger-ui.css", "swagger-ui-bundle.js"):name>')
@public
def asset(name: str) -> Response:
    """Serve what the page is made of."""
    return send_from_directory(ASSETS, name, max_age=3600)
