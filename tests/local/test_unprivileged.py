"""What PostgreSQL as root leaves alone, and how it runs where it may not have a user namespace."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from orderapp.local import cluster, unprivileged
from orderapp.local.postgres import EmbeddedPostgres

from .servers import FAST, ask, elsewhere_name, write_a_row

ROOT = os.geteuid() == 0


@pytest.mark.skipif(not ROOT, reason="only root needs another identity")
@pytest.mark.parametrize("closed", [False, True], ids=["programs anyone reaches", "programs below a closed folder"])
def test_root_without_user_namespaces_uses_an_account_that_exists(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, closed: bool
) -> None:
    """As in a container without the right: PostgreSQL runs as nobody, in a folder of its own, and keeps its data."""
    refusing = tmp_path / "bin"
    refusing.mkdir()
    (refusing / "unshare").write_text("#!/bin/sh\necho 'Operation not permitted' >&2\nexit 1\n")
    (refusing / "unshare").chmod(0o755)
    monkeypatch.setenv("PATH", str(refusing), prepend=":")
    packages = Path(tempfile.mkdtemp(dir="/var/tmp"))
    packages.chmod(0o700 if closed else 0o755)
    wheel = cluster._wheel()
    for part in (wheel.name, f"{wheel.name}.libs"):
        shutil.copytree(wheel.with_name(part), packages / part, ignore=shutil.ignore_patterns("include", "*.a"))
    monkeypatch.setattr(cluster, "_wheel", lambda: packages / wheel.name)
    elsewhere = Path("/var/tmp") / elsewhere_name(folder)
    with EmbeddedPostgres(folder, settings=FAST) as server:
        write_a_row(server.url)
        assert ask(server.url, "SHOW data_directory") == [(str(elsewhere / "home" / "data"),)]
        assert (elsewhere / "home" / "data").stat().st_uid == unprivileged._account().pw_uid
        assert (elsewhere / "programs").exists() == closed
    with EmbeddedPostgres(folder, settings=FAST) as server:
        assert ask(server.url, "SELECT id FROM kept") == [(7,)]
    assert packages.stat().st_mode & 0o777 == (0o700 if closed else 0o755)
    shutil.rmtree(packages)


def test_a_place_that_somebody_else_made_first_is_refused(tmp_path: Path) -> None:
    """/tmp is everybody's: a link planted there would lead our files elsewhere."""
    (tmp_path / "planted").symlink_to(tmp_path)
    with pytest.raises(PermissionError, match="somebody else"):
        unprivileged.own_folder(tmp_path, "planted", 0o700)


def test_a_machine_without_unshare_is_no_error() -> None:
    """The answer is only that it cannot run so."""
    assert not unprivileged.Identity(("no-such-program",)).may_run(Path("/bin/true"))


def test_no_mode_owner_or_account_changes_outside_its_folder(tmp_path: Path) -> None:
    """A clone below a folder that only its owner may enter: as root, the wheel's own code opens all of it to the world."""
    closed = tmp_path / "home"
    closed.mkdir(mode=0o700)
    clone = closed / "clone"
    (clone / "orderapp").mkdir(parents=True)
    (clone / "orderapp" / "secret.py").write_text("")
    (clone / "orderapp" / "secret.py").chmod(0o600)
    wheel = cluster._wheel()
    watched = [*closed.parents, closed, *closed.rglob("*"), *wheel.parents, *wheel.rglob("*")]

    def state() -> dict[str, tuple[int, int, int]]:
        modes = {str(path): path.lstat() for path in watched}
        return {path: (found.st_mode, found.st_uid, found.st_gid) for path, found in modes.items()}

    accounts, before = Path("/etc/passwd").read_bytes(), state()
    with EmbeddedPostgres(clone / "var" / "postgres", settings=FAST) as server:
        ask(server.url, "SELECT 1")
        assert state() == before
    assert state() == before
    assert Path("/etc/passwd").read_bytes() == accounts
    own = [path.lstat() for path in (clone / "var").rglob("*")]
    assert {(found.st_uid, found.st_gid) for found in own} == {(os.geteuid(), os.getegid())}
    assert {path.name for path in closed.iterdir()} == {"clone"}
