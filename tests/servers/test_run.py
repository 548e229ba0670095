"""The folders of test runs: removed at the end, by the next run if need be."""

import tempfile
from pathlib import Path

import pytest

from tests.servers.run import ALIVE, PREFIX, OwnServers


def test_the_folder_of_a_killed_run_is_removed_by_the_next_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server's data is 80 MB; a run that lives keeps its own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    killed = tmp_path / f"{PREFIX}killed"
    killed.mkdir()
    (killed / ALIVE).touch()
    (killed / "data").mkdir()

    first, second = OwnServers(), OwnServers()

    assert not killed.exists()
    assert first.folder.exists()
    first.stop()
    second.stop()
    assert list(tmp_path.iterdir()) == []
