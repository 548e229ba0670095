"""nginx in front of web instances, with the configuration that docs/install.md gives."""

import re
from collections.abc import Iterable
from pathlib import Path

import config
from tests.servers import children, debian
from tests.servers.waiting import free_port, listens, wait_until

# Seconds; a hundredth of one is usual.
START = 30

# What the page leaves to Debian's own nginx.conf: everything lies in the test's folder, and one process does it all.
_AROUND = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log warn;
events {{ worker_connections 256; }}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    {page}
}}
"""


class Nginx:
    """A running nginx; ``.url`` is where it listens."""

    def __init__(self, folder: Path, instances: Iterable[str]) -> None:
        """Start it before instances ("host:port"). Raises MissingPackageError where there is no nginx."""
        program = debian.program("nginx", "nginx")
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._errors = folder / "error.log"
        folder.mkdir(parents=True)
        file = folder / "nginx.conf"
        file.write_text(_AROUND.format(folder=folder, page=_page(port, instances)))
        argv = [program, "-p", folder, "-e", self._errors, "-c", file]
        self._process = children.spawn(argv, {}, folder / "output")
        try:
            wait_until(lambda: listens(port), START, "nginx")
        except AssertionError as error:
            raise AssertionError(f"{error}:\n{children.tail(folder / 'output')}\n{self.errors}") from None

    @property
    def errors(self) -> str:
        """Return what it complained of."""
        return children.tail(self._errors)

    def stop(self) -> None:
        """End it."""
        children.end_family(self._process)


def _page(port: int, instances: Iterable[str]) -> str:
    """Return the page's upstream and its server, without TLS and for these instances."""
    (page,) = re.findall(r"^```nginx\n(.*?)^```$", (config.ROOT / "docs/install.md").read_text(), re.MULTILINE | re.DOTALL)
    upstream, server = re.findall(r"^(?:upstream|server) .*?^}$", page, re.MULTILINE | re.DOTALL)[:2]
    (line,) = re.findall(r"^ +server 127\.0\.0\.1:8000.*$", upstream, re.MULTILINE)
    lines = "\n".join(line.replace("127.0.0.1:8000", instance) for instance in instances)
    plain = re.sub(r"^ +ssl_.*\n", "", server.replace("listen 443 ssl;", f"listen 127.0.0.1:{port};"), flags=re.MULTILINE)
    return f"{upstream.replace(line, lines)}\n{plain}"
