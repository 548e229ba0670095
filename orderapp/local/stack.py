"""Brings the parts up in order and takes them down in the opposite one."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import config
from orderapp import filebroker
from orderapp.local.children import Child, children
from orderapp.local.claim import Lifeline, StackFile
from orderapp.local.pdeathsig import ending_with_parent
from orderapp.local.plan import Plan, plan
from orderapp.local.ports import Port, port_faults
from orderapp.local.postgres import EmbeddedPostgres
from orderapp.local.readiness import api_is_ready
from orderapp.local.supervisor import LAST_LINES, Supervisor
from orderapp.local.welcome import addresses, already_running, console, welcome

# Seconds between two words to somebody who waits for the stack: what is missing.
LONG_WAIT = 30


# What brings the database up to date at every start; each changes nothing when it has nothing to do.
PREPARATIONS = (("db", "upgrade"), ("products", "seed"))


class StackError(Exception):
    """The stack cannot start; the message says why and what helps."""


def run_stack(resources: ExitStack, var: Path, processes: Sequence[Child] | None = None) -> str | None:
    """Run everything until asked to end; return what failed, if something did. Raises StackError, PostgresError.

    ``resources`` is what the caller closes afterwards: the database ends last.
    """
    file = StackFile(var / config.STACK_FILE.name)
    if not file.claim():
        raise StackError(already_running(config.running_stack(file.path)))
    lifeline = _free_lifeline(var)
    what = plan(var)
    os.environ.update(what.environment)
    settings = config.load_or_exit()
    if faults := port_faults(_ports(settings, what)):
        raise StackError("\n".join(faults))
    database = _database(resources, var, what)
    filebroker.forget_the_dead(settings.celery_broker_url)
    file.tell(
        {
            "DATABASE_URL": os.environ.get("DATABASE_URL") or settings.database_url,
            "CELERY_BROKER_URL": settings.celery_broker_url,
            "PID": str(os.getpid()),
        }
        | addresses(settings, what)
    )
    console.print("Bringing the database's tables up to date ...")
    for words in PREPARATIONS:
        _run_flask(*words)
    started = processes if processes is not None else children(settings, receives_webhooks=what.receives_webhooks)
    supervisor = Supervisor(started, os.environ, config.ROOT, lifeline.file)
    readiness = _Readiness(supervisor, settings, lambda: welcome(settings, what, _data(database)))
    return supervisor.run(readiness.is_reached, lambda: _database_fault(database))


class _Readiness:
    """Greets once everything works; tells somebody who waits long what is missing."""

    def __init__(self, supervisor: Supervisor, settings: config.Settings, greet: Callable[[], None]) -> None:
        self._supervisor, self._settings, self._greet = supervisor, settings, greet
        self._next_word = time.monotonic() + LONG_WAIT

    def is_reached(self) -> bool:
        missing = sorted(self._supervisor.not_ready)
        if not api_is_ready(self._settings.web_host, self._settings.port):
            missing.append("a 200 from /health/ready/")
        if not missing:
            self._greet()
        elif time.monotonic() > self._next_word:
            self._next_word += LONG_WAIT
            console.print(f"Still waiting for {', '.join(missing)}.")
        return not missing


def _free_lifeline(var: Path) -> Lifeline:
    lifeline = Lifeline(var / "children.lock")
    if not lifeline.is_free():
        console.print("Waiting for the processes of an earlier run to end ...")
        if not lifeline.await_free():
            raise StackError(f"processes of an earlier run do not end; `fuser -v {lifeline.file.name}` names them")
    return lifeline


def _ports(settings: config.Settings, what: Plan) -> list[Port]:
    ports = [
        Port("PORT", settings.web_host, settings.port, "the API"),
        Port("FLOWER_PORT", "127.0.0.1", settings.flower_port, "Flower"),
    ]
    if what.receives_webhooks:
        ports.append(Port("RECEIVER_PORT", "127.0.0.1", settings.receiver_port, "the webhook receiver"))
    return ports


def _database(resources: ExitStack, var: Path, what: Plan) -> EmbeddedPostgres | None:
    """Start the embedded PostgreSQL, if it is ours to bring."""
    if not what.embeds_database:
        return None
    database = EmbeddedPostgres(var / "postgres")
    console.print(f"Starting PostgreSQL in {database.folder} ...")
    resources.callback(_stop_undisturbed, database)
    os.environ["DATABASE_URL"] = database.start()
    return database


def _data(database: EmbeddedPostgres | None) -> Path | None:
    return database.cluster.data if database and database.cluster else None


def _stop_undisturbed(database: EmbeddedPostgres) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # one more Ctrl-C must not cut the last checkpoint short
    database.stop()


def _database_fault(database: EmbeddedPostgres | None) -> str | None:
    if database is None or database.exit_code is None:
        return None
    lines = "\n".join(f"  {line}" for line in database.last_lines())
    return f"PostgreSQL ended with exit code {database.exit_code}; its last lines ({database.log}):\n{lines}"


def _run_flask(*words: str) -> None:
    """Run a command that prepares the database; its words are only of interest when it fails."""
    command = ending_with_parent([sys.executable, "-m", "flask", *words], signal.SIGTERM)
    done = subprocess.run(  # noqa: S603 - our own command
        command, cwd=config.ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode != 0:
        lines = "\n".join(f"  {line}" for line in done.stdout.rstrip().splitlines()[-LAST_LINES:])
        raise StackError(f"flask {' '.join(words)} ended with exit code {done.returncode}; its last lines:\n{lines}")
