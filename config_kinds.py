"""What a setting is: how it is read, what it may hold, and how all faults are told at once. The table is in config.py."""

import base64
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from environs import EnvValidationError, FileAwareEnv
from marshmallow import ValidationError

# Standard Webhooks asks for keys of 24 to 64 bytes: below, they can be guessed; above, HMAC-SHA256 hashes them down anyway.
SHORTEST_SIGNING_KEY, LONGEST_SIGNING_KEY = 24, 64

POSTGRES = ("postgresql", "postgres", "postgresql+psycopg2")
AMQP = ("amqp", "amqps", "pyamqp")
BROKERS = (*AMQP, "filesystem")


class SettingsError(Exception):
    """The settings have faults; the message is a table of all of them."""

    def __init__(self, faults: list[tuple[str, str, str]]) -> None:
        """Take the faults as (variable, fault, remedy)."""
        self.faults = faults
        name, fault = (max(len(row[column]) for row in faults) for column in (0, 1))
        rows = "\n".join(f"  {a:<{name}}  {b:<{fault}}  {c}" for a, b, c in faults)
        super().__init__(f"The service cannot start: {len(faults)} setting(s) to mend.\n{rows}")


@dataclass(frozen=True)
class Setting:
    """One setting: how it is read, what it is without the variable, why it exists, how to mend it."""

    name: str
    kind: str
    default: Any
    reason: str
    remedy: str
    validate: Callable[[Any], Any] | None = None

    @property
    def default_text(self) -> str:
        """Return the default as one would write it in ``.env``; empty when there is none."""
        if self.default is None or self.default == []:
            return ""
        return str(self.default).lower() if isinstance(self.default, bool) else str(self.default)

    def read(self, sources: "Sources") -> Any:
        """Return the parsed value; a blank variable counts as unset. Raises EnvError or ValueError."""
        env = sources(self.name)
        raw = env.str(self.name, None)
        if raw is None or not raw.strip():
            return self.default
        parse: Any = env.str if self.kind == "url" else getattr(env, self.kind)
        return parse(self.name, validate=self.validate)


Sources = Callable[[str], FileAwareEnv]


def sources_with(env_file: Path) -> Sources:
    """Return where to read a variable: what the shell says, as NAME or NAME_FILE, hides both in ``.env``."""
    shell, dotenv = FileAwareEnv(strip_whitespace=True), FileAwareEnv(strip_whitespace=True)
    dotenv.read_env(env_file, recurse=False)
    return lambda name: shell if os.environ.keys() & {name, f"{name}_FILE"} else dotenv


def url(*schemes: str) -> Callable[[str], None]:
    """Return the check of a URL with one of these schemes; it raises ValidationError."""

    def check(value: str) -> None:
        try:
            parts = urlsplit(value)
            parts.port  # noqa: B018 - raises ValueError on a port that is no number
        except ValueError as error:
            # Its own words quote the port, which is a piece of the password when that holds a slash.
            raise ValidationError("has a wrong port or host; in a password write / # ? @ as %2F %23 %3F %40") from error
        if parts.scheme not in schemes:
            raise ValidationError(f"does not start with {' or '.join(f'{scheme}://' for scheme in schemes)}")
        # postgresql:///name is the database of that name behind this machine's own socket.
        local = parts.scheme == "filesystem" or (parts.scheme in POSTGRES and parts.path.strip("/"))
        if not (parts.hostname or parts.query or local):
            raise ValidationError("names no host")

    return check


def nodes(broker_url: str) -> list[str]:
    """Return the URL of each node: those of a RabbitMQ cluster are separated by semicolons."""
    return broker_url.split(";")


def broker(value: str) -> None:
    """Raise ValidationError unless this is a broker, or several nodes of a RabbitMQ cluster."""
    each = nodes(value)
    check = url(*(BROKERS if len(each) == 1 else AMQP))
    for one in each:
        check(one)


def signing_secret(value: str) -> None:
    """Raise ValidationError unless this is a secret of Standard Webhooks."""
    try:
        key = base64.b64decode(value.removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    if not value.startswith("whsec_") or not SHORTEST_SIGNING_KEY <= len(key) <= LONGEST_SIGNING_KEY:
        raise ValidationError("is not whsec_ and 24 to 64 bytes in base64")


def origins(values: list[str]) -> None:
    """Raise ValidationError unless these are origins as browsers write them: scheme, host, perhaps a port, nothing else."""
    for value in filter(None, map(str.strip, values)):
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or value != f"{parts.scheme}://{parts.netloc.lower()}":
            raise ValidationError("holds something that is no origin")


def timezone(value: str) -> None:
    """Raise ValidationError unless this is an IANA name that is known here."""
    try:
        ZoneInfo(value)
    except (LookupError, ValueError, OSError) as error:  # OSError: in some Pythons for a folder's name, such as "Europe"
        raise ValidationError("is no time zone that this machine knows") from error


def fault_of(error: Exception) -> str:
    """Return what is wrong, without the value: it may be a secret."""
    if isinstance(error, EnvValidationError):
        return " ".join(str(message) for message in error.error_messages)
    return str(error)
