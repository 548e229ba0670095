"""gunicorn: after the fork nobody shares a database connection, and the real server answers as the test client does."""

import os
import re
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import requests

from heartbeat import set_draining
from orderapp.reception import MOST_HEAD
from tests.servers.others import UNPOOLED
from tests.servers.processes import Process, Processes
from tests.servers.sockets import listeners, sockets, waiting_at
from tests.servers.waiting import free_port, wait_until
from tests.sql import one, sql

# Seconds for an answer on a busy machine.
ANSWER = 20


def backends() -> list[int]:
    """Return the server's processes that serve the application."""
    statement = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'orderapp'"
    return [row.pid for row in sql(statement)]


def both_workers_asked(web: Process) -> bool:
    """Send one request on a connection of its own; tell whether each worker has been to the database by now."""
    requests.get(f"{web.url}/api/orders/1/", timeout=ANSWER)
    return len(web.children) == 2 and all(sockets(pid) - listeners() for pid in web.children) and len(backends()) >= 2


@pytest.fixture
def web(processes: Processes) -> Process:
    """Start gunicorn with two workers, as the README does."""
    return processes.web(WEB_WORKERS="2", WEB_THREADS="2").wait_ready()


@UNPOOLED
def test_after_the_fork_no_two_processes_share_a_connection(web: Process) -> None:
    """Two processes on one socket would read each other's rows; the master, which loads the application, holds none."""
    wait_until(lambda: both_workers_asked(web), ANSWER, "a request to each worker")

    shared = listeners()
    master, first, second = (sockets(pid) - shared for pid in (web.pid, *web.children))

    assert master == set()
    assert first
    assert second
    assert first & second == set()


@UNPOOLED
def test_a_worker_that_dies_is_replaced_by_one_with_connections_of_its_own(web: Process) -> None:
    """The new one is forked from a master that has been running for a while."""
    wait_until(lambda: both_workers_asked(web), ANSWER, "a request to each worker")
    victim, survivor = web.children
    held = sockets(survivor) - listeners()

    web.kill(pid=victim)
    wait_until(lambda: len(set(web.children) - {victim}) == 2, ANSWER, "a new worker")
    wait_until(lambda: both_workers_asked(web), ANSWER, "a request to each worker")

    (newcomer,) = set(web.children) - {survivor}
    assert (sockets(newcomer) - listeners()) & held == set()
    assert sockets(web.pid) - listeners() == set()


IN_PROGRESS = 'orderapp_requests_in_progress{server="web"}'


@UNPOOLED
def test_all_workers_count_together_and_a_dead_one_holds_no_request(processes: Processes, tmp_path: Path) -> None:
    """Whichever of them Prometheus meets; what a worker has counted outlives it, what it had in hand does not."""
    product = one("INSERT INTO products (name, price) VALUES ('Lamp', 2.5) RETURNING id")
    record = tmp_path / "passages"
    port = free_port()
    set_draining(port, draining=True)  # the instance before this one was
    plan = f"{record} orders.placing:place_order:before_commit=hang@1"
    web = processes.web(WEB_WORKERS="2", WEB_THREADS="2", PORT=str(port), FAILPOINTS=plan).wait_ready()
    wait_until(lambda: both_workers_asked(web), ANSWER, "a request to each worker")
    assert requests.get(f"{web.url}/health/ready/", timeout=ANSWER).status_code == 200

    name = 'orderapp_request_seconds_count{method="GET",route="/api/orders/<order_id>/",status="404"}'
    seen = web.metrics[name]
    for more in range(1, 5):  # both workers count, and each of them tells the sum
        requests.get(f"{web.url}/api/orders/1/", timeout=ANSWER)
        assert web.metrics[name] == seen + more

    with ThreadPoolExecutor() as pool:
        body = {"items": [{"product_id": product, "quantity": 1}]}
        lost = pool.submit(requests.post, f"{web.url}/api/orders/", json=body, timeout=ANSWER)
        wait_until(lambda: web.metrics[IN_PROGRESS] == 2, ANSWER, "a POST that hangs")  # the page itself is the other one
        for worker in web.children:
            web.kill(pid=worker)
        assert lost.exception() is not None
    wait_until(lambda: web.metrics[IN_PROGRESS] == 1, ANSWER, "the end of what the dead had in hand")
    assert web.metrics[name] == seen + 4


