"""The commands of the README, taken from its text and run as they stand: migrated, seeded, started, ordered, confirmed."""

import json
import re
import shlex
import subprocess

import pytest

import config
from tests.servers.others import UNPOOLED
from tests.servers.processes import PROGRAMS, Processes
from tests.servers.receiver import Receiver
from tests.servers.waiting import free_port, wait_until

pytestmark = pytest.mark.rabbitmq

# Seconds for a command that ends; on two busy cores an import of the application takes several.
COMMAND = 60

README = (config.ROOT / "README.md").read_text()


def commands(section: str) -> list[str]:
    """Return what stands in backticks in the second column of a section's table."""
    table = README.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| [^|]+ \| `([^`]+)` \|", table, re.MULTILINE)


def curl_lines() -> list[str]:
    """Return the commands of the block with the curl lines."""
    (block,) = (each for each in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if "curl" in each)
    return re.findall(r"^curl (?:.*\\\n)*.*$", block, re.MULTILINE)


@UNPOOLED
def test_its_commands_lead_to_a_confirmed_order(processes: Processes, broker: str, receiver: Receiver) -> None:
    """With nothing added but free ports and this machine's addresses, which are settings."""
    environment = {
        **processes.environment,
        "PORT": str(free_port()),
        "FLOWER_PORT": str(free_port()),
        "PATH": f"{PROGRAMS}:/usr/bin:/bin",
    }
    assert environment["CELERY_BROKER_URL"] == broker

    def run(command: str) -> str:
        command = command.replace(":8000/", f":{environment['PORT']}/")
        done = subprocess.run(
            ["sh", "-ec", command], env=environment, capture_output=True, text=True, timeout=COMMAND, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    first, second = re.findall(r"begin with `([^`]+)` and `([^`]+)`", README)[0]
    run(first)
    run(second)
    started = [processes.start(line.split()[0], *shlex.split(line), **environment) for line in commands("The processes")]
    assert len(started) == 6
    wait_until(lambda: "Listening at" in started[0].text, COMMAND, "gunicorn")

    place, show = curl_lines()
    order = json.loads(run(place))
    assert (order["id"], order["status"]) == (1, "pending")
    wait_until(lambda: json.loads(run(show))["webhook_sent"], COMMAND, "the webhook")
    order = json.loads(run(show))
    assert (order["status"], order["total_amount"]) == ("confirmed", "110500.00")
    assert [webhook.verify()["type"] for webhook in receiver.requests] == ["order.confirmed"]
    assert [process.exit_code for process in started] == [None] * len(started)
