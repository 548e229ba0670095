"""Every setting of the service: name, kind, default, reason, and what to do when it is wrong.

``load()`` reads the environment, then ``.env``; a secret may come from the file that ``NAME_FILE`` names. All faults are
reported at once. With DATABASE_URL and CELERY_BROKER_URL unset, commands join the embedded stack that ``make run`` holds open.
"""

import fcntl
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from environs import EnvError
from marshmallow.validate import Length, OneOf, Range, Regexp

from config_kinds import (
    AMQP,
    POSTGRES,
    Setting,
    SettingsError,
    Sources,
    broker,
    fault_of,
    nodes,
    origins,
    signing_secret,
    sources_with,
    timezone,
    url,
)

VERSION = "0.1.0"

ROOT = Path(__file__).resolve().parent
STACK_FILE = ROOT / "var" / "stack.json"  # written, and kept locked, by `make run`

DEVELOPMENT_SECRET_KEY = "development-only-secret-key-not-for-production"  # noqa: S105 - refused in production
EXAMPLE_WEBHOOK_SECRET = "whsec_ZGV2ZWxvcG1lbnQtb25seS13ZWJob29rLXNlY3JldCE="  # noqa: S105 - refused in production
EXAMPLE_METRICS_TOKEN = "development-only-metrics-token"  # noqa: S105 - refused in production

# Any of these in production is a default somebody forgot to change; the last ones are passwords inside URLs.
DEFAULT_SECRETS = {
    *(DEVELOPMENT_SECRET_KEY, EXAMPLE_WEBHOOK_SECRET, EXAMPLE_METRICS_TOKEN),
    *("change-me", "guest", "orderapp", "postgres", "password"),
}

# What production has where nobody says otherwise.
IN_PRODUCTION = {"LOG_FORMAT": "json", "REQUIRE_API_KEY": True}

LOOPBACK = {"localhost", "127.0.0.1", "::1"}

# 32 characters of a random hex or base64 string are at least 128 bits, the usual floor for a signing key.
SHORTEST_SECRET = 32

# 16 characters cannot be tried one after the other over a network.
SHORTEST_TOKEN = 16

_port = Range(1, 65535)  # TCP has no others

