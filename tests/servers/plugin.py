"""pytest hooks: the servers' life, the environment, tests that need RabbitMQ, and what a failed test shows."""

import os
import signal
from collections.abc import Generator
from typing import Any

import pytest

from tests.servers.debian import REMEDY
from tests.servers.environment import forget_the_shell
from tests.servers.processes import PROCESSES
from tests.servers.run import SERVERS, OwnServers, RemoteServers

NEEDS_RABBITMQ = {"broker", "private_node"}
NEEDS_POSTGRES = {"environment", "migrated_database", "empty_database", "private_postgres"}

SKIPPED = "skipped for want of RabbitMQ"


def pytest_configure(config: pytest.Config) -> None:
    """Have servers at hand, our own or the xdist controller's, and forget the developer's environment."""
    config.addinivalue_line("markers", "settings(NAME=value): the service's variables for this test")
    workerinput: dict[str, str] | None = getattr(config, "workerinput", None)
    config.stash[SERVERS] = RemoteServers(workerinput["servers"]) if workerinput else OwnServers()
    if workerinput is None:
        # CI ends a run by SIGTERM, which by itself would skip the end of the servers and the summary.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    # A shell's background job ignores SIGINT, one under nohup SIGHUP, and everything that it starts inherits that: tests
    # interrupt what they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    forget_the_shell()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a new worker of xdist where the servers are."""
    node.workerinput["servers"] = node.config.stash[SERVERS].listen()


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the servers, whatever happened."""
    servers = config.stash.get(SERVERS, None)
    if isinstance(servers, OwnServers):
        servers.stop()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses a server, so that nobody has to remember."""
    for item in items:
        used = set(getattr(item, "fixturenames", ()))
        if NEEDS_RABBITMQ & used:
            item.add_marker("rabbitmq")
        if NEEDS_POSTGRES & used:
            item.add_marker("postgres")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs RabbitMQ where there is none; with CI=true that is a failure."""
    is_foreign = os.environ.get("TEST_BROKER_URL") and "private_node" not in getattr(item, "fixturenames", ())
    if is_foreign or item.get_closest_marker("rabbitmq") is None:
        return
    fault = item.config.stash[SERVERS].rabbitmq_fault()
    if fault and os.environ.get("CI") == "true":
        pytest.fail(f"{fault}. To run it: {REMEDY}", pytrace=False)
    if fault:
        pytest.skip(f"{SKIPPED}: {fault}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Add the output of the product's processes to a failed test."""
    report = yield
    processes = item.stash.get(PROCESSES, None)
    if report.failed and processes is not None:
        report.sections += processes.reports()
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say what tests have counted (``record_property``), and loudly what was not tested, with the one line that tests it."""
    for report in terminalreporter.stats.get("passed", []):
        for name, what in report.user_properties:
            terminalreporter.write_line(f"{report.nodeid}: {what} {name}")
    skipped = [report for report in terminalreporter.stats.get("skipped", []) if SKIPPED in str(report.longrepr)]
    if skipped:
        terminalreporter.write_sep("!", f"{len(skipped)} tests {SKIPPED}", red=True, bold=True)
        terminalreporter.write_line(f"  run them with:  {REMEDY}", red=True, bold=True)
