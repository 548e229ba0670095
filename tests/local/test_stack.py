"""The whole of `python -m orderapp.local` in a folder of its own: mostly with stand-ins for the service's processes."""

import json
import os
import re
import signal
import socket
import subprocess
import urllib.request
from pathlib import Path

import pytest

import config
from orderapp.local.postgres import EmbeddedPostgres

from .processes import eventually, is_gone
from .servers import ask
from .stacks import GREETING, NO_TABLES, PORTS, STAND_INS, Start, command, server_of


def test_it_greets_stops_and_goes_on_with_the_same_data(start: Start, variables: dict[str, str]) -> None:
    """Tables and products are there, others can join while it runs, and only then."""
    stack = start(constants={})
    assert stack.says(GREETING)
    assert (
        f"curl -s -X POST http://127.0.0.1:{variables['PORT']}/api/orders/ -H 'Content-Type: application/json' -d" in stack.text
    )
    assert f"http://127.0.0.1:{variables['FLOWER_PORT']}/" in stack.text
    assert f"http://127.0.0.1:{variables['RECEIVER_PORT']}/" in stack.text
    assert "try-it mode" in stack.text
    assert f"embedded PostgreSQL in {stack.var}/postgres/data" in stack.text
    url = stack.urls["DATABASE_URL"]
    assert stack.urls["CELERY_BROKER_URL"] == f"filesystem://{stack.var}/broker"
    assert ask(url, "SELECT count(*) FROM products") == [(2,)]
    ask(url, "UPDATE products SET name = 'Kept' WHERE id = 1")
    server = server_of(stack)
    assert stack.is_asked_to_end().endswith("Stopped. The next start goes on with the same data.\n")
    assert is_gone(server)
    assert stack.urls == {}
    again = start()
    assert again.says(GREETING)
    assert ask(again.urls["DATABASE_URL"], "SELECT name FROM products WHERE id = 1") == [("Kept",)]
    again.is_asked_to_end()


def test_a_second_one_is_told_what_runs(start: Start, variables: dict[str, str], tmp_path: Path) -> None:
    """With the URLs of the first, which is not disturbed."""
    first = start()
    assert first.says(GREETING)
    again = command(first.var, STAND_INS, NO_TABLES)
    second = subprocess.run(again, capture_output=True, text=True, env=variables, cwd=config.ROOT, check=False)
    assert second.returncode == 1
    assert f"this checkout runs already (process {first.process.pid})" in second.stdout
    assert f"API: http://127.0.0.1:{variables['PORT']}/api/orders/" in second.stdout
    assert "Traceback" not in second.stdout + second.stderr
    assert first.process.poll() is None
    assert tmp_path.exists()


@pytest.mark.parametrize("name", PORTS)
def test_a_taken_port_is_named_before_anything_starts(start: Start, variables: dict[str, str], name: str) -> None:
    """With the variable that moves it."""
    with socket.create_server(("127.0.0.1", int(variables[name]))):
        output = start().ends(1)
    assert re.search(
        rf"Stopped: {name}: port {variables[name]} for .* is taken by another program; another one: {name}=\d+", output
    )
    assert "PostgreSQL" not in output


def test_a_fault_in_the_settings_is_the_settings_own_table(start: Start) -> None:
    """Nothing is started with a port that is no number."""
    output = start(PORT="many").ends(1)
    assert "The service cannot start" in output
    assert "PORT" in output
    assert "Traceback" not in output


@pytest.mark.proof
def test_a_child_that_dies_is_named_at_the_very_end(start: Start) -> None:
    """Below the goodbyes of the others, where the eye is."""
    dies = {"name": "worker", "command": ["sh", "-c", "echo no memory; sleep 0.5; exit 7"]}
    stack = start(children=[*STAND_INS, dies])
    assert stack.ends(1).endswith("Stopped: worker ended with exit code 7; its last lines:\n  no memory\n")
    assert stack.urls == {}


@pytest.mark.proof
def test_a_database_that_dies_is_named_with_its_last_lines(start: Start) -> None:
    """And the children stop: without it none of them is of use."""
    stack = start()
    assert stack.says(GREETING)
    os.kill(server_of(stack), signal.SIGKILL)
    assert f"Stopped: PostgreSQL ended with exit code -9; its last lines ({stack.var}/postgres/postgres.log)" in stack.ends(1)


def test_a_database_of_ones_own_that_is_away_is_named_by_the_command_that_needs_it(start: Start, tmp_path: Path) -> None:
    """No embedded one takes its place."""
    stack = start(constants={}, DATABASE_URL=f"postgresql:///orders?host={tmp_path}/nowhere")
    output = stack.ends(1)
    assert "Stopped: flask db upgrade ended with exit code" in output
    assert f"{tmp_path}/nowhere" in output
    assert not (stack.var / "postgres").exists()


