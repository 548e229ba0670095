"""An order's page: one timeline in words, for each role what it may know."""

import re
from collections.abc import Callable
from html import unescape

from orderapp.admin.story import reason_in_words
from orderapp.orders.processing import process_orders
from orderapp.orders.retrying import retry_order
from orderapp.products.editing import restock_product
from tests.admin.examples import SCRIPT, Rows
from tests.admin.visitors import Visitor
from tests.orders.examples import TASK, placed
from tests.sql import sql

Visit = Callable[[str], Visitor]


def steps(page: str) -> list[tuple[str, str, str]]:
    """Return each step's distance from the one before, its title and its words."""
    table = page.partition("What happened</h2>")[2].partition("</table>")[0]
    found = re.findall(r'"After">(.*?)</td>.*?"What">(.*?)</td>.*?"More"><span>(.*?)</span></td>', table, re.DOTALL)
    return [(after, title, unescape(re.sub(r"<[^>]+>", "", words))) for after, title, words in found]


def shown(visitor: Visitor, order_id: int) -> str:
    """Return the order's page."""
    answer = visitor.get("/admin/orders/details/", id=order_id)
    assert answer.status_code == 200
    return answer.text


def test_the_whole_life_of_an_order_is_told_in_one_piece(visit: Visit, a_product: Callable[..., int]) -> None:
    """Failed, sent through again by hand, sold: in order, each with its distance; the task of the claim that counts."""
    lamp = a_product(stock=0, name="Lamp")
    order_id = placed((lamp, 2))
    process_orders([order_id], "00000000-0000-7000-8000-00000000beef")
    restock_product(lamp, 5, "delivery", "cli:me")
    retry_order(order_id, "cli:me", "they have come")
    process_orders([order_id], TASK)
    told = steps(shown(visit("superuser"), order_id))
    assert [(title, words) for _, title, words in told] == [
        ("Placed", ""),
        ("Failed", "not enough stock: Lamp (2 ordered, 0 there)"),
        ("Sent through again", ""),
        ("By hand: retry", "by cli:me: they have come"),
        ("Claimed by a worker", f"attempt 1, task {TASK}"),
        ("Taken from stock", "2 of Lamp"),
        ("Confirmed", "5.00"),
    ]
    assert told[0][0] == ""
    assert all(re.fullmatch(r"\+[\d.]+ (ms|s)", after) for after, _, _ in told[1:])
    assert "By hand" not in shown(visit("operator"), order_id)


def test_webhooks_are_told_with_what_the_network_said(visit: Visit, rows: Rows) -> None:
    """Which the API keeps to itself; a stranger's words stay words."""
    told = [(title, words) for _, title, words in steps(shown(visit("viewer"), rows.confirmed))]
    assert ("Webhook sent", f"{SCRIPT} after 5 ms (delivery {rows.delivery}, attempt 1)") in told
    assert ("Webhook given up", f"delivery {rows.delivery}, after 10 attempts") in told


def test_a_failure_stands_in_words_above_all(visit: Visit, rows: Rows) -> None:
    """With what the order would have come to."""
    page = unescape(shown(visit("viewer"), rows.failed))
    assert f"Failed: not enough stock: {SCRIPT} (11 ordered, 8 there)." in page
    assert "Together: <strong>27.50 USD</strong>" in page
    assert "Total: <strong>5.00 USD</strong>" in shown(visit("viewer"), rows.confirmed)


def test_a_pending_order_says_what_it_waits_for(visit: Visit, rows: Rows, a_product: Callable[..., int]) -> None:
    """Its parked message with the reason, or one that no relay has taken."""
    page = unescape(shown(visit("viewer"), rows.pending))
    assert f"Its message {rows.parked} is parked: {SCRIPT}. " in page
    waits = placed((a_product(), 1))
    assert "Its message has been waiting for the relay since 20" in re.sub(r"</?time>", "", shown(visit("viewer"), waits))
    sql("DELETE FROM outbox")
    assert "Its message" not in shown(visit("viewer"), waits)


def test_a_task_can_be_looked_up_in_flower(visit: Visit, rows: Rows) -> None:
    """Where Flower is, the settings say; the script makes it a link on the host that the visitor came by."""
    page = shown(visit("viewer"), rows.confirmed)
    assert len(re.findall(r'<code data-task="[0-9a-f-]{36}" data-flower="5555">', page)) == 2


def test_a_reason_without_words_of_its_own_is_shown_as_it_is() -> None:
    """Of a version that knows more causes than this one."""
    assert reason_in_words({"code": "too_heavy"}, {}) == "too_heavy"
    assert reason_in_words(None, {}) == ""
