"""A place for one drill: a database, a virtual host and a folder that did not exist before and do not afterwards.

A database and not a schema: advisory locks and the limits of the role, which the migrations set, are a whole database's, so
that a schema beside the real one would be felt there.
"""

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import psycopg2
from psycopg2 import sql
from sqlalchemy.engine import make_url

from config import Settings
from config_kinds import nodes
from orderapp.database import CONNECT_TIMEOUT
from orderapp.errors import OrderAppError
from orderapp.monitoring.doctor import Management, NoManagementError

# Whatever is called like this was made by a drill; one that was killed leaves it behind.
PREFIX = "orderapp-drill-"


class NoScratchError(OrderAppError):
    """The servers do not let this user make a place for the drill; the message says who could."""


@contextmanager
def scratch(settings: Settings, management: str | None) -> Iterator[tuple[Path, dict[str, str]]]:
    """Give the folder, and the URLs of database and broker as settings. Raises NoScratchError; nothing is left then either."""
    name = f"{PREFIX}{secrets.token_hex(4)}"
    with ExitStack() as places:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        places.callback(shutil.rmtree, folder, ignore_errors=True)
        urls = {"DATABASE_URL": places.enter_context(_database(settings.database_url, name))}
        if settings.celery_broker_url.startswith("filesystem://"):  # that of `make run`: a virtual host is a folder
            urls["CELERY_BROKER_URL"] = f"filesystem://{quote(str(folder / 'broker'))}"
        else:
            urls["CELERY_BROKER_URL"] = places.enter_context(_virtual_host(settings.celery_broker_url, name, management))
        yield folder, urls


@contextmanager
def _database(url: str, name: str) -> Iterator[str]:
    _administer(url, sql.SQL("CREATE DATABASE {} TEMPLATE template0"), name)
    try:
        own = make_url(url).set(drivername="postgresql", database=name).difference_update_query(["dbname"])
        yield own.render_as_string(hide_password=False)
    finally:
        _administer(url, sql.SQL("DROP DATABASE {} WITH (FORCE)"), name)


def _administer(url: str, statement: sql.SQL, name: str) -> None:
    dsn = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        with closing(psycopg2.connect(dsn, connect_timeout=CONNECT_TIMEOUT)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement.format(sql.Identifier(name)))
    except psycopg2.Error as error:
        said = str(error).strip().partition("\n")[0]
        remedy = "needs a role with CREATEDB, not behind a pooler; another one may be named for this command in DATABASE_URL"
        raise NoScratchError(f"PostgreSQL: {said}. A drill {remedy}.") from error


@contextmanager
def _virtual_host(url: str, name: str, management: str | None) -> Iterator[str]:
    brokers = [urlsplit(node) for node in nodes(url)]
    api = Management(url, management)
    user = quote(unquote(brokers[0].username or "guest"), safe="")
    try:
        api.change("PUT", f"vhosts/{name}")
        try:
            api.change("PUT", f"permissions/{name}/{user}", dict.fromkeys(("configure", "write", "read"), ".*"))
            yield ";".join(node._replace(path=f"/{name}").geturl() for node in brokers)
        finally:
            api.change("DELETE", f"vhosts/{name}")
    except NoManagementError as error:
        remedy = (
            "needs RabbitMQ's management API (rabbitmq-plugins enable rabbitmq_management; --management URL where it is "
            "elsewhere) and a user with the tag administrator; another one may be named for this command in CELERY_BROKER_URL"
        )
        raise NoScratchError(f"RabbitMQ: {error}. A drill {remedy}.") from error