# A table, laid out by hand: name, kind and default; the reason; the remedy and the check (on one line where it fits).
# fmt: off
SETTINGS: tuple[Setting, ...] = (
    Setting("APP_ENV", "str", "development",
            "production refuses defaults that are fine on a laptop",
            "set development or production", OneOf(["development", "production"])),
    Setting("DATABASE_URL", "url", None,
            "PostgreSQL 15 or newer, the only authority; postgres:// and postgresql:// both mean psycopg2",
            "set postgresql://user:password@host:5432/name, or start `make run` and this command joins it", url(*POSTGRES)),
    Setting("CELERY_BROKER_URL", "url", None,
            "RabbitMQ 3.10 or newer; only a wake-up, it holds no truth. Several nodes of a cluster: URL;URL;URL",
            "set amqp://user:password@host:5672//, or start `make run` and this command joins it", broker),
    Setting("SECRET_KEY", "str", DEVELOPMENT_SECRET_KEY,
            "signs sessions and cursors",
            'set the output of: python3 -c "import secrets; print(secrets.token_hex(32))"', Length(min=1)),
    Setting("REQUIRE_API_KEY", "bool", False,
            "true: the API answers nobody without a key; true by default in production. false: who sends none is `anonymous`",
            "set true or false"),
    Setting("RATE_LIMIT", "str", None,
            "requests per API key and time, such as 100/minute; unset: no limit, and nothing is counted",
            "set NUMBER/second, /minute, /hour or /day", Regexp(r"[1-9][0-9]{0,8}/(second|minute|hour|day)\Z")),
    Setting("CORS_ORIGINS", "list", [],
            "origins whose pages may use the API from a browser, such as https://shop.example; unset: none",
            "set https://host or https://host:port, comma-separated, without a path", origins),
    Setting("TRUSTED_PROXIES", "int", 0,
            "proxies in front that set X-Forwarded-For, -Proto and -Host; 0: none, and nobody's word is taken",
            "set how many there are, from 0 to 10", Range(0, 10)),
    Setting("EVENTS_EXCHANGE", "str", None,
            "the topic exchange of RabbitMQ to which every order event is published, for other services; unset: none is",
            "set 1 to 127 letters, digits and . _ : -, not beginning with amq.", Regexp(r"(?!amq\.)[A-Za-z0-9._:-]{1,127}\Z")),
    Setting("CURRENCY", "str", "USD",
            "ISO 4217 code written on every new order", "set three capital letters, such as EUR", Regexp(r"[A-Z]{3}\Z")),
    Setting("REPORT_TIMEZONE", "str", "UTC",
            "whose midnights end the days of the sales report", "set an IANA name, such as Europe/Berlin", timezone),
    Setting("WEBHOOK_URL", "url", None,
            "the built-in endpoint that hears of confirmed, failed and cancelled orders",
            "set https://host/path, or leave it empty for no webhook", url("https", "http")),
    Setting("WEBHOOK_SECRET", "str", None,
            "signs webhooks by Standard Webhooks; required with WEBHOOK_URL",
            "set whsec_ and 24 to 64 random bytes in base64", signing_secret),
    Setting("WEBHOOK_ALLOWED_HOSTS", "list", [],
            "receivers (host or host:port, comma-separated) that may be private or plain http; "
            "for endpoints of API clients as well: name host:port, and only what clients may reach and read the answers of",
            "set host or host:port, comma-separated"),
    Setting("WEBHOOK_LOG_DAYS", "int", 90,
            "how long attempts and the beginnings of their answers are kept", "set a number from 7 to 3650", Range(7, 3650)),
    Setting("LOG_FORMAT", "str", "console",
            "json for machines, console for people; json by default in production",
            "set json or console", OneOf(["json", "console"])),
    Setting("METRICS_LISTEN", "str", None,
            "host:port where a relay, worker or Beat answers GET /metrics, each its own; unset: nowhere. Web answers on PORT",
            "set an address and a free port, such as 127.0.0.1:9101", Regexp(r"(\S+):(\d{1,5})\Z")),
    Setting("METRICS_TOKEN", "str", None,
            "lets who sends it as Authorization: Bearer read /metrics; who calls from this machine itself needs none",
            'set the output of: python3 -c "import secrets; print(secrets.token_hex(16))"', Length(min=SHORTEST_TOKEN)),
    Setting("OTEL_EXPORTER_OTLP_ENDPOINT", "url", None,
            "the collector that traces go to (OTLP over HTTP); unset: none are made. Needs requirements-otel.txt",
            "set http://host:4318 or https://host", url("https", "http")),
    Setting("PORT", "int", 8000, "where gunicorn listens", "set a free port from 1 to 65535", _port),
    Setting("WEB_HOST", "str", "127.0.0.1",
            "the address gunicorn binds; 0.0.0.0 in a container", "set an address of this host"),
    Setting("WEB_WORKERS", "int", 2, "gunicorn processes; about one per core", "set a number from 1 to 64", Range(1, 64)),
    Setting("WEB_THREADS", "int", 8,
            "threads, and so database connections, per gunicorn process", "set a number from 1 to 64", Range(1, 64)),
    Setting("FLOWER_PORT", "int", 5555, "where Flower listens", "set a free port from 1 to 65535", _port),
    Setting("FLOWER_BASIC_AUTH", "str", None,
            "user:password that Flower asks for; without it Flower stays on loopback",
            "set user:password", Regexp(r"[^:]+:.+")),
    Setting("RECEIVER_PORT", "int", 8001,
            "where the webhook receiver of `make run` listens", "set a free port from 1 to 65535", _port),
    Setting("FAILPOINTS", "str", None,
            "for tests: where processes die, fail, lose their connection or hang; refused in production",
            "unset it; else a file, then PATTERN=kill|raise|reset|hang@N or @N+",
            Regexp(r"\S+( +[^\s=]+=(kill|raise|reset|hang)@[1-9]\d*\+?)*\Z")),
)
# fmt: on


