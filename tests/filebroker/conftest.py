"""A broker of one's own for every test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from kombu.transport.virtual import Channel

from .messages import a_connection


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Return the URL of a broker of one's own."""
    return f"filesystem://{tmp_path}/the%20broker"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder that the URL names."""
    return tmp_path / "the broker"


@pytest.fixture
def channel(url: str) -> Iterator[Channel]:
    """Return an open channel."""
    with a_connection(url) as connection:
        yield connection.channel()
