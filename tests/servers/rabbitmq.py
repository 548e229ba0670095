"""A scratch RabbitMQ node: own name, ports, folder, cookie and port mapper; the machine's own node is not touched."""

import os
import secrets
import shutil
import signal
import subprocess
from pathlib import Path

import amqp

from tests.servers import children, debian
from tests.servers.waiting import free_port, listens, wait_until

# Seconds. A start takes 5 on two idle cores, a stop 2; the suite itself keeps these cores busy.
START, STOP = 90, 30

# The Erlang VM spins while it waits for work unless it is told not to: half a core, on a machine of two.
QUIET = "+sbwt none +sbwtdcpu none +sbwtdio none"
# The port between Erlang nodes would otherwise be open to the network.
LOOPBACK = "-kernel inet_dist_use_interface {127,0,0,1}"
# The node would start a port mapper of its own that outlives it.
NO_MAPPER = "-start_epmd false"


class RabbitNode:
    """One node. ``kill`` is SIGKILL; ``start`` after ``stop`` or ``kill`` finds its durable queues and messages again."""

    def __init__(self, folder: Path, management_port: int | None = None, peer: "RabbitNode | None" = None) -> None:
        """Prepare the folder; nothing runs before ``start``. Raises MissingRabbitMQError without a binary.

        The management API costs a second at the start: only with ``management_port``. A node that is to ``join`` a ``peer``
        has the peer's cookie and port mapper, so that the peer is destroyed last.
        """
        self._binaries = debian.rabbitmq_binaries()
        self._folder = folder
        self._port = free_port()
        self._server: subprocess.Popen[bytes] | None = None
        self._mapper: subprocess.Popen[bytes] | None = None
        self._peer = peer
        self._cookie = peer._cookie if peer else secrets.token_hex(16)
        self.name = f"orderapp-test-{secrets.token_hex(4)}@localhost"
        self._write_files(management_port)
        self._environment = self._environment_of_its_own()

    def url(self, vhost: str = "/") -> str:
        """Return the AMQP URL of a virtual host."""
        return f"amqp://guest:guest@127.0.0.1:{self._port}/{vhost}"

    def start(self) -> None:
        """Start the node and wait until it takes connections."""
        if self._mapper is None and self._peer is None:
            self._start_mapper()
        output = self._folder / "server.output"
        server = self._server = children.spawn([self._binaries / "rabbitmq-server"], self._environment, output)
        try:
            wait_until(lambda: self.answers() or server.poll() is not None, START, "RabbitMQ's start")
            assert server.poll() is None, f"RabbitMQ ended with {server.returncode}"
        except AssertionError as error:
            last_words = children.tail(output)
            self.destroy()
            raise RuntimeError(f"{error}:\n{last_words}") from error

    def join(self) -> None:
        """Become a member of the peer's cluster; what this node knew is gone."""
        assert self._peer is not None
        self.ctl("stop_app")
        self.ctl("join_cluster", self._peer.name)
        self.ctl("start_app")

    def stop(self) -> None:
        """Stop the node in an orderly way."""
        server = self._running()
        server.terminate()
        wait_until(lambda: server.poll() is not None, STOP, "RabbitMQ's stop")
        self._end()

    def kill(self) -> None:
        """End the node as a power cut would.

        RabbitMQ 3.10 writes the names of new quorum queues down within about a second; killed before, it has them again as
        queues that answer nothing. That is no fault of the service, so the names are written first.
        """
        self.evaluate("[dets:sync(Table) || Table <- dets:all()].")
        self._end()

    def lose_everything(self) -> None:
        """Delete the data directory of a node that does not run: queues, messages, users, whatever it knew."""
        shutil.rmtree(self._folder / "mnesia")

    def pause(self) -> None:
        """Freeze the node: its connections stay open and nobody answers, like a network that swallows packets."""
        self._running().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused node go on."""
        self._running().send_signal(signal.SIGCONT)

    def destroy(self) -> None:
        """End everything and remove the folder."""
        for process in (self._server, self._mapper):
            if process is not None:
                children.end_family(process)
        self._server = self._mapper = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def answers(self) -> bool:
        """Tell whether a client can log in."""
        try:
            with amqp.Connection(f"127.0.0.1:{self._port}", connect_timeout=1, read_timeout=2) as connection:
                connection.connect()
        except (OSError, amqp.AMQPError):
            return False
        return True

    def ctl(self, *arguments: str) -> str:
        """Run rabbitmqctl on this node (half a second of processor time) and return what it prints."""
        argv = [str(self._binaries / "rabbitmqctl"), "-q", *arguments]
        done = subprocess.run(argv, env=self._environment, capture_output=True, text=True, timeout=START, check=False)
        if done.returncode:
            raise RuntimeError(f"rabbitmqctl {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    def evaluate(self, expression: str) -> str:
        """Return what a line of Erlang says; by erl_call in 15 ms, where rabbitmqctl starts an Erlang VM of its own."""
        caller = self._erlang("erl_call")
        if caller is None:
            return self.ctl("eval", expression)
        argv = [caller, "-name", self.name, "-c", self._cookie, "-e"]
        done = subprocess.run(
            argv, env=self._environment, input=f"{expression}\n", capture_output=True, text=True, timeout=START, check=False
        )
        if "{ok" not in done.stdout:
            raise RuntimeError(f"{expression} answered {done.stdout}{done.stderr}")
        return done.stdout

    def create_vhost(self, name: str) -> str:
        """Create an empty virtual host and return its URL."""
        self.evaluate(
            f'rabbit_vhost:add(<<"{name}">>, <<"tests">>), rabbit_auth_backend_internal:set_permissions(<<"guest">>, '
            f'<<"{name}">>, <<".*">>, <<".*">>, <<".*">>, <<"tests">>).'
        )
        return self.url(name)

    def delete_vhost(self, name: str) -> None:
        """Delete a virtual host with its connections, queues and messages."""
        self.evaluate(f'rabbit_vhost:delete(<<"{name}">>, <<"tests">>).')

    def _end(self) -> None:
        children.end_family(self._running())
        self._server = None

    def _start_mapper(self) -> None:
        port = self._environment["ERL_EPMD_PORT"]
        argv = [self._erlang("epmd") or "epmd", "-port", port, "-address", "127.0.0.1"]
        self._mapper = children.spawn(argv, self._environment, self._folder / "epmd.output")
        wait_until(lambda: listens(int(port)), START, "Erlang's port mapper")

    def _erlang(self, program: str) -> str | None:
        return shutil.which(program, path=self._environment["PATH"])

    def _running(self) -> subprocess.Popen[bytes]:
        if self._server is None:
            raise RuntimeError("this RabbitMQ node is not running")
        return self._server

    def _write_files(self, management_port: int | None) -> None:
        self._folder.mkdir(parents=True)
        cookie = self._folder / ".erlang.cookie"
        cookie.write_text(self._cookie)
        cookie.chmod(0o400)  # Erlang refuses a cookie that others can read
        lines = [f"listeners.tcp.1 = 127.0.0.1:{self._port}", "disk_free_limit.absolute = 50MB", "log.console = false"]
        if management_port is not None:
            lines += ["management.tcp.ip = 127.0.0.1", f"management.tcp.port = {management_port}"]
        plugins = "[].\n" if management_port is None else "[rabbitmq_management].\n"
        (self._folder / "enabled_plugins").write_text(plugins)
        # RabbitMQ 4 asks for the machine's own name at every connection; a resolver that is away holds each of them for 5 s.
        (self._folder / "inetrc").write_text("{lookup, [file]}.\n")
        (self._folder / "rabbitmq.conf").write_text("\n".join([*lines, ""]))

    def _environment_of_its_own(self) -> dict[str, str]:
        """Return an environment in which no file of the machine's own node is read or written."""
        folder = self._folder
        return {
            "PATH": f"{self._binaries}:{os.environ['PATH']}:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(folder),  # where Erlang looks for its cookie
            "ERL_INETRC": str(folder / "inetrc"),
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": self._peer._environment["ERL_EPMD_PORT"] if self._peer else str(free_port()),
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_NODE_PORT": str(self._port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"{QUIET} {LOOPBACK} {NO_MAPPER}",
            # Makes the start script become the node instead of its parent: a signal then reaches the node itself.
            "RUNNING_UNDER_SYSTEMD": "true",
        }