def test_an_order_goes_through_the_real_server(web: Process) -> None:
    """The document of the contract, over a real socket."""
    product = one("INSERT INTO products (name, price) VALUES ('Lamp', 2.5) RETURNING id")
    answer = requests.post(f"{web.url}/api/orders/", json={"items": [{"product_id": product, "quantity": 2}]}, timeout=ANSWER)
    assert (answer.status_code, answer.headers["Location"]) == (201, "/api/orders/1/")
    assert requests.get(web.url + answer.headers["Location"], timeout=ANSWER).json() == answer.json()


def test_a_process_with_fewer_connections_takes_the_next_ones(web: Process) -> None:
    """A proxy opens many at once and keeps them: those that one process took alone would leave the other idle for good."""
    address = ("127.0.0.1", int(web.url.rpartition(":")[2]))
    wait_until(lambda: len(web.children) == 2, ANSWER, "both workers")
    stopped, taker = web.children

    def taken(pid: int) -> int:
        return len(sockets(pid) - listeners())

    with ExitStack() as stack:

        def connect() -> None:
            connection = stack.enter_context(socket.create_connection(address, timeout=ANSWER))
            connection.sendall(b"GET /health/live/ HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")

        os.kill(stopped, signal.SIGSTOP)
        try:
            wait_until(lambda: is_stopped(stopped), ANSWER, "the worker to stand still")
            before = taken(taker)
            for _ in range(16):
                connect()
            assert taken(taker) == before + 16
        finally:
            os.kill(stopped, signal.SIGCONT)
        # Taken by chance, they would have to be a hundred for an even share.
        for _ in range(48):
            connect()
            if taken(stopped) >= taken(taker) - 1:
                return
        pytest.fail(f"{taken(stopped)} and {taken(taker)}")


def spoken(web: Process, request: bytes) -> bytes:
    """Send raw bytes; returns the first line of the answer and what follows, until the server closes or falls silent."""
    with socket.create_connection(("127.0.0.1", int(web.url.rpartition(":")[2])), timeout=ANSWER) as connection:
        connection.sendall(request)
        answer = b""
        with suppress(ConnectionResetError):
            while b"\r\n\r\n" not in answer:
                received = connection.recv(65536)
                if not received:
                    break
                answer += received
    return answer


HEAD = b"POST /api/orders/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"

ORDER = b'{"items": [{"product_id": 1, "quantity": 1}]}'


def chunked(body: bytes, size: int = 8192) -> bytes:
    """Return a body in chunks, its length unannounced."""
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

# What is sent, and the status of the answer.
SPOKEN = {
    "chunks": (CHUNKED + chunked(ORDER), b"201"),
    "chunks at the limit": (CHUNKED + chunked(ORDER.ljust(65536)), b"201"),
    "chunks above it": (CHUNKED + chunked(ORDER.ljust(65537)), b"413"),
    "chunks far above it": (CHUNKED + chunked(ORDER.ljust(100_000)), b"413"),
    "a body above the limit": (HEAD + b"Content-Length: 65537\r\n\r\n" + ORDER.ljust(65537), b"413"),
    "a huge announcement": (HEAD + b"Content-Length: 99999999999\r\n\r\n", b"413"),
    "no body": (HEAD + b"\r\n", b"400"),
    "a length that is no number": (HEAD + b"Content-Length: x\r\n\r\n", b"400"),
}


def test_bodies_are_limited_however_they_come(web: Process) -> None:
    """Whatever the real server makes of chunks and lengths, an order is stored by a 201 and by nothing else."""
    sql("INSERT INTO products (name, price) VALUES ('Lamp', 2.5)")
    for name, (said, status) in SPOKEN.items():
        before = one("SELECT count(*) FROM orders")
        assert spoken(web, said).split(b" ", 2)[1] == status, name
        assert one("SELECT count(*) FROM orders") - before == (1 if status == b"201" else 0), name


def test_a_head_without_end_is_refused_in_words(web: Process) -> None:
    """Longer than any client's, and read to its end, so that the answer is not lost."""
    assert spoken(web, HEAD + b"X: ".ljust(MOST_HEAD + 1 - len(HEAD), b"x")).startswith(b"HTTP/1.1 431 ")