@dataclass(frozen=True)
class Settings:
    """The parsed settings; attribute names are the variables in lower case."""

    app_env: str
    database_url: str
    celery_broker_url: str
    secret_key: str
    require_api_key: bool
    rate_limit: str | None
    cors_origins: frozenset[str]
    trusted_proxies: int
    events_exchange: str | None
    currency: str
    report_timezone: str
    webhook_url: str | None
    webhook_secret: str | None
    webhook_allowed_hosts: frozenset[str]
    webhook_log_days: int
    log_format: str
    metrics_listen: str | None
    metrics_token: str | None
    otel_exporter_otlp_endpoint: str | None
    port: int
    web_host: str
    web_workers: int
    web_threads: int
    flower_port: int
    flower_basic_auth: str | None
    receiver_port: int
    failpoints: str | None


def load(env_file: Path = ROOT / ".env") -> Settings:
    """Return the settings. Raises SettingsError naming every fault at once."""
    sources = sources_with(env_file)
    values: dict[str, Any] = {}
    faults = []
    for setting in SETTINGS:
        try:
            values[setting.name] = setting.read(sources)
        except (EnvError, ValueError) as error:
            faults.append((setting.name, fault_of(error), setting.remedy))
            values[setting.name] = setting.default
    faulty = {name for name, _, _ in faults}
    _join_running_stack(values, faulty)
    if values["APP_ENV"] == "production":
        values |= {name: value for name, value in IN_PRODUCTION.items() if not sources(name).str(name, "").strip()}
    faults += [fault for fault in _contradictions(values, sources) if fault[0] not in faulty]
    if faults:
        raise SettingsError(faults)
    values["DATABASE_URL"] = psycopg2_url(values["DATABASE_URL"])
    hosts = (host.strip().lower() for host in values["WEBHOOK_ALLOWED_HOSTS"])
    values["WEBHOOK_ALLOWED_HOSTS"] = frozenset(host for host in hosts if host)
    values["CORS_ORIGINS"] = frozenset(filter(None, map(str.strip, values["CORS_ORIGINS"])))
    return Settings(**{name.lower(): value for name, value in values.items()})


def load_or_exit() -> Settings:
    """Return the settings, or end the process with the table of faults instead of a traceback."""
    try:
        return load()
    except SettingsError as error:
        raise SystemExit(str(error)) from error


def psycopg2_url(url: str) -> str:
    """Return the URL with its driver named: a bare postgresql:// means psycopg 3 to SQLAlchemy 2.1."""
    return "postgresql+psycopg2://" + url.partition("://")[2]


def running_stack(stack_file: Path = STACK_FILE) -> dict[str, str]:
    """Return the URLs of the embedded stack that runs now, or nothing.

    `make run` holds an exclusive lock on the file while it lives, so a file left behind by a kill is never believed.
    """
    try:
        with stack_file.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                urls: dict[str, str] = json.load(file)
                return urls
    except (OSError, ValueError):  # there is none, or its first words are being written
        pass
    return {}


def _join_running_stack(values: dict[str, Any], faulty: set[str]) -> None:
    missing = [name for name in ("DATABASE_URL", "CELERY_BROKER_URL") if values[name] is None and name not in faulty]
    if missing and values["APP_ENV"] == "development":
        stack = running_stack()
        values.update({name: stack.get(name) for name in missing})


