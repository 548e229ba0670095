"""A trace as a collector gets it from gunicorn's, the relay's and Celery's processes."""

from collections.abc import Iterator

import pytest
import requests
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.journeys.world import REQUEST
from tests.servers.processes import Processes
from tests.servers.receiver import Receiver
from tests.servers.waiting import wait_until

pytestmark = [pytest.mark.rabbitmq, pytest.mark.proof]

# What is sent comes from a process that ends, and not from its clock.
AT_THE_END = str(3_600_000)


@pytest.fixture
def collector() -> Iterator[Receiver]:
    """Give what takes spans; it is an HTTP server like any other."""
    server = Receiver()
    yield server
    server.stop()


def spans_of(collector: Receiver) -> dict[str, Span]:
    """Return what has come, by name."""
    assert {request.path for request in collector.requests} <= {"/v1/traces"}
    sent = [ExportTraceServiceRequest.FromString(request.body) for request in collector.requests]
    scopes = [scope for one in sent for resource in one.resource_spans for scope in resource.scope_spans]
    return {span.name: span for scope in scopes for span in scope.spans}


@pytest.mark.usefixtures("broker")
def test_each_process_sends_its_spans_before_it_ends(processes: Processes, receiver: Receiver, collector: Receiver) -> None:
    """Also a child of gunicorn or Celery, although its exporter's thread could not come through the fork."""
    on = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{collector.host}", "OTEL_BSP_SCHEDULE_DELAY": AT_THE_END}
    seed = processes.start("seed", "flask", "products", "seed")
    web, relay, worker = processes.web(**on), processes.relay(**on), processes.worker(**on)
    wait_until(lambda: seed.exit_code == 0, REQUEST * 6, "the example products")
    for process in (web, relay, worker):
        process.wait_ready()
    answer = requests.post(f"{web.url}/api/orders/", json={"items": [{"product_id": 1, "quantity": 1}]}, timeout=REQUEST)
    assert answer.status_code == 201, answer.text
    receiver.wait_for(1)
    worker.wait_for_line("webhooks received")
    assert not collector.requests

    names = [{"POST /api/orders/"}, {"publish orders.process", "publish webhooks.deliver"}]
    names.append({"orders.process", "webhooks.deliver", "send webhook"})
    expected: set[str] = set()
    for process, own in zip((web, relay, worker), names, strict=True):
        assert process.stop() == 0
        expected |= own
        assert spans_of(collector).keys() == expected
    assert len({span.trace_id for span in spans_of(collector).values()}) == 1
