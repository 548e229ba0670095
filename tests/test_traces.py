"""Traces: one from a POST to its webhook, through the real broker; off, they cost nothing and need nothing."""

import ast
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from flask import Flask
from flask.testing import FlaskClient
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext, SpanKind, StatusCode
from werkzeug.test import TestResponse

import config
from orderapp import spans, traces
from orderapp.errors import BadMessageError
from orderapp.outbox import messages
from orderapp.outbox.broker import publisher_for
from orderapp.outbox.envelopes import Envelopes
from orderapp.outbox.relaying import Relay
from orderapp.queues import ORDERS_PROCESS
from tests.outbox.consumer import take
from tests.outbox.fakes import FakePublisher, nacks
from tests.outbox.rows import put_raw
from tests.servers.receiver import Receiver
from tests.servers.waiting import wait_until
from tests.sql import one, sql

on = pytest.mark.settings(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")

Place = Callable[..., TestResponse]
Spans = Callable[[], list[ReadableSpan]]

# A client's own span, as W3C writes it.
THEIRS = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(autouse=True)
def off_afterwards() -> Iterator[None]:
    """Leave no exporter to the next test."""
    yield
    traces.configure(None)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Spans:
    """Keep spans in memory instead of sending them; returns what gives those that have ended."""
    memory = InMemorySpanExporter()
    monkeypatch.setattr(spans, "processor_to", lambda _endpoint: SimpleSpanProcessor(memory))
    return lambda: list(memory.get_finished_spans())


@pytest.fixture
def traced(made: Spans, app: Flask) -> Spans:
    """Return what gives the spans of an application that has been made with the setting."""
    assert app.extensions["settings"].otel_exporter_otlp_endpoint
    return made


@pytest.fixture
def place(client: FlaskClient, a_product: Callable[..., int]) -> Place:
    """Return what POSTs an order, with these headers."""
    body = {"items": [{"product_id": a_product(), "quantity": 1}]}
    return lambda **headers: client.post("/api/orders/", json=body, headers=headers)


def named(ended: list[ReadableSpan], name: str) -> ReadableSpan:
    """Return the one span of this name."""
    (span,) = [span for span in ended if span.name == name]
    return span


def trace_of(span: ReadableSpan) -> int:
    """Return the number of its trace."""
    return span.get_span_context().trace_id


def identity(context: SpanContext) -> tuple[int, int]:
    """Return the numbers of a span's trace and of itself."""
    return context.trace_id, context.span_id


def work(app: Flask, broker: str, queue: str) -> None:
    """Relay what is due, and do what a worker does with the messages that wait in this queue."""
    relay = Relay(publisher_for(broker), Envelopes(app.extensions["celery"]))
    relay.relay_once()
    relay.close()
    for message in take(broker, queue):
        run(app, message.task, message.headers, *message.args)


def run(app: Flask, name: str, headers: dict[str, Any], *args: Any) -> None:
    """Do a task as Celery's tracer does: the headers of its message are its request."""
    task = app.extensions["celery"].tasks[name]
    task.push_request(**headers, called_directly=False)
    try:
        task(*args)
    finally:
        task.pop_request()


@on
@pytest.mark.rabbitmq
def test_a_trace_leads_from_the_post_to_the_webhook(
    app: Flask, place: Place, broker: str, receiver: Receiver, traced: Spans
) -> None:
    """Each step is the child of the one before, across the outbox, RabbitMQ and the thread that sends."""
    answer = place()
    work(app, broker, "orders")
    work(app, broker, "webhooks")
    wait_until(lambda: any(span.name == "send webhook" for span in traced()), 30, "the span of the webhook")
    way = {
        "POST /api/orders/": SpanKind.SERVER,
        "publish orders.process": SpanKind.PRODUCER,
        "orders.process": SpanKind.CONSUMER,
        "publish webhooks.deliver": SpanKind.PRODUCER,
        "webhooks.deliver": SpanKind.CONSUMER,
        "send webhook": SpanKind.CLIENT,
    }
    ended = [named(traced(), name) for name in way]
    assert [span.kind for span in ended] == list(way.values())
    assert len({trace_of(span) for span in ended}) == 1
    parents = [span.parent.span_id if span.parent else None for span in ended]
    assert parents == [None, *(span.get_span_context().span_id for span in ended[:-1])]
    assert all(span.status.status_code is StatusCode.UNSET for span in ended)

    # What leads from a line of the log, or from an order, to the trace.
    post, _, task, _, _, webhook = ended
    assert post.attributes["request_id"] == answer.headers["X-Request-ID"]
    assert post.attributes["http.response.status_code"] == 201
    assert task.attributes["task_id"] == str(one("SELECT task_id FROM orders"))
    assert (webhook.attributes["order_id"], webhook.attributes["http.response.status_code"]) == (1, 200)
    assert "traceparent" not in receiver.requests[0].headers  # strangers learn nothing of our traces


@on
@pytest.mark.rabbitmq
def test_orders_in_one_message_are_linked_to_their_posts(app: Flask, place: Place, broker: str, traced: Spans) -> None:
    """No one of them is the parent: a span has one at most, and the message has many causes."""
    for _ in range(3):
        place()
    work(app, broker, "orders")
    posts = {identity(span.get_span_context()) for span in traced() if span.name == "POST /api/orders/"}
    publish, task = named(traced(), "publish orders.process"), named(traced(), "orders.process")
    assert publish.parent is None
    assert len(posts) == 3
    assert {identity(link.context) for link in publish.links} == posts
    assert trace_of(publish) not in {trace for trace, _ in posts}
    assert task.parent.span_id == publish.get_span_context().span_id
    assert publish.attributes["rows"] == 3


@on
def test_a_message_that_is_not_confirmed_is_an_error(app: Flask, traced: Spans) -> None:
    """Its row goes out again, in a span of its own."""
    put_raw(subject_id=1)
    relay = Relay(FakePublisher(nacks), Envelopes(app.extensions["celery"]))
    relay.relay_once()
    publish = named(traced(), "publish orders.process")
    assert (publish.status.status_code, publish.status.description) == (StatusCode.ERROR, "not confirmed")


@on
def test_a_client_may_bring_its_own_trace(client: FlaskClient, traced: Spans) -> None:
    """A shop sees its call and our work as one."""
    client.get("/api/products/", headers={"traceparent": THEIRS, "tracestate": "x=" + "y" * 500})
    span = named(traced(), "GET /api/products/")
    assert f"{trace_of(span):032x}" == THEIRS.split("-")[1]
    assert span.parent is not None


@on
@pytest.mark.parametrize("brought", ["", "nonsense", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", THEIRS * 9, 7, ["x"], {"a": 1}])
def test_a_traceparent_that_is_none_begins_a_trace_of_its_own(app: Flask, traced: Spans, brought: object) -> None:
    """Anybody who may write to a queue may write anything."""
    run(app, "orders.rescue", {"id": "the-task-id", "traceparent": brought})
    assert named(traced(), "orders.rescue").parent is None


@on
@pytest.mark.usefixtures("traced")
def test_a_clients_tracestate_does_not_travel(place: Place) -> None:
    """It may be longer than the headers of a message may be."""
    place(traceparent=THEIRS, tracestate="x=" + "y" * 200)
    (headers,) = sql("SELECT headers FROM outbox")[0]
    assert headers.keys() == {"request_id", "traceparent"}
    assert headers["traceparent"].startswith(THEIRS[:35])


@on
def test_a_task_that_fails_is_an_error_without_its_words(app: Flask, traced: Spans) -> None:
    """The class of the fault is told; its text may hold anything, and no redaction reaches a collector."""
    with pytest.raises(Exception, match="positive"):
        run(app, ORDERS_PROCESS, {"id": "the-task-id"}, ["a secret"])
    span = named(traced(), ORDERS_PROCESS)
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, BadMessageError.__name__)
    assert "secret" not in span.to_json()
    assert not span.events


@on
def test_nothing_personal_leaves_with_a_request(client: FlaskClient, traced: Spans) -> None:
    """No path, query, address or header; and an answer of 404 to a known route is no error of ours."""
    client.get("/api/orders/77/?email=alice@example.com", headers={"User-Agent": "alice's phone", "Authorization": "Bearer x"})
    span = named(traced(), "GET /api/orders/<order_id>/")
    assert span.attributes.keys() == {"http.request.method", "http.route", "http.response.status_code", "request_id"}
    assert "alice" not in span.to_json()
    assert span.status.status_code is StatusCode.UNSET


@on
def test_machines_that_ask_and_strangers_that_search_make_no_span(client: FlaskClient, traced: Spans) -> None:
    """Probes come every few seconds, and a scanner asks for a thousand addresses."""
    for path in ("/health/live/", "/health/ready/", "/metrics", "/wp-login.php"):
        client.get(path)
    assert not traced()


@on
def test_a_request_that_breaks_is_an_error(client: FlaskClient, traced: Spans, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the next request is in no trace of it."""
    monkeypatch.setattr("orderapp.products.routes.reading", lambda: 1 / 0)
    assert client.get("/api/products/").status_code == 500
    assert named(traced(), "GET /api/products/").status.status_code is StatusCode.ERROR
    assert traces.headers() == {}


def test_without_the_setting_nothing_is_done(app: Flask) -> None:
    """No function sees a request, no message carries anything, no block is more than a block."""
    handlers = [*app.before_request_funcs[None], *app.after_request_funcs[None], *app.teardown_request_funcs[None]]
    assert traces.__name__ not in {handler.__module__ for handler in handlers}
    assert messages.parameters(ORDERS_PROCESS)["headers"] == "{}"
    assert traces.span("x", "internal").__class__.__name__ == "nullcontext"
    assert traces.open_span("x", "producer", []) is None


def test_without_the_extra_the_service_runs_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody set the variable and forgot the packages: that stops no order."""
    monkeypatch.setitem(sys.modules, "orderapp.spans", None)
    with structlog.testing.capture_logs() as lines:
        traces.configure("http://127.0.0.1:9")
    assert [line["log_level"] for line in lines] == ["warning"]
    assert traces.open_span("x", "producer", []) is None


def test_only_one_file_knows_opentelemetry() -> None:
    """Any other that imported it would not start without the extra."""
    knowing = set()
    for path in [*config.ROOT.glob("*.py"), *config.ROOT.glob("orderapp/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [name.name for name in node.names] if isinstance(node, ast.Import) else []
            knowing |= {path.name for name in names if name.partition(".")[0] == "opentelemetry"}
    assert knowing == {"spans.py"}
