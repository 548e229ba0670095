"""How `make` finds Python and fills .venv, with stand-ins for Python, pip and apt-get."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import config

if shutil.which("make") is None:
    pytest.skip("this machine has no make", allow_module_level=True)

# Plays Python: its version, whether it has ensurepip, and what it was asked to do.
PYTHON = """#!/bin/sh
case "$*" in
  *version_info*sys.exit*|*sys.exit*version_info*) exit {too_old} ;;
  *ensurepip*) [ -e {folder}/ensurepip ] ;;
  *python%d*) echo python3.11-venv ;;
  "-m venv"*) echo "venv made" >> {folder}/done; mkdir -p .venv/bin; cp "$0" .venv/bin/python ;;
  *"import pip"*) [ -e .venv/bin/python ] ;;
  *"pip install"*) echo "$*" >> {folder}/done; exit $(cat {folder}/pip-fails 2>/dev/null || echo 0) ;;
  "-m orderapp.local") echo "started" >> {folder}/done ;;
esac
"""

APT = """#!/bin/sh
echo "apt-get $*" >> {folder}/done
case "$*" in *install*) touch {folder}/ensurepip ;; esac
"""

Make = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Return a folder of programs that come first."""
    folder = tmp_path / "machine"
    folder.mkdir()
    (folder / "ensurepip").touch()
    a_program(folder, "python3", PYTHON, too_old=0)
    for newer in ("python3.11", "python3.12", "python3.13", "python3.14"):
        a_program(folder, newer, "#!/bin/sh\nexit 127\n")
    return folder


def a_program(folder: Path, name: str, text: str, **words: object) -> None:
    """Write one stand-in."""
    (folder / name).write_text(text.format(folder=folder, **words) if words else text)
    (folder / name).chmod(0o755)


@pytest.fixture
def make(machine: Path, tmp_path: Path) -> Make:
    """Give `make` in a checkout that has the Makefile and the list of packages."""
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    shutil.copy(config.ROOT / "Makefile", checkout)
    (checkout / "requirements-dev.txt").write_text("flask==3 --hash=sha256:00\n")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        variables = {**os.environ, "PATH": f"{machine}:{os.environ['PATH']}"}
        variables = {name: value for name, value in variables.items() if name not in {"MAKELEVEL", "MAKEFLAGS"}}
        return subprocess.run(["make", *words], cwd=checkout, env=variables, capture_output=True, text=True, check=False)

    return run


def done(machine: Path) -> list[str]:
    """Return what the stand-ins did."""
    file = machine / "done"
    return file.read_text().splitlines() if file.exists() else []


INSTALL = "-m pip install -qq --disable-pip-version-check --no-input --require-hashes -r requirements-dev.txt"


def test_the_first_run_installs_what_is_pinned_and_says_so(make: Make, machine: Path) -> None:
    """One line tells what takes the time; the second run does not install again."""
    first = make("run")
    assert first.returncode == 0, first.stderr
    assert first.stdout.splitlines() == ["Installing the pinned packages into .venv: about a minute, only this once ..."]
    assert done(machine) == ["venv made", INSTALL, "started"]
    assert make("run").stdout == ""
    assert done(machine)[3:] == ["started"]


def test_changed_pins_are_installed_into_the_same_venv(make: Make, machine: Path, tmp_path: Path) -> None:
    """After a `git pull`."""
    make("run")
    later = (tmp_path / "checkout" / ".venv" / ".installed").stat().st_mtime + 10
    os.utime(tmp_path / "checkout" / "requirements-dev.txt", (later, later))
    make("run")
    assert done(machine) == ["venv made", INSTALL, "started", INSTALL, "started"]


def test_an_install_that_fails_is_tried_again(make: Make, machine: Path) -> None:
    """Half a venv is never taken for a whole one."""
    (machine / "pip-fails").write_text("1")
    assert make("run").returncode != 0
    (machine / "pip-fails").unlink()
    assert make("run").returncode == 0
    assert done(machine) == ["venv made", INSTALL, INSTALL, "started"]


def test_a_newer_python_beside_an_old_python3_is_found(make: Make, machine: Path) -> None:
    """Debian 11 with a Python of its own, for one."""
    a_program(machine, "python3", PYTHON, too_old=1)
    a_program(machine, "python3.12", PYTHON, too_old=0)
    assert make("run").returncode == 0
    assert done(machine)[-1] == "started"


def test_without_a_python_that_is_new_enough_it_says_how_to_name_one(make: Make, machine: Path) -> None:
    """One line, and nothing made."""
    a_program(machine, "python3", PYTHON, too_old=1)
    stopped = make("run")
    assert stopped.returncode != 0
    assert stopped.stdout == "Python 3.11 or newer is needed; name it: make run PYTHON=/path/to/python3\n"
    assert done(machine) == []


@pytest.mark.parametrize("uid", [0, 1000])
def test_a_python_without_ensurepip_is_completed_by_root_and_named_to_others(make: Make, machine: Path, uid: int) -> None:
    """Bare Debian: python3-venv is a package of its own."""
    (machine / "ensurepip").unlink()
    a_program(machine, "id", f"#!/bin/sh\necho {uid}\n")
    a_program(machine, "apt-get", APT.format(folder=machine))
    result = make("run")
    if uid == 0:
        assert result.returncode == 0, result.stderr
        assert done(machine)[:2] == ["apt-get install -y -qq python3.11-venv", "venv made"]
    else:
        assert result.returncode != 0
        assert result.stdout.endswith("Install it, then try again: sudo apt-get install python3.11-venv\n")
        assert done(machine) == []


def test_clean_keeps_the_data(make: Make, tmp_path: Path) -> None:
    """Orders are not rubbish."""
    make("run")
    checkout = tmp_path / "checkout"
    (checkout / "var").mkdir()
    (checkout / "orderapp" / "__pycache__").mkdir(parents=True)
    assert make("clean").returncode == 0
    assert sorted(path.name for path in checkout.iterdir()) == ["Makefile", "orderapp", "requirements-dev.txt", "var"]
    assert list((checkout / "orderapp").iterdir()) == []


def test_make_alone_says_what_there_is(make: Make) -> None:
    """And does nothing."""
    shown = make().stdout
    assert all(f"make {name}" in shown for name in ("run", "test", "lint", "types", "clean"))
