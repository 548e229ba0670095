"""One order's request id in the lines of every process that worked on it."""

import re
from uuid import uuid4

import pytest
import requests

from tests.journeys.world import REQUEST, World
from tests.servers.processes import Process
from tests.servers.waiting import wait_until

pytestmark = pytest.mark.rabbitmq


def lines(event: str, name: str, *processes: Process) -> list[str]:
    """Return the lines of this event that hold this word."""
    found = [line for process in processes for line in process.text.splitlines()]
    return [line for line in found if event in line and re.search(rf"\b{re.escape(name)}\b", line)]


def field(name: str, line: str) -> str:
    """Return a field of a line for people, or the only one of a list."""
    found = re.search(rf"\b{name}=\[?'?([^\s'\]]+)", line)
    assert found, line
    return found.group(1)


def test_a_request_id_leads_from_the_post_to_the_webhook(shop: World) -> None:
    """Web, relay, worker, relay again, webhook; and the ids by which each line is found from its neighbour."""
    name = f"journey-{uuid4()}"
    items = [{"product_id": shop.product(), "quantity": 1}]
    answer = requests.post(
        f"{shop.web.url}/api/orders/", json={"items": items}, headers={"X-Request-ID": name}, timeout=REQUEST
    )
    order_id = answer.json()["id"]
    shop.wait_webhooks(order_id, 1)
    relays, workers = (shop.relay, shop.relay2), (shop.worker, shop.worker2)
    wait_until(lambda: lines("webhooks received", name, *workers), 30, "the line of the webhook")

    assert answer.headers["X-Request-ID"] == name
    (web,) = lines("order placed", name, shop.web)
    assert f"order_id={order_id}" in web
    published = {field("task", line): line for line in lines("messages published", name, *relays)}
    assert published.keys() == {"orders.process", "webhooks.deliver"}
    message_id, delivered_by = (field("message_ids", published[task]) for task in ("orders.process", "webhooks.deliver"))
    assert f"subject_ids=[{order_id}]" in published["orders.process"]
    (processed,) = lines("orders processed", name, *workers)
    assert f"task_id={message_id}" in processed
    assert f"order_ids=[{order_id}]" in processed
    (received,) = lines("webhooks received", name, *workers)
    assert f"task_id={delivered_by}" in received
    assert f"order_ids=[{order_id}]" in received
