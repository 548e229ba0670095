"""What strangers type and what tools send: an answer in words, never a 500, never markup of theirs."""

from collections.abc import Callable
from html import escape

import pytest

from tests.admin.examples import SCRIPT, Rows, requests_for
from tests.admin.visitors import Visitor, contents
from tests.sql import sql

Visit = Callable[[str], Visitor]

# A digit to Python's int() and Decimal(), not to a person who reads ASCII.
WIDE_ONE = "\uff11"

WORDS = [
    *("\0", "1" * 31, "-1", "0", "1e9", WIDE_ONE, "' OR 1=1 --", "%", "_", "\\", SCRIPT, "\u00e9", "\U0001f600", "\u202e"),
    *("\ud800".encode("utf-8", "surrogatepass"), b"\xff\xfe", "x" * 5000),
]

NUMBERS, AMOUNTS = {"-1", "0", "1e9", WIDE_ONE}, {"price", "stock", "quantity"}

# Each page and the parameters that it reads.
PAGES = {
    "/admin/orders/": ["q", "status", "since", "until", "before", "after"],
    "/admin/items/": ["order", "product", "before"],
    "/admin/products/": ["q", "state", "before"],
    "/admin/deliveries/": ["order", "receiver", "state", "before"],
    "/admin/parked/": ["queue", "before"],
    "/admin/audit/": ["actor", "subject", "subject_id", "before"],
    "/admin/sales/": ["from", "to"],
    "/admin/sales/revenue.svg": ["from", "to", "currency"],
    "/admin/sales/orders.svg": ["currency"],
    "/admin/products/new/": ["url"],
    "/admin/orders/details/": ["id"],
    "/admin/products/details/": ["id"],
    "/admin/products/edit/": ["id", "url"],
    "/admin/products/restock/": ["id"],
}

# These, and what Flask-Admin and Flask-Login would read by themselves.
PARAMETERS = [*{name for own in PAGES.values() for name in own} - {"url"}, *("page", "page_size", "sort", "desc", "search")]
PARAMETERS += ["flt0_0", "next", "modal", "rowid", "endpoint"]


@pytest.mark.parametrize("word", WORDS, ids=lambda word: ascii(word)[:20])
def test_no_address_makes_a_page_fail(visit: Visit, rows: Rows, word: str | bytes) -> None:
    """Every page with each parameter that it reads, and with all there are: a list, a message or a refusal."""
    alice = visit("superuser")
    assert rows.product
    for page, own in PAGES.items():
        for names in [*([name] for name in own), PARAMETERS]:
            answer = alice.get(page, **dict.fromkeys(names, word))
            assert answer.status_code in {200, 302, 400}, (page, names, answer.text)
            assert SCRIPT not in answer.text, (page, names)


@pytest.mark.parametrize("word", WORDS, ids=lambda word: ascii(word)[:20])
def test_no_form_makes_a_page_fail_or_writes_what_makes_no_sense(visit: Visit, rows: Rows, word: str | bytes) -> None:
    """Every field of every form but the token; numbers, actions and rows that do not exist change nothing."""
    alice = visit("superuser")
    token, before = alice.token(), contents()
    fields = [(*each, name) for each in forms(rows) for name in (*each[1], "url")]
    # Names and reasons are people's own words, and some of these are numbers: as good as any. They come last.
    fits = [name in {"name", "reason"} or (name in AMOUNTS and word in NUMBERS) for _, _, name in fields]
    for good in (False, True):
        for path, form, name in [field for field, fit in zip(fields, fits, strict=True) if fit == good]:
            answer = alice.client.post(path, data={"csrf_token": token, **form, name: word})
            assert answer.status_code in {200, 302, 400}, (path, name, answer.text)
            assert SCRIPT not in answer.text
            assert answer.headers.get("Location", "/admin/").startswith("/admin/")
        assert good or contents() == before


def forms(rows: Rows) -> list[tuple[str, dict[str, str]]]:
    """Return the path and the data of every form but the logout."""
    return [(wanted.path, form) for wanted in requests_for(rows).values() for form in wanted.forms if form]


def test_every_word_of_a_stranger_is_escaped(visit: Visit, rows: Rows) -> None:
    """Product names, references, reasons, the broker's and the receiver's words."""
    alice = visit("superuser")
    for path in ("/admin/products/", "/admin/orders/", "/admin/items/", "/admin/deliveries/", "/admin/parked/", "/admin/audit/",
                 "/admin/sales/", f"/admin/products/details/?id={rows.product}", f"/admin/products/edit/?id={rows.product}",
                 f"/admin/products/restock/?id={rows.product}", f"/admin/orders/details/?id={rows.confirmed}"):  # fmt: skip
        text = alice.get(path).text
        assert "alert(" in text, path
        assert SCRIPT not in text, path
        assert escape("<script>") in text


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch", "options", "head"])
def test_other_methods_are_no_way_in(visit: Visit, rows: Rows, method: str) -> None:
    """A method that a page does not know is refused, whoever asks."""
    before = contents()
    for visitor in (visit(""), visit("superuser")):
        for wanted in requests_for(rows).values():
            if not (method == "post" and wanted.forms):
                answer = getattr(visitor.client, method)(wanted.path)
                assert answer.status_code < 500, (wanted.path, answer.text)
                if method not in {"options", "head"}:
                    assert answer.status_code in {400, 405}, wanted.path
    sql("UPDATE users SET last_login_at = NULL")
    after = contents()
    assert {name for name in before if before[name] != after[name]} <= {"users"}


def test_bodies_that_are_no_forms_are_refused(visit: Visit, rows: Rows) -> None:
    """JSON, half a multipart body, a body too large."""
    alice = visit("superuser")
    path, before = "/admin/orders/action/", contents()
    for kind, body, status in (
        ("application/json", b'{"action": "cancel"}', {400}),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Dispo", {400}),
        ("application/x-www-form-urlencoded", b"a=" + b"x" * 100_000, {400, 413}),
    ):
        assert alice.client.post(path, data=body, content_type=kind).status_code in status
    assert contents() == before
    assert rows.product


def test_the_same_field_twice_is_no_error(visit: Visit, rows: Rows) -> None:
    """Flask-Admin makes a list of an id that comes twice."""
    alice = visit("superuser")
    for page in ("/admin/products/edit/", "/admin/products/details/", "/admin/products/restock/"):
        assert alice.client.get(f"{page}?id={rows.product}&id={rows.archived}").status_code in {200, 302}
