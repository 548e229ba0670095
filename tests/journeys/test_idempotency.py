"""One key, many requests, several processes."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import requests

from tests.servers.processes import Processes
from tests.sql import one

# Requests at once: more than four gunicorn processes have threads, so that some also wait to be accepted.
REQUESTS = 50


def test_fifty_identical_posts_over_four_processes_are_one_order(processes: Processes, a_product: Callable[..., int]) -> None:
    """All are answered the same bytes; one of them is not a replay."""
    a_product(stock=1)
    web = processes.web("--workers", "4").wait_ready()
    order = {"items": [{"product_id": 1, "quantity": 1}]}
    headers = {"Idempotency-Key": "one and the same"}
    with ThreadPoolExecutor(REQUESTS) as pool:
        url = f"{web.url}/api/orders/"
        futures = [pool.submit(requests.post, url, json=order, headers=headers, timeout=30) for _ in range(REQUESTS)]
        answers = [future.result() for future in futures]
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert sum("Idempotency-Replayed" not in answer.headers for answer in answers) == 1
    counts = [one(f"SELECT count(*) FROM {table}") for table in ("orders", "order_items", "order_events", "outbox")]
    assert counts == [1, 1, 1, 1]
