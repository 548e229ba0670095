"""Planted secrets are searched for in all that all processes say, at debug level and while things go wrong; lines are JSON."""

import json

import pytest
import requests
from sqlalchemy.engine import make_url

from orderapp import access
from tests.admin.visitors import TOKEN
from tests.journeys.world import REQUEST, World
from tests.servers.processes import Process
from tests.servers.rabbitmq import RabbitNode
from tests.servers.receiver import SECRET as WEBHOOK_SECRET
from tests.servers.waiting import free_port, wait_until

pytestmark = [pytest.mark.rabbitmq, pytest.mark.proof]

SECRET_KEY = "planted-secret-key-" + "5f" * 16
DATABASE_PASSWORD = "planted-database-password"
BROKER_PASSWORD = "planted-broker-password"
FLOWER_PASSWORD = "planted-flower-password"
METRICS_TOKEN = "planted-metrics-token"
PASSWORD, TYPED = "planted-password-of-hers", "planted-password-mistyped"
HOOK_PATH = "planted-path-of-a-receiver"
COOKIE = "eyJwbGFudGVkIjoiY29va2llIn0.planted.cookie"

TALKATIVE = "tests.journeys.debugging"


@pytest.fixture(scope="module")
def node(node: RabbitNode) -> RabbitNode:
    """Return a node with a user of its own, whose password is no default."""
    node.ctl("add_user", "shop", BROKER_PASSWORD)
    node.ctl("set_permissions", "shop", ".*", ".*", ".*")
    return node


@pytest.fixture(scope="module")
def broker(node: RabbitNode) -> str:
    """Return the URL with the planted password."""
    return node.url().replace("guest:guest", f"shop:{BROKER_PASSWORD}")


@pytest.fixture(scope="module")
def talkative(world: World) -> World:
    """Give a shop that needs keys and says whatever it can."""
    # Behind a socket file nobody asks for it.
    url = make_url(world.database_url).set(username=world.value("SELECT current_user"), password=DATABASE_PASSWORD)
    world.processes.environment |= {
        "DATABASE_URL": url.render_as_string(hide_password=False),
        "SECRET_KEY": SECRET_KEY,
        "REQUIRE_API_KEY": "true",
        "FLOWER_BASIC_AUTH": f"shop:{FLOWER_PASSWORD}",
        "METRICS_TOKEN": METRICS_TOKEN,
        "LOG_FORMAT": "json",
        "EVENTS_EXCHANGE": "shop.events",
    }
    started = world.processes
    web = started.start("web", "gunicorn", f"{TALKATIVE}:app", "--bind", "127.0.0.1:0", "--log-level", "debug")
    relay = started.start("relay", "flask", "--app", f"{TALKATIVE}:app", "outbox", "relay")
    relay._ready = lambda: "relay started" in relay.text
    worker = started.worker(application=f"{TALKATIVE}:celery")
    beat = started.start("beat", "celery", "-A", f"{TALKATIVE}:celery", "beat", "--pidfile=", "-l", "DEBUG")
    flower = started.start("flower", "celery", "-A", f"{TALKATIVE}:celery", "flower", FLOWER_PORT=str(free_port()))
    flower._ready = lambda: "Connected to" in flower.text
    wait_until(lambda: "Listening at" in web.text, 60, f"gunicorn, not: {web.text}")
    web.url = "http://127.0.0.1:" + web.text.split("Listening at: http://127.0.0.1:")[1].split(" ")[0].split('"')[0]
    return world.start(web=web, relay=relay, worker=worker, beat=beat, flower=flower)


