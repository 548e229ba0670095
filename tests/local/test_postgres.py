"""The embedded PostgreSQL: what it leaves alone, and what it survives."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
import sqlalchemy

from orderapp.local import cluster, postgres
from orderapp.local.cluster import PostgresError
from orderapp.local.postgres import EmbeddedPostgres

from .processes import eventually, is_gone
from .servers import FAST, ask, elsewhere_name, write_a_row

OWNER = """
import sys, time
from pathlib import Path
from orderapp.local import postgres
if "immortal" in sys.argv:
    postgres.ending_with_parent = lambda command, number: command
server = postgres.EmbeddedPostgres(Path(sys.argv[1]), settings={"fsync": "off"})
print(server.start(), flush=True)
time.sleep(600)
"""


def an_owner(folder: Path, *words: str) -> tuple[subprocess.Popen[str], str]:
    """Start a server from a process that can be killed; the process and the URL."""
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(folder), *words], stdout=subprocess.PIPE, text=True)
    assert owner.stdout
    return owner, owner.stdout.readline().strip()


def kill(owner: subprocess.Popen[str]) -> None:
    """End a process the way the kernel does it when memory runs out."""
    owner.kill()
    owner.communicate()


def postmaster(folder: Path) -> int:
    """Return the server's process."""
    return int((folder / "data" / "postmaster.pid").read_text().split()[0])


def test_the_url_works_for_libpq_and_for_sqlalchemy(folder: Path) -> None:
    """The database exists, belongs to its user, speaks UTF-8 and UTC."""
    with EmbeddedPostgres(folder, settings=FAST) as server:
        asked = "SELECT current_database(), current_user, current_setting('timezone'), current_setting('server_encoding')"
        assert ask(server.url, asked) == [("orderapp", "orderapp", "UTC", "UTF8")]
        engine = sqlalchemy.create_engine(server.url.replace("postgresql:", "postgresql+psycopg2:"))
        with engine.connect() as connection:
            assert connection.execute(sqlalchemy.text("SELECT 1")).scalar() == 1
        engine.dispose()


def test_nothing_listens_on_the_network(folder: Path) -> None:
    """A socket for its owner is the only way in."""
    with EmbeddedPostgres(folder, settings=FAST) as server:
        assert ask(server.url, "SHOW listen_addresses") == [("",)]
        assert (folder / ".s.PGSQL.5432").stat().st_mode & 0o777 == 0o700


def test_data_is_safe_by_default_and_tests_may_be_faster(folder: Path) -> None:
    """Only whoever asks for it gets fsync=off."""
    with EmbeddedPostgres(folder) as server:
        assert ask(server.url, "SHOW fsync") == [("on",)]
    with EmbeddedPostgres(folder, settings={"fsync": "off", "max_connections": "17"}) as server:
        assert ask(server.url, "SELECT current_setting('fsync'), current_setting('max_connections')") == [("off", "17")]


def test_start_stop_start_keeps_the_data(folder: Path) -> None:
    """And a stop ends every process."""
    server = EmbeddedPostgres(folder, settings=FAST)
    write_a_row(server.start())
    pid = postmaster(folder)
    server.stop()
    server.stop()
    assert is_gone(pid)
    assert ask(server.start(), "SELECT id FROM kept") == [(7,)]
    server.stop()


def test_a_deep_folder_gets_a_short_place_for_its_socket(tmp_path: Path) -> None:
    """A socket's path ends at 107 bytes; the data stays where it was asked for."""
    deep = tmp_path / ("d" * 60) / ("e" * 60) / "postgres"
    with EmbeddedPostgres(deep, settings=FAST) as server:
        assert ask(server.url, "SELECT 1") == [(1,)]
        short = Path("/tmp") / elsewhere_name(deep)
        assert [path.name for path in short.iterdir() if path.is_socket()] == [".s.PGSQL.5432"]
        assert short.stat().st_mode & 0o777 == 0o700
        assert ask(server.url, "SHOW data_directory") == [(str(deep / "data"),)]
    assert not short.exists()


@pytest.mark.parametrize("name", ["with space", "comma,ted", "quo'ted", "Ünïcode", "per%20cent"])
def test_any_name_of_a_folder_will_do(tmp_path: Path, name: str) -> None:
    """PostgreSQL itself would take a comma for the end of the folder."""
    with EmbeddedPostgres(tmp_path / name, settings=FAST) as server:
        assert ask(server.url, "SELECT 1") == [(1,)]
    shutil.rmtree(Path("/tmp") / elsewhere_name(tmp_path / name), ignore_errors=True)


def test_a_folder_reached_by_a_link_is_the_same_folder(tmp_path: Path, folder: Path) -> None:
    """Otherwise two servers could meet in one place."""
    folder.mkdir()
    (tmp_path / "link").symlink_to(folder)
    with EmbeddedPostgres(folder, settings=FAST), pytest.raises(PostgresError, match="in use"):
        EmbeddedPostgres(tmp_path / "link").start()


