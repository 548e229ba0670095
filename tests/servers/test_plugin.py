"""Without RabbitMQ the run is loud; in CI it is red. Debian's package starts no service."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import config
from tests.servers import debian
from tests.servers.waiting import wait_until

CONFTEST = """
from tests.servers import debian
from tests.servers.waiting import wait_until

def nowhere():
    raise debian.MissingRabbitMQError("RabbitMQ is not installed")

debian.rabbitmq_binaries = nowhere
pytest_plugins = ["tests.servers.plugin", "tests.servers.fixtures"]
"""

TESTS = """
def test_with_a_broker(broker): ...
def test_with_a_node(private_node): ...
def test_without(): ...
"""


ENDLESS = """
from pathlib import Path
import threading

def test_endless(servers):
    Path("began").touch()
    threading.Event().wait(60)
"""


def _run(folder: Path, ci: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run pytest as a machine without RabbitMQ would."""
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_it.py").write_text(TESTS)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = rabbitmq\n")
    environment = {**os.environ, "CI": ci, "PYTHONPATH": str(config.ROOT), "TEST_BROKER_URL": ""}
    argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
    return subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("options", [(), pytest.param(("-n", "2"), marks=pytest.mark.proof)], ids=["plain", "xdist"])
def test_without_rabbitmq_the_summary_says_loudly_what_was_skipped(tmp_path: Path, options: tuple[str, ...]) -> None:
    """A reader of the last screen knows how much was not tested, and the line that tests it."""
    done = _run(tmp_path, "", *options)
    assert done.returncode == 0, done.stdout
    assert "2 tests skipped for want of RabbitMQ" in done.stdout
    assert debian.REMEDY in done.stdout
    assert "1 passed, 2 skipped" in done.stdout.splitlines()[-1]


def test_without_rabbitmq_a_run_of_ci_fails(tmp_path: Path) -> None:
    """CI that tests half of the service and is green would be a lie."""
    done = _run(tmp_path, "true")
    assert done.returncode == 1
    assert "1 passed, 2 errors" in done.stdout.splitlines()[-1]


def test_services_stay_down_only_while_packages_are_installed(tmp_path: Path) -> None:
    """The file that forbids starts is gone afterwards, also after a failure."""
    policy = tmp_path / "policy-rc.d"
    with debian.services_stay_down(policy):
        assert subprocess.run([policy], check=False).returncode == 101
    assert not policy.exists()
    with contextlib.suppress(ZeroDivisionError), debian.services_stay_down(policy):
        raise ZeroDivisionError
    assert not policy.exists()


def test_a_policy_that_is_there_already_is_kept(tmp_path: Path) -> None:
    """Container images bring one of their own."""
    policy = tmp_path / "policy-rc.d"
    policy.write_text("theirs")
    with debian.services_stay_down(policy):
        assert policy.read_text() == "theirs"
    assert policy.read_text() == "theirs"


@pytest.mark.proof
@pytest.mark.parametrize("options", [(), ("-n", "1")], ids=["plain", "xdist"])
def test_a_run_that_is_asked_to_end_cleans_up_and_sums_up(tmp_path: Path, options: tuple[str, ...]) -> None:
    """CI sends SIGTERM to a run that takes too long; databases on a foreign server would stay behind."""
    (tmp_path / "test_it.py").write_text(ENDLESS)
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["tests.servers.plugin", "tests.servers.fixtures"]')
    environment = {**os.environ, "PYTHONPATH": str(config.ROOT), "TMPDIR": str(tmp_path / "tmp")}
    (tmp_path / "tmp").mkdir()
    argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
    with subprocess.Popen(argv, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as run:
        wait_until((tmp_path / "began").exists, 60, "the endless test")
        run.terminate()
        printed, _ = run.communicate(timeout=60)
    assert run.returncode != 0
    assert "KeyboardInterrupt" in printed
    assert list((tmp_path / "tmp").glob("orderapp-test-*")) == []
