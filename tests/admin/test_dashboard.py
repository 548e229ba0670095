"""The dashboard's figures: what happened, what waits, what is missing; bounded, and readable when the database is slow."""

import re
import time
from collections.abc import Callable
from html import unescape

import pytest
from sqlalchemy import text

from orderapp.admin import dashboard, figures, tiles
from orderapp.admin.tiles import Part
from orderapp.database import reading
from orderapp.orders.processing import process_orders
from orderapp.orders.rescuing import rescue_orders
from tests.admin.examples import SCRIPT, Rows
from tests.admin.visitors import Visitor
from tests.orders.examples import a_task, placed
from tests.sql import sql
from tests.wire import listening

Visit = Callable[[str], Visitor]

LIVE = "/admin/live/"

TILE = re.compile(
    r'class="tile( look)?">.*?tile-title">(.*?)(?: <strong>.*?)?</div>.*?tile-number">(.*?)</div>(.*?)</div>\s*</div>',
    re.DOTALL,
)


def tiles_of(page: str) -> dict[str, tuple[str, str, bool]]:
    """Return each tile's number, its note and whether it asks to be looked at, by title."""
    return {
        title: (unescape(number), unescape(re.sub(r"<[^>]+>", "", note)).strip(), bool(look))
        for look, title, number, note in TILE.findall(page)
    }


def rows_of(page: str, heading: str) -> list[list[str]]:
    """Return the cells of the table below a heading."""
    section = page.partition(heading)[2].partition("</section>")[0]
    rows = re.findall(r"<tr>(.*?)</tr>", section.partition("<tbody>")[2], re.DOTALL)
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL) for row in rows]
    return [[unescape(re.sub(r"<[^>]+>", "", cell)) for cell in row] for row in cells if row]


def test_without_any_order_every_part_says_so(visit: Visit) -> None:
    """Zeros and sentences instead of empty frames."""
    page = visit("viewer").get(LIVE).text
    shown = tiles_of(page)
    assert shown["Open orders"] == ("0", "all are settled", False)
    assert shown["Outbox"] == ("0", "messages due; all are on their way", False)
    assert shown["Parked messages"] == ("0", "every message could be published", False)
    assert shown["Webhook success"][1] == "none was sent in the last hour"
    for words in ("No order was placed in the last hour.", "No order has failed.", "None.", "Neither day is summarised yet."):
        assert words in page, words
    assert "<svg" not in page


def test_the_figures_are_what_happened(visit: Visit, rows: Rows) -> None:
    """One order of each outcome; names of products are words, not markup."""
    sql("UPDATE products SET stock = 3 WHERE id = %(id)s", id=rows.product)
    page = visit("viewer").get(LIVE).text
    shown = tiles_of(page)
    assert shown["Open orders"][0] == "1"
    assert shown["Parked messages"] == ("1", "could not be published: decide", True)
    assert shown["Webhook success"][:2] == ("0 %", "of 1 attempts succeeded in the last hour")
    assert shown["Webhooks on their way"] == ("0", "4 given up in 24 h: resend", True)
    assert shown["Dead letters"][1] == "Only RabbitMQ counts them: flask outbox dead"
    assert rows_of(page, "Failed in the last 24 hours") == [["not enough stock", "1", "27.50 USD"]]
    assert rows_of(page, "Low stock") == [[SCRIPT, "3"]]
    assert SCRIPT not in page
    legend = re.findall(r"</svg>([^<]+)</li>", page)
    assert legend == ["confirmed 1", "failed 1", "cancelled 1", "pending 1", "half of the orders", "95 % of the orders"]


def test_what_waits_too_long_asks_to_be_looked_at(visit: Visit, a_product: Callable[..., int]) -> None:
    """An order that is open and a message that is due for minutes, and that a rescuer woke the order."""
    placed((a_product(), 1))
    assert [tiles_of(visit("viewer").get(LIVE).text)[name][2] for name in ("Open orders", "Outbox")] == [False, False]
    sql("UPDATE orders SET created_at = now() - interval '10 min', rescue_at = now()")
    sql("UPDATE outbox SET available_at = now() - interval '9 min'")
    rescue_orders()
    shown = tiles_of(visit("viewer").get(LIVE).text)
    assert shown["Open orders"] == ("1", "the oldest for 10 min; 1 woken again", True)
    assert shown["Outbox"] == ("2", "messages due; the oldest for 9 min", True)


def test_open_orders_make_the_hour_slow(a_product: Callable[..., int]) -> None:
    """Counting only what is settled, an hour in which everything hangs would look like a fast one."""
    lamp = a_product()
    fast, hangs = placed((lamp, 1)), placed((lamp, 1))
    process_orders([fast], a_task())
    sql("UPDATE orders SET created_at = now() - interval '20 min' WHERE id = %(id)s", id=hangs)
    with reading() as session:
        flow = figures.flow(session)
    assert [row.orders for row in flow.minutes] == [1, 1]
    assert flow.minutes[0].took[0] == pytest.approx(1200, abs=60)
    assert flow.minutes[1].took[1] < 60
    assert (flow.total.orders, flow.total.confirmed, flow.total.pending, flow.cut) == (2, 1, 1, False)