def test_variables_of_libpq_do_not_move_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PGPORT in the user's shell names another server."""
    for name, value in {"PGPORT": "6543", "PGHOST": "example.org", "PGDATA": "/nowhere", "PGUSER": "bob"}.items():
        monkeypatch.setenv(name, value)
    with EmbeddedPostgres(folder, settings=FAST) as server:
        assert ask(server.url, "SELECT current_user") == [("orderapp",)]


def test_the_server_ends_with_a_killed_owner_and_the_next_start_has_the_data(folder: Path) -> None:
    """`kill -9` of make run leaves no server behind."""
    owner, url = an_owner(folder)
    write_a_row(url)
    pid = postmaster(folder)
    kill(owner)
    with EmbeddedPostgres(folder, settings=FAST) as server:
        assert is_gone(pid)
        assert ask(server.url, "SELECT id FROM kept") == [(7,)]


def test_an_orphan_is_stopped_in_order_and_its_data_kept(folder: Path) -> None:
    """Where the kernel cannot end it with its owner, the next start does."""
    owner, url = an_owner(folder, "immortal")
    write_a_row(url)
    pid = postmaster(folder)
    kill(owner)
    assert not is_gone(pid)
    with EmbeddedPostgres(folder, settings=FAST) as server:
        assert is_gone(pid)
        assert postmaster(folder) != pid
        assert ask(server.url, "SELECT id FROM kept") == [(7,)]
        assert "not properly shut down" not in "\n".join(server.last_lines(100))


def test_a_killed_server_recovers(folder: Path) -> None:
    """Its other processes may still work on the data for a moment: the next start waits for them."""
    server = EmbeddedPostgres(folder, settings=FAST)
    write_a_row(server.start())
    with closing(psycopg2.connect(server.url)):
        os.kill(postmaster(folder), signal.SIGKILL)
        assert eventually(lambda: server.exit_code == -signal.SIGKILL)
        server.stop()
        assert ask(server.start(), "SELECT id FROM kept") == [(7,)]
    assert "not properly shut down" in "\n".join(server.last_lines(100))
    server.stop()


def test_a_file_that_names_a_stranger_does_not_stop_it(folder: Path) -> None:
    """After a restart of a container the recorded number is soon somebody else's, and that somebody is left alone."""
    EmbeddedPostgres(folder, settings=FAST).__enter__().stop()
    stranger = subprocess.Popen(["sleep", "60"])
    record = f"{stranger.pid}\n{folder}/data\n1700000000\n5432\n{folder}\n\n  1234567         5\nready\n"
    (folder / "data" / "postmaster.pid").write_text(record)
    with EmbeddedPostgres(folder, settings=FAST) as server:
        assert ask(server.url, "SELECT 1") == [(1,)]
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_a_second_owner_is_told_who_the_first_is(folder: Path) -> None:
    """Two never share a folder; the first is not disturbed."""
    with EmbeddedPostgres(folder, settings=FAST) as server:
        with pytest.raises(PostgresError, match=f"{folder} is in use by process {os.getpid()}"):
            EmbeddedPostgres(folder).start()
        assert ask(server.url, "SELECT 1") == [(1,)]


def test_a_first_start_killed_half_way_begins_anew(folder: Path) -> None:
    """Half a cluster is never taken for a whole one."""
    (folder / "data.new").mkdir(parents=True)
    (folder / "data.new" / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(folder, settings=FAST) as server:
        assert ask(server.url, "SELECT 1") == [(1,)]
    assert not (folder / "data.new").exists()


def test_data_of_another_version_is_refused_with_the_servers_words(folder: Path) -> None:
    """And the folder is free again afterwards."""
    EmbeddedPostgres(folder, settings=FAST).__enter__().stop()
    (folder / "data" / "PG_VERSION").write_text("9\n")
    for _ in range(2):
        with pytest.raises(PostgresError, match=r"did not start:\n(.|\n)*incompatible"):
            EmbeddedPostgres(folder, settings=FAST).start()


def test_a_failing_initdb_is_quoted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk, a missing library: initdb knows."""
    monkeypatch.setattr(cluster, "NAME", "pg_reserved")
    with pytest.raises(PostgresError, match=r"initdb failed:\n(.|\n)*pg_reserved"):
        EmbeddedPostgres(folder).start()


def test_a_server_that_never_answers_is_given_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait is bounded and leaves no process."""
    monkeypatch.setattr(postgres, "START_TIMEOUT", 0)
    monkeypatch.setattr(postgres, "PORT", 5433)
    with pytest.raises(PostgresError, match="does not answer after 0 s"):
        EmbeddedPostgres(folder, settings={**FAST, "unix_socket_directories": str(folder.parent)}).start()


def test_without_the_wheel_it_names_the_way_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A production install has no embedded server."""
    monkeypatch.setattr(cluster, "find_spec", lambda _name: None)
    with pytest.raises(PostgresError, match=r"requirements-dev.txt.*DATABASE_URL"):
        EmbeddedPostgres(folder).start()


def test_only_a_started_server_has_a_url(folder: Path) -> None:
    """Where its socket lies is decided at the start."""
    with pytest.raises(PostgresError, match="not started"):
        _ = EmbeddedPostgres(folder).url