def test_no_secret_is_in_any_line_of_any_process(talkative: World, node: RabbitNode) -> None:
    """An order's whole way, refused keys, a bug that quotes the settings, outages of receiver and broker."""
    shop = talkative
    created, _ = planted(shop)
    key = next(word for word in created.text.split() if word.startswith("oak") and "_" in word)
    headers = {"Authorization": f"Bearer {key}", "Cookie": f"session={COOKIE}", "X-Request-ID": "planted-request"}
    lamp = shop.product()
    with requests.Session() as session:
        session.headers.update(headers)
        hook = {"url": f"{shop.receiver.url}/{HOOK_PATH}?token={HOOK_PATH}"}
        made = session.post(f"{shop.web.url}/api/webhook-endpoints/", json=hook, timeout=REQUEST)
        assert made.status_code == 201, made.text
        order_id = shop.place({lamp: 1}, session)
        shop.wait_webhooks(order_id, 2)
        logged_in = [log_in(shop, password) for password in (TYPED, PASSWORD)]
        assert session.post(f"{shop.web.url}/shout", timeout=REQUEST).status_code == 500
        assert session.post(f"{shop.web.url}/api/orders/", data=b"{", timeout=REQUEST).status_code == 415
        wrong = {"Authorization": f"Bearer {key[:-1]}{'1' if key.endswith('0') else '0'}", "Cookie": f"session={COOKIE}"}
        assert requests.get(f"{shop.web.url}/api/orders/", headers=wrong, timeout=REQUEST).status_code == 401
        shop.receiver.status = 500
        node.kill()
        shop.place({lamp: 1}, session)
        shop.relay.wait_for_line("broker unreachable")
        node.start()
    wait_until(lambda: not shop.open_orders(), 60, "the orders")
    shop.worker.wait_for_line("webhook not received")
    doctor = shop.processes.start("doctor", "flask", "doctor")
    wait_until(lambda: doctor.exit_code is not None, 60, "the doctor")

    settings = [SECRET_KEY, WEBHOOK_SECRET, DATABASE_PASSWORD, BROKER_PASSWORD, FLOWER_PASSWORD, METRICS_TOKEN]
    secrets = [key[-64:], COOKIE, made.json()["secret"], HOOK_PATH, PASSWORD, TYPED, *logged_in, *settings]
    others = [one for one in shop.processes.started if one is not created]  # which prints the key, this once
    found = [
        (one.name, secret, line) for one in others for secret in secrets for line in one.text.splitlines() if secret in line
    ]
    assert not found, found[:5]
    assert shop.web.text.count("***") > 5, "what was planted went by"
    # At debug level gunicorn shows its configuration before it loads the application, and beat a banner of its own.
    for process, first in ((shop.web, "Listening at"), (shop.relay, "relay started"), (shop.worker, "ready.")):
        assert not without_json(process.text, first), process.name


def planted(shop: World) -> tuple[Process, Process]:
    """Make a key and a user; returns the commands that did so, of which the first prints the key."""
    scopes = [word for scope in access.SCOPES for word in ("--scope", scope)]
    key = shop.processes.start("keys", "flask", "keys", "create", "planted", *scopes)
    user = shop.processes.start("users", "flask", "users", "create-superuser", "--name", "alice", "--password", PASSWORD)
    for command in (key, user):
        wait_until(lambda command=command: command.exit_code == 0, 60, f"a key and a user, not: {command.text}")
    return key, user


def log_in(shop: World, password: str) -> str:
    """Send the panel's login, right or wrong; returns the session's cookie."""
    with requests.Session() as browser:
        page = browser.get(f"{shop.web.url}/admin/login/", timeout=REQUEST).text
        token = TOKEN.search(page)
        assert token, page
        data = {"csrf_token": token[1], "name": "alice", "password": password}
        browser.post(f"{shop.web.url}/admin/login/", data=data, timeout=REQUEST)
        return browser.cookies["orderapp_session"]


def without_json(text: str, first: str) -> list[str]:
    """Return the lines from this one on that are no JSON object."""
    lines = text.splitlines()
    begin = next(number for number, line in enumerate(lines) if first in line)
    return [line for line in lines[begin:] if not isinstance(_parsed(line), dict)]


def _parsed(line: str) -> object:
    try:
        return json.loads(line)
    except ValueError:
        return None