def _contradictions(values: dict[str, Any], sources: Sources) -> list[tuple[str, str, str]]:
    """Return the faults that show only when settings are seen together."""
    remedies = {setting.name: setting.remedy for setting in SETTINGS}
    faults = [(name, "is not set", remedies[name]) for name in ("DATABASE_URL", "CELERY_BROKER_URL") if values[name] is None]
    if values["WEBHOOK_URL"] and not values["WEBHOOK_SECRET"]:
        faults.append(("WEBHOOK_SECRET", "is required with WEBHOOK_URL", remedies["WEBHOOK_SECRET"]))
    if values["EVENTS_EXCHANGE"] and urlsplit(values["CELERY_BROKER_URL"] or "").scheme == "filesystem":
        faults.append(
            ("EVENTS_EXCHANGE", "needs RabbitMQ, the file broker has no exchanges", "unset it, or set CELERY_BROKER_URL")
        )
    if values["APP_ENV"] == "production":
        faults += [(name, fault, remedies.get(name, "unset it")) for name, fault in _unfit_for_production(values, sources)]
    return faults


def secrets_in(settings: Settings) -> list[str]:
    """Return every secret that the settings hold, also as it is written inside a URL: for the log, which must not."""
    places = (settings.database_url, *nodes(settings.celery_broker_url), settings.otel_exporter_otlp_endpoint or "")
    urls = [urlsplit(url).password or "" for url in places]
    login = (settings.flower_basic_auth or "").partition(":")[2]
    tokens = [settings.secret_key, settings.webhook_secret or "", settings.metrics_token or "", login]
    found = [*tokens, *urls, *map(unquote, urls)]
    return [secret for secret in found if secret and secret not in DEFAULT_SECRETS]


def default_secrets(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the variables that hold a secret which everybody knows, each with its fault; ``values`` by variable."""
    faults = []
    secret = values["SECRET_KEY"]
    if secret in DEFAULT_SECRETS or len(secret) < SHORTEST_SECRET:
        faults.append(("SECRET_KEY", f"is unset, a default or shorter than {SHORTEST_SECRET} characters"))
    if values["WEBHOOK_SECRET"] in DEFAULT_SECRETS:
        faults.append(("WEBHOOK_SECRET", "is the example's value"))
    if values["METRICS_TOKEN"] in DEFAULT_SECRETS:
        faults.append(("METRICS_TOKEN", "is the example's value"))
    urls = [("CELERY_BROKER_URL", node) for node in nodes(values["CELERY_BROKER_URL"] or "")]
    for name, url_ in [("DATABASE_URL", values["DATABASE_URL"] or ""), *urls]:
        parts = urlsplit(url_)
        # An AMQP client that is told no password takes guest.
        password = unquote(parts.password or ("guest" if parts.scheme in AMQP else ""))
        # On loopback only this machine can reach it: a developer's own RabbitMQ may keep guest/guest.
        if password in DEFAULT_SECRETS and parts.hostname not in LOOPBACK:
            faults.append((name, "carries a default password on a host other than loopback"))
    if values["FLOWER_BASIC_AUTH"] and values["FLOWER_BASIC_AUTH"].partition(":")[2] in DEFAULT_SECRETS:
        faults.append(("FLOWER_BASIC_AUTH", "carries a default password"))
    return faults


def _unfit_for_production(values: dict[str, Any], sources: Sources) -> list[tuple[str, str]]:
    faults = default_secrets(values)
    for name in ("DATABASE_URL", "CELERY_BROKER_URL"):
        if urlsplit(values[name] or "").scheme == "filesystem":
            faults.append((name, "is the try-it file broker"))
    if values["FAILPOINTS"]:
        faults.append(("FAILPOINTS", "makes processes fail on purpose"))
    # Flask itself reads this one; its debugger runs code that a visitor types.
    if sources("FLASK_DEBUG").str("FLASK_DEBUG", "").lower() not in {"", "0", "false", "no"}:
        faults.append(("FLASK_DEBUG", "debug mode is on"))
    return faults
