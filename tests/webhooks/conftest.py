"""A receiver, and the endpoint that points to it."""

from collections.abc import Iterator

import pytest

from orderapp.webhooks.endpoint import Endpoint

from . import SECRET
from .receivers import RecordingReceiver


@pytest.fixture
def receiver() -> Iterator[RecordingReceiver]:
    """Start a stranger's server on loopback."""
    with RecordingReceiver() as server:
        yield server


@pytest.fixture
def endpoint(receiver: RecordingReceiver) -> Endpoint:
    """Return the receiver as our endpoint; its address is allowed."""
    return Endpoint(f"http://{receiver.address}/hook", SECRET, frozenset({receiver.address}))