def test_a_body_that_waits_to_be_asked_for_is_refused_without_it(web: Process) -> None:
    """The answer comes before the server waits, for five seconds, for what may follow on the connection."""
    head = HEAD.replace(b"json", b"xml") + b"Expect: 100-continue\r\nContent-Length: 45\r\n\r\n"
    with socket.create_connection(("127.0.0.1", int(web.url.rpartition(":")[2])), timeout=4) as connection:
        connection.sendall(head)
        answer = b""
        while b"HTTP/1.1 4" not in answer:
            received = connection.recv(65536)
            assert received, answer
            answer += received


@UNPOOLED
def test_a_stopped_server_leaves_no_connection_behind(web: Process) -> None:
    """SIGTERM, the way an operator stops it."""
    wait_until(lambda: both_workers_asked(web), ANSWER, "a request to each worker")
    assert web.stop() == 0
    wait_until(lambda: not backends(), ANSWER, "the end of the connections")


def signals(pid: int, kind: str) -> set[int]:
    """Return the signals that /proc lists so for a process: ShdPnd, those that wait; SigCgt, those it catches."""
    (found,) = re.findall(rf"^{kind}:\s*(\w+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return {number for number in range(1, 65) if int(found, 16) & 1 << number - 1}


def is_told_to_end(pid: int) -> bool:
    """Tell whether SIGTERM waits for a process that is stopped."""
    return signal.SIGTERM in signals(pid, "ShdPnd")


def has_begun(pid: int) -> bool:
    """Tell whether a worker has handlers of its own: a SIGTERM before is put down as one for the master, and forgotten."""
    return signals(pid, "SigCgt") & {signal.SIGTERM, signal.SIGHUP} == {signal.SIGTERM}


def is_stopped(pid: int) -> bool:
    """Tell whether SIGSTOP has arrived in every thread: one that runs may take a connection yet."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return all(re.search(r"^State:\s*T", (task / "status").read_text(), re.MULTILINE) for task in tasks)


@UNPOOLED
def test_who_is_connected_when_sigterm_comes_is_answered(web: Process) -> None:
    """A proxy that has sent a POST must not send it again: a reset would be its client's failure."""
    sql("INSERT INTO products (name, price) VALUES ('Lamp', 2.5)")
    request = HEAD + b"Content-Length: %d\r\n\r\n" % len(ORDER) + ORDER
    wait_until(lambda: both_workers_asked(web), ANSWER, "a request to each worker")
    workers = web.children
    with ThreadPoolExecutor(6) as pool:
        for pid in workers:
            web.kill(signal.SIGSTOP, pid=pid)
        wait_until(lambda: all(map(is_stopped, workers)), ANSWER, "the workers to stand still")
        answers = [pool.submit(spoken, web, request) for _ in range(6)]
        port = int(web.url.rpartition(":")[2])
        wait_until(lambda: waiting_at(port) == 6, ANSWER, "six connections that nobody has taken")
        web.kill(signal.SIGTERM, pid=web.pid)
        wait_until(lambda: all(map(is_told_to_end, workers)), ANSWER, "SIGTERM for the workers")
        for pid in workers:
            web.kill(signal.SIGCONT, pid=pid)
    assert [answer.result().split(b" ", 2)[1] for answer in answers] == [b"201"] * 6
    assert one("SELECT count(*) FROM orders") == 6
    assert web.stop() == 0


def refuses(url: str) -> bool:
    """Tell whether nobody listens there."""
    try:
        socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=ANSWER).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_server_that_is_ending_lets_nobody_connect(processes: Processes, tmp_path: Path) -> None:
    """A proxy takes a refused POST to the other instance; one that is let in and never served it may not."""
    sql("INSERT INTO products (name, price) VALUES ('Lamp', 2.5)")
    plan = f"{tmp_path / 'passages'} orders.placing:place_order:before_commit=hang@1"
    web = processes.web("--graceful-timeout", "60", WEB_WORKERS="2", FAILPOINTS=plan).wait_ready()
    with ThreadPoolExecutor() as pool:
        body = {"items": [{"product_id": 1, "quantity": 1}]}
        lost = pool.submit(requests.post, f"{web.url}/api/orders/", json=body, timeout=ANSWER)
        wait_until(lambda: web.metrics[IN_PROGRESS] == 2, ANSWER, "a POST that hangs")
        wait_until(lambda: len(web.children) == 2 and all(map(has_begun, web.children)), ANSWER, "both workers")
        web.kill(signal.SIGTERM, pid=web.pid)
        wait_until(lambda: refuses(web.url), ANSWER, "a closed port")
        assert web.exit_code is None
        web.kill()
        assert lost.exception() is not None
