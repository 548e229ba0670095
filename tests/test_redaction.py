"""Secrets in log lines, whoever wrote them."""

import logging
import re
import timeit
from dataclasses import replace
from functools import partial

import pytest
import structlog

from config import Settings, secrets_in
from orderapp import logs
from orderapp.accounts.keys import new_key
from orderapp.redaction import Redactor

KNOWN = "correct horse battery"
KEY = new_key().text

PLANTED = {
    "a known one": (f"is {KNOWN}?", KNOWN),
    "an API key": (f"key {KEY} used", KEY[-64:]),
    "an API key in JSON": (f'{{"Authorization": "Bearer {KEY}"}}', KEY[-64:]),
    "a bearer token of anybody's": ("Authorization: Bearer abc.def-ghi", "abc.def-ghi"),
    "a basic login": ("authorization: basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
    "a signing secret": ("whsec_dGVzdHMtb25seS1zZWNyZXQ=", "dGVzdHMtb25seS1zZWNyZXQ="),
    "a password in a URL": ("amqp://shop:s3cret-word@broker:5672//", "s3cret-word"),
    "a bearer token in capitals": ("AUTHORIZATION: BEARER abc.def-ghi", "abc.def-ghi"),
    "a basic login in capitals": ("AUTHORIZATION: BASIC dXNlcjpwYXNz", "dXNlcjpwYXNz"),
    "a cookie in capitals": ("SET-COOKIE: session=eyJhIjoxfQ", "eyJhIjoxfQ"),
    "a cookie": ("Cookie: session=eyJhIjoxfQ.aBc.dEf", "eyJhIjoxfQ.aBc.dEf"),
    "a bearer token behind a word that ends alike": ("nearer header=Bearer abc.def-ghi", "abc.def-ghi"),
    "a cookie behind a word that ends alike": ('{"name": "rookie", "Cookie": "session=eyJhIjoxfQ"}', "eyJhIjoxfQ"),
    "a cookie in a dict": ("{'Set-Cookie': 'session=eyJhIjoxfQ; Path=/'}", "eyJhIjoxfQ"),
    "a cookie in JSON in JSON": ('{"a": "{\\"cookie\\": \\"session=eyJhIjoxfQ\\"}"}', "eyJhIjoxfQ"),
}


@pytest.mark.parametrize(("line", "secret"), PLANTED.values(), ids=PLANTED)
def test_a_secret_is_replaced_and_the_rest_stays(line: str, secret: str) -> None:
    """Where it was can still be seen."""
    redacted = Redactor([KNOWN])(line)
    assert secret not in redacted
    assert "***" in redacted
    assert redacted[:2] == line[:2]


@pytest.mark.parametrize(
    "line",
    [
        "order placed order_id=7 request_id=0190b2c8-7a40-7cc2-8b3c-3f9f4a8f3b11",
        "webhook received https://shop.example/hook?a=b event=1",
        "PostgreSQL at postgresql+psycopg2://shop@db:5432/orderapp",
        "basic facts, bearer of news",
        "a clearer explanation, phasic something-else; rookie: John",
        "sha256 of the tree: 5f5f",
    ],
)
def test_what_is_no_secret_stays(line: str) -> None:
    """A log full of marks helps nobody."""
    assert Redactor(["short", ""])(line) == line
    assert Redactor(["short"])("short words stay") == "short words stay"


def test_a_long_line_is_searched_as_fast_as_for_single_words() -> None:
    """A line of the relay names a hundred messages: what looks at each of its letters takes as long as publishing them."""
    line = "webhooks.deliver 0190b2c8-7a40-7cc2-8b3c-3f9f4a8f3b11, " * 170
    redact, word = Redactor([KNOWN, KEY]), re.compile("whatever")
    redacted, searched = (min(timeit.repeat(partial(look, line), number=20, repeat=20)) for look in (redact, word.search))
    assert redacted < 30 * searched


def test_a_secret_that_begins_with_another_is_replaced_whole() -> None:
    """The shorter one would leave its end behind."""
    assert Redactor(["password-1", "password-1-and-more"])("password-1-and-more") == "***"


def test_the_secrets_of_all_settings_are_known(settings: Settings) -> None:
    """What the redactor is not told, it cannot look for."""
    planted = replace(
        settings,
        secret_key="the-key",
        webhook_secret="whsec_signs",
        metrics_token="the-token",
        flower_basic_auth="shop:of-flower",
        database_url="postgresql+psycopg2://u:of%2Fdatabase@db/x",
        celery_broker_url="amqp://u:of-broker@mq//",
        otel_exporter_otlp_endpoint="https://u:of-collector@traces",
    )
    known = {"the-key", "whsec_signs", "the-token", "of-flower", "of%2Fdatabase", "of/database", "of-broker", "of-collector"}
    assert set(secrets_in(planted)) == known


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_every_logger_of_the_process_is_redacted(capsys: pytest.CaptureFixture[str], log_format: str) -> None:
    """Fields, foreign loggers and exceptions alike."""
    root = logging.getLogger()
    before = list(root.handlers), root.level
    try:
        logs.configure(log_format, [KNOWN])
        structlog.get_logger("orderapp.test").info("said", text=KNOWN, header={"Cookie": "session=abcdefgh"})
        logging.getLogger("somebody.else").warning("sent %s", f"Bearer {KEY}")
        try:
            int(KNOWN)
        except ValueError:
            structlog.get_logger("orderapp.test").exception("failed")
    finally:
        root.handlers[:], root.level = before
    said = capsys.readouterr().err
    assert said.count("***") >= 4
    assert not [secret for secret in (KNOWN, KEY[-64:], "abcdefgh") if secret in said]