@pytest.mark.proof
def test_with_both_urls_set_it_uses_those(start: Start, tmp_path: Path) -> None:
    """It brings its tables, and nothing of its own."""
    with EmbeddedPostgres(tmp_path / "theirs", settings={"fsync": "off"}) as theirs:
        broker = f"filesystem://{tmp_path}/their-broker"
        stack = start(constants={}, DATABASE_URL=theirs.url, CELERY_BROKER_URL=broker, WEBHOOK_URL="https://example.org/hook",
                      WEBHOOK_SECRET="whsec_" + "A" * 44)  # fmt: skip
        assert stack.says(GREETING)
        assert "as DATABASE_URL says" in stack.text
        assert "as CELERY_BROKER_URL says" in stack.text
        assert "https://example.org/hook" in stack.text
        assert "try-it mode" not in stack.text
        assert stack.urls["CELERY_BROKER_URL"] == broker
        assert ask(theirs.url, "SELECT count(*) FROM products") == [(2,)]
        stack.is_asked_to_end()
        assert ask(theirs.url, "SELECT count(*) FROM products") == [(2,)]
        assert sorted(path.name for path in stack.var.iterdir()) == ["children.lock", "stack.json"]


@pytest.mark.proof
def test_killed_it_leaves_nothing_running_and_the_next_start_has_the_data(start: Start, tmp_path: Path) -> None:
    """The database, the children: the kernel ends them, and the next start waits for the last."""
    script = f"trap 'while [ ! -e {tmp_path}/may-end ]; do sleep 0.05; done; exit 0' TERM; while :; do sleep 0.05; done"
    stack = start(children=[*STAND_INS, {"name": "slow", "command": ["sh", "-c", script]}])
    assert stack.says(GREETING)
    ask(stack.urls["DATABASE_URL"], "CREATE TABLE kept AS SELECT 7 AS id")
    server = server_of(stack)
    stack.process.kill()
    stack.process.wait()
    again = start()
    assert again.says("Waiting for the processes of an earlier run to end")
    (tmp_path / "may-end").touch()
    assert again.says(GREETING)
    assert is_gone(server)
    assert ask(again.urls["DATABASE_URL"], "SELECT id FROM kept") == [(7,)]
    again.is_asked_to_end()


@pytest.mark.proof
def test_asked_to_end_while_it_starts_it_ends_at_once(start: Start) -> None:
    """The database has just been started, the tables are being made."""
    stack = start(constants={})
    assert stack.says("Bringing the database's tables")
    assert "Traceback" not in stack.is_asked_to_end()
    assert not (stack.var / "postgres" / "data" / "postmaster.pid").exists()


@pytest.mark.proof
def test_who_waits_long_is_told_for_what(start: Start, tmp_path: Path) -> None:
    """The API answers 503 for now."""
    stack = start(constants={**NO_TABLES, "LONG_WAIT": 0.5}, ASKED_TO_FAIL=str(tmp_path / "healthy"))
    assert stack.says("Still waiting for a 200 from /health/ready/.")
    assert GREETING not in stack.text
    (tmp_path / "healthy").touch()
    assert stack.says(GREETING)
    stack.is_asked_to_end()


@pytest.mark.proof
def test_started_by_make_it_ends_with_make(start: Start) -> None:
    """A killed make cannot pass the signal on; here the parent is this test, which lives."""
    stack = start(MAKELEVEL="1")
    assert stack.says(GREETING)
    stack.is_asked_to_end()


def test_the_real_thing_confirms_an_order_and_prints_its_webhook(start: Start, variables: dict[str, str]) -> None:
    """All processes of the service on the file broker: POST, settled, sent, received, seen by Flower."""
    stack = start(None, {})
    assert stack.says(GREETING)
    api = f"http://127.0.0.1:{variables['PORT']}/api/orders/"
    order = json.dumps({"items": [{"product_id": 1, "quantity": 2}, {"product_id": 2, "quantity": 1}]}).encode()
    post = urllib.request.Request(api, order, {"Content-Type": "application/json"})
    with urllib.request.urlopen(post) as response:
        number = json.load(response)["id"]
    assert stack.says("order.confirmed"), stack.text
    with urllib.request.urlopen(f"{api}{number}/") as response:
        assert json.load(response)["total_amount"] == "110500.00"

    def flower_knows() -> bool:
        with urllib.request.urlopen(f"http://127.0.0.1:{variables['FLOWER_PORT']}/tasks/datatable?{DATATABLE}") as response:
            return "orders.process" in response.read().decode()

    assert eventually(flower_knows)
    output = stack.is_asked_to_end()
    assert "signature valid" in output
    assert "does not end and is killed" not in output
    assert "Traceback" not in output


DATATABLE = (
    "draw=1&start=0&length=10&search%5Bvalue%5D=&order%5B0%5D%5Bcolumn%5D=0&order%5B0%5D%5Bdir%5D=asc"
    "&columns%5B0%5D%5Bdata%5D=name"
)