def test_an_hour_with_more_orders_than_one_look_takes_in_begins_later(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    """And says so, instead of showing a first minute that is half there."""
    monkeypatch.setattr(figures, "MOST_ORDERS", 3)
    orders = "INSERT INTO orders (client_id, currency, rescue_at, created_at)"
    sql(f"{orders} SELECT 1, 'USD', now(), now() - make_interval(mins => n) FROM unnest(ARRAY[90, 5, 5, 4, 3]) AS n")
    with reading() as session:
        flow = figures.flow(session)
    assert (flow.cut, flow.total.orders, len(flow.minutes)) == (True, 3, 2)
    assert "Only the newest" in visit("viewer").get(LIVE).text


def test_failures_are_counted_by_cause_and_currency(a_product: Callable[..., int]) -> None:
    """With what they would have come to; those of the day before yesterday are over."""
    lamp = a_product(stock=0)
    orders = [placed((lamp, units)) for units in (1, 2, 3, 4)]
    process_orders(orders, a_task())
    sql("UPDATE orders SET currency = 'EUR' WHERE id = %(id)s", id=orders[1])
    sql("""UPDATE orders SET failure_reason = '{"code": "processing_error"}' WHERE id = %(id)s""", id=orders[2])
    sql("UPDATE orders SET settled_at = now() - interval '25 h' WHERE id = %(id)s", id=orders[3])
    with reading() as session:
        found = [(row.cause, row.currency, row.orders, str(row.amount)) for row in figures.failures(session)]
    assert found == [
        ("insufficient_stock", "EUR", 1, "5.00"),
        ("insufficient_stock", "USD", 1, "2.50"),
        ("processing_error", "USD", 1, "7.50"),
    ]


def test_low_stock_is_of_what_is_bought_and_on_sale(a_product: Callable[..., int]) -> None:
    """Neither what nobody orders nor what was archived, shortest first."""
    low, lower, archived, plenty, _nobody = (a_product(stock=units) for units in (10, 9, 1, 11, 0))
    placed((low, 1), (lower, 1), (archived, 1), (plenty, 1))
    sql("UPDATE products SET archived_at = now() WHERE id = %(id)s", id=archived)
    with reading() as session:
        assert [(row.id, row.stock) for row in figures.low_stock(session)] == [(lower, 9), (low, 10)]


def test_yesterday_stands_against_the_day_before(visit: Visit) -> None:
    """In per cent, per currency; a day without a summary is a dash."""
    for back, currency, orders, revenue in ((1, "USD", 12, 90), (2, "USD", 10, 120), (1, "EUR", 1, 5), (3, "USD", 99, 99)):
        sql(
            "INSERT INTO daily_sales (day, currency, orders, items, revenue, failed, cancelled, average)"
            " VALUES ((now() AT TIME ZONE 'UTC')::date - %(back)s, %(currency)s, %(orders)s, 1, %(revenue)s, 0, 2, 1)",
            back=back, currency=currency, orders=orders, revenue=revenue,
        )  # fmt: skip
    shown = rows_of(visit("viewer").get(LIVE).text, "Yesterday against")
    assert shown[:2] == [["Revenue", "5.00", "–", ""], ["Orders", "1", "–", ""]]  # noqa: RUF001
    assert [row for row in shown if row[2] != "–"] == [  # noqa: RUF001
        ["Revenue", "90.00", "120.00", "-25.0 %"],
        ["Orders", "12", "10", "+20.0 %"],
        ["Average", "1.00", "1.00", "same"],
        ["Cancelled", "2", "2", "same"],
        ["Failed", "0", "0", "same"],
    ]


def test_a_slow_answer_costs_only_itself(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are there, and the page within the time that all have together."""
    visitor = visit("viewer")
    monkeypatch.setattr(figures, "webhooks", lambda session: session.execute(text("SELECT pg_sleep(60)")))
    monkeypatch.setattr(dashboard, "PATIENCE", 2)
    began = time.monotonic()
    page = visitor.get(LIVE).text
    assert time.monotonic() - began < 30
    shown = tiles_of(page)
    slow = ("–", "The database is slow: no answer in time.", False)  # noqa: RUF001
    assert [shown[name] for name in ("Webhook success", "Webhooks on their way")] == [slow, slow]
    assert shown["Open orders"][0] == "0"


def test_a_question_of_several_statements_gets_no_more_time(app: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them alone would be in time; together they would keep a thread of the web process for a multiple of it."""
    assert app
    monkeypatch.setattr(dashboard, "PATIENCE", 0.5)
    found = dashboard.look({"slow": lambda session: [session.execute(text("SELECT pg_sleep(0.3)")) for _ in range(2)]})
    assert found["slow"].fault == "The database is slow: no answer in time."


def test_when_the_time_is_over_nothing_more_is_asked(app: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that is slow is left alone."""
    assert app
    monkeypatch.setattr(dashboard, "PATIENCE", 0)
    with listening() as wire:
        found = dashboard.look({"open": figures.open_orders, "flow": figures.flow})
    assert wire.said == []
    assert {part.fault for part in found.values()} == {"The database is slow: no answer in time."}


def test_the_limit_ends_with_the_question(app: object) -> None:
    """The connection goes back to the pool as it was."""
    assert app
    dashboard.look({"open": figures.open_orders})
    with reading() as session:
        assert session.execute(text("SHOW statement_timeout")).scalar_one() == "30s"


def test_a_page_that_asks_by_itself_keeps_no_session_open(visit: Visit) -> None:
    """An hour without a click ends it, whatever the dashboard does meanwhile; a click prolongs it."""
    viewer = visit("viewer")
    assert "Set-Cookie" not in viewer.get(LIVE).headers
    assert "orderapp_session" in viewer.get("/admin/").headers["Set-Cookie"]


def test_every_tile_has_words_when_its_question_has_no_answer() -> None:
    """No tile disappears."""
    names = ("open", "flow", "outbox", "webhooks")
    shown = tiles.from_parts({name: Part(fault="slow") for name in names})
    assert [(tile.number, tile.note) for tile in shown[:-1]] == [("–", "slow")] * 6  # noqa: RUF001
    assert len({tile.title for tile in shown}) == 7
