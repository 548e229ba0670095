"""The limit of a GET: Flask and gunicorn answering a constant of the size that SIZE gives."""

import os

from flask import Flask

app = Flask(__name__)

_ANSWER = b"x" * int(os.environ["SIZE"])


@app.get("/api/orders/<int:order_id>/")
def show(order_id: int) -> tuple[bytes, dict[str, str]]:
    """Answer."""
    del order_id
    return _ANSWER, {"Content-Type": "application/json"}
