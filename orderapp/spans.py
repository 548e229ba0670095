"""Spans by OpenTelemetry: what begins one, whose child it is, and how it gets to the collector.

A span holds what its caller names and nothing else: no path, query, address, statement, body or text of an exception, because
the log's redaction does not reach a collector.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context, attach
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from config import VERSION

__all__ = ["Span", "Spans"]

# Seconds for one batch of spans, retries included: a collector that is away must not hold up the end of a process.
EXPORT_TIMEOUT = 3

_W3C = TraceContextTextMapPropagator()


def processor_to(endpoint: str) -> SpanProcessor:
    """Return what sends spans to this collector, from a thread of its own."""
    return BatchSpanProcessor(OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=EXPORT_TIMEOUT))


class Spans:
    """Begins spans; the way to the collector is opened with the first one of each process.

    Not before: a thread of the exporter would not come through the fork of gunicorn or Celery, and its connection would be
    two processes' at once.
    """

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._providers: dict[int, TracerProvider] = {}
        self._lock = Lock()

    def _provider(self) -> TracerProvider:
        with self._lock:  # threads of one process begin their first spans at once
            if os.getpid() not in self._providers:
                # Who operates it may say more, or otherwise: OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES.
                ours = Resource({"service.name": "orderapp", "service.version": VERSION})
                provider = TracerProvider(resource=ours.merge(OTELResourceDetector().detect()))
                provider.add_span_processor(processor_to(self._endpoint))
                self._providers[os.getpid()] = provider
            return self._providers[os.getpid()]

    def open(self, name: str, kind: str, causes: Iterable[object], about: Mapping[str, Any]) -> Span:
        """Begin a span. One cause makes it a child; of several it is nobody's child, but linked to each.

        That is how a hundred orders in one message keep their traces: OpenTelemetry's own shape for a batch.
        """
        texts = dict.fromkeys(cause for cause in causes if isinstance(cause, str))
        known = [context for text in texts if (context := _context_of(text)).is_valid]
        parent = trace.set_span_in_context(NonRecordingSpan(known[0])) if len(known) == 1 else Context() if known else None
        links = [Link(context) for context in known] if len(known) > 1 else []
        tracer = self._provider().get_tracer("orderapp", VERSION)
        return tracer.start_span(name, parent, SpanKind[kind.upper()], _without_none(about), links)

    @contextmanager
    def current(self, name: str, kind: str, causes: Iterable[object], about: Mapping[str, Any]) -> Iterator[None]:
        """Be inside a span."""
        span = self.open(name, kind, causes, about)
        # Without the library's own record of an exception: its text and stack may hold anything.
        with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            try:
                yield
            except BaseException as error:  # whoever called sees it, the span its class
                _blame(span, type(error.__cause__ or error).__name__)
                raise

    def note(self, fault: str | None, about: Mapping[str, Any]) -> None:
        """Describe the current span."""
        span = trace.get_current_span()
        span.set_attributes(_without_none(about))
        _blame(span, fault)

    def end(self, span: Span, fault: str | None) -> None:
        """End a span that is nobody's current one."""
        _blame(span, fault)
        span.end()

    def headers(self, of: Span | None) -> dict[str, str]:
        """Return the traceparent alone: a client's own ``tracestate`` may be longer than a message's headers."""
        carrier: dict[str, str] = {}
        _W3C.inject(carrier, None if of is None else trace.set_span_in_context(of))
        return {name: value for name, value in carrier.items() if name == "traceparent"}

    def leave(self) -> None:
        """Be inside no span."""
        attach(Context())

    def finish(self) -> None:
        """Send the spans that wait and close the way."""
        provider = self._providers.get(os.getpid())
        if provider is not None:
            provider.shutdown()


def _context_of(text: str) -> trace.SpanContext:
    """Return the span that a traceparent names; an invalid one for any other text: clients and messages may bring anything."""
    return trace.get_current_span(_W3C.extract({"traceparent": text}, Context())).get_span_context()


def _blame(span: Span, fault: str | None) -> None:
    if fault:
        span.set_status(Status(StatusCode.ERROR, fault))


def _without_none(about: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in about.items() if value is not None}
