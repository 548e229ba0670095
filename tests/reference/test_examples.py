"""docs/api.md and docs/api.http: every request in them is sent, and answered as they say."""

import re
import subprocess
from typing import NamedTuple

import pytest
import requests

import config
from orderapp.products.seeding import seed_products
from tests.clients import REQUIRED, a_key
from tests.servers.processes import Processes
from tests.sql import one

DOCS = config.ROOT / "docs"

BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


class Example(NamedTuple):
    """One request of the .http file."""

    title: str
    status: int
    method: str
    url: str
    headers: dict[str, str]
    body: str


def parse(text: str, **variables: str) -> list[Example]:
    """Read the format of the HTTP clients in editors: `### title`, request line, headers, blank line, body."""
    for name, value in variables.items():
        text = text.replace(f"{{{{{name}}}}}", value)
    found = []
    for part in re.split(r"^### ", text, flags=re.MULTILINE)[1:]:
        head, _, body = part.strip().partition("\n\n")
        title, request, *headers = head.splitlines()
        method, url = request.split(" ")
        pairs = dict(header.split(": ", 1) for header in headers)
        found.append(Example(title, int(title.rpartition(": ")[2]), method, url, pairs, body))
    return found


@pytest.mark.settings(**REQUIRED)
@pytest.mark.usefixtures("app")
def test_each_request_of_the_http_file_is_answered_as_its_title_says(processes: Processes) -> None:
    """One after the other, on a service that has just been seeded."""
    seed_products()
    web = processes.web().wait_ready()
    examples = parse((DOCS / "api.http").read_text(), host=web.url, key=a_key())
    assert len(examples) == 15
    for example in examples:
        answer = requests.request(example.method, example.url, headers=example.headers, data=example.body, timeout=30)
        assert answer.status_code == example.status, f"{example.title}: {answer.text}"
    assert one("SELECT count(*) FROM orders") == 1


@pytest.mark.settings(**REQUIRED)
@pytest.mark.usefixtures("app")
def test_the_curl_lines_of_the_page_work_one_after_the_other(processes: Processes) -> None:
    """In one shell that stops at the first that fails; the variables at the top are what a reader fills in."""
    seed_products()
    web = processes.web().wait_ready()
    script = "set -euo pipefail\n" + "".join(BLOCK.findall((DOCS / "api.md").read_text()))
    assert script.count("ask ") + script.count("curl ") >= 14
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "API": web.url, "KEY": a_key(), "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert one("SELECT status FROM orders") == "cancelled"
    assert one("SELECT price, stock FROM products WHERE id = 1") == (54000, 15)
    assert one("SELECT archived_at IS NOT NULL FROM products WHERE id = 2")
