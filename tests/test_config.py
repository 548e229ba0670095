"""Every setting: what it accepts, what it refuses and how it says so; all faults at once; nothing of a secret printed."""

import base64
import dataclasses
import fcntl
import importlib.util
import json
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import create_engine

import config

GOOD = {"DATABASE_URL": "postgresql://u:p@db/orders", "CELERY_BROKER_URL": "amqp://u:p@mq//"}

RUNNING_STACK = config.running_stack

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()

PRODUCTION = {
    **GOOD,
    "APP_ENV": "production",
    "SECRET_KEY": "5f0c8e7d1b2a3948576a6b5c4d3e2f10",
    "DATABASE_URL": "postgresql://u:long-and-random@db/orders",
    "CELERY_BROKER_URL": "amqp://u:long-and-random@mq//",
}


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> "Reader":
    """Return what reads settings from these variables and from ``.env``, with no embedded stack running."""
    monkeypatch.setattr(config, "running_stack", dict)
    return Reader(monkeypatch, tmp_path / ".env")


@dataclasses.dataclass
class Reader:
    """Reads the settings as a process with these variables would."""

    monkeypatch: pytest.MonkeyPatch
    env_file: Path

    def __call__(self, **variables: str) -> config.Settings:
        """Return the settings: these variables are set, every other one is not."""
        for setting in config.SETTINGS:
            for name in (setting.name, f"{setting.name}_FILE"):
                self.monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            self.monkeypatch.setenv(name, value)
        return config.load(self.env_file)

    def faults(self, **variables: str) -> dict[str, str]:
        """Return each faulty variable with its fault."""
        with pytest.raises(config.SettingsError) as caught:
            self(**variables)
        return {name: fault for name, fault, _ in caught.value.faults}


def test_two_urls_are_enough_and_the_rest_has_defaults(read: Reader) -> None:
    """What is not named in .env.example as required is not required."""
    settings = read(**GOOD)
    assert (settings.app_env, settings.currency, settings.port, settings.log_format) == ("development", "USD", 8000, "console")
    assert settings.webhook_url is None
    assert settings.webhook_allowed_hosts == frozenset()


def test_every_setting_is_an_attribute_of_the_settings() -> None:
    """The table and the dataclass are two lists of one thing."""
    names = [field.name for field in dataclasses.fields(config.Settings)]
    assert sorted(names) == sorted(setting.name.lower() for setting in config.SETTINGS)


@pytest.mark.parametrize("setting", config.SETTINGS, ids=lambda setting: setting.name)
def test_a_blank_variable_counts_as_unset(read: Reader, setting: config.Setting) -> None:
    """docker-compose passes ``NAME=`` for what the user left out."""
    if setting.name in GOOD:
        assert read.faults(**{**GOOD, setting.name: "  "}) == {setting.name: "is not set"}
    else:
        assert read(**{**GOOD, setting.name: "  "}) == read(**GOOD)


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("APP_ENV", "staging", "Must be one of: development, production."),
        ("DATABASE_URL", "mysql://u:p@h/x", "does not start with postgresql:// or postgres:// or postgresql+psycopg2://"),
        ("DATABASE_URL", "db.example.com", "does not start with postgresql:// or postgres:// or postgresql+psycopg2://"),
        ("DATABASE_URL", "postgresql://", "names no host"),
        ("DATABASE_URL", "postgresql://h:99999/x", "has a wrong port or host"),
        ("DATABASE_URL", "postgresql://[::1/x", "has a wrong port or host"),
        ("CELERY_BROKER_URL", "redis://h", "does not start with amqp://"),
        ("CELERY_BROKER_URL", "amqp://", "names no host"),
        ("CURRENCY", "euro", "String does not match expected pattern."),
        ("CURRENCY", "EURO", "String does not match expected pattern."),
        ("WEBHOOK_URL", "ftp://h/x", "does not start with https:// or http://"),
        ("WEBHOOK_URL", "https:///x", "names no host"),
        ("WEBHOOK_SECRET", "secret", "is not whsec_ and 24 to 64 bytes in base64"),
        ("WEBHOOK_SECRET", "whsec_%%%", "is not whsec_ and 24 to 64 bytes in base64"),
        ("LOG_FORMAT", "xml", "Must be one of: json, console."),
        ("PORT", "http", "Not a valid integer."),
        ("PORT", "0", "Must be greater than or equal to 1 and less than or equal to 65535."),
        ("PORT", "65536", "Must be greater than or equal to 1 and less than or equal to 65535."),
        ("FLOWER_PORT", "-1", "Must be greater than or equal to 1 and less than or equal to 65535."),
        ("RECEIVER_PORT", "8001.5", "Not a valid integer."),
        ("WEB_WORKERS", "0", "Must be greater than or equal to 1 and less than or equal to 64."),
        ("WEB_THREADS", "65", "Must be greater than or equal to 1 and less than or equal to 64."),
        ("EVENTS_EXCHANGE", "amq.topic", "String does not match expected pattern."),
        ("FLOWER_BASIC_AUTH", "nobody", "String does not match expected pattern."),
    ],
)
def test_a_wrong_value_is_refused(read: Reader, name: str, value: str, fault: str) -> None:
    """Each setting says what is wrong with it, and only it."""
    faults = read.faults(**{**GOOD, name: value})
    assert list(faults) == [name]
    assert faults[name].startswith(fault)


@pytest.mark.parametrize("size", [23, 24, 64, 65])
def test_a_webhook_secret_has_24_to_64_bytes(read: Reader, size: int) -> None:
    """Standard Webhooks' limits; bytes, not characters of base64."""
    secret = "whsec_" + base64.b64encode(b"x" * size).decode()
    if 24 <= size <= 64:
        assert read(**GOOD, WEBHOOK_SECRET=secret).webhook_secret == secret
    else:
        assert list(read.faults(**GOOD, WEBHOOK_SECRET=secret)) == ["WEBHOOK_SECRET"]


def test_a_webhook_needs_a_secret(read: Reader) -> None:
    """An unsigned webhook is never sent."""
    assert read.faults(**GOOD, WEBHOOK_URL="https://h/x") == {"WEBHOOK_SECRET": "is required with WEBHOOK_URL"}
    for secret in (SECRET, config.EXAMPLE_WEBHOOK_SECRET):  # a copied .env.example starts in development
        assert read(**GOOD, WEBHOOK_URL="https://h/x", WEBHOOK_SECRET=secret).webhook_secret == secret


def test_allowed_hosts_are_a_list_in_lower_case(read: Reader) -> None:
    """Host names know no case; blanks and empty entries are slips of the pen."""
    hosts = read(**GOOD, WEBHOOK_ALLOWED_HOSTS=" Localhost:8001, receiver ,,").webhook_allowed_hosts
    assert hosts == {"localhost:8001", "receiver"}


def test_all_faults_are_reported_at_once_in_one_table(read: Reader) -> None:
    """Mending one fault must not uncover the next: variable, fault and remedy, one line each."""
    variables = {"DATABASE_URL": "mysql://x", "PORT": "http", "CURRENCY": "euro", "WEBHOOK_URL": "https://h/"}
    with pytest.raises(config.SettingsError) as caught:
        read(**variables)
    title, *rows = str(caught.value).splitlines()
    assert "5 setting(s)" in title
    assert {row.split()[0] for row in rows} == {*variables, "CELERY_BROKER_URL", "WEBHOOK_SECRET"} - {"WEBHOOK_URL"}
    remedies = {setting.name: setting.remedy for setting in config.SETTINGS}
    assert all(row.endswith(remedies[row.split()[0]]) for row in rows)


@pytest.mark.parametrize(
    "variables",
    [
        {"DATABASE_URL": "postgresql://u:hunter2/hunter2@h/x"},
        {"DATABASE_URL": "mysql://u:hunter2@h/x"},
        {"CELERY_BROKER_URL": "hunter2:hunter2@h"},
        {"WEBHOOK_SECRET": "hunter2"},
        {"FLOWER_BASIC_AUTH": "hunter2"},
        {"PORT": "hunter2"},
        {"APP_ENV": "hunter2"},
        {"APP_ENV": "production", "SECRET_KEY": "hunter2", "FLOWER_BASIC_AUTH": "hunter2:hunter2"},
    ],
    ids=" ".join,
)
def test_no_fault_prints_a_value(read: Reader, variables: dict[str, str]) -> None:
    """The table goes to logs, and the value may be a secret in the wrong place."""
    with pytest.raises(config.SettingsError) as caught:
        read(**{**GOOD, **variables})
    assert "hunter2" not in str(caught.value)


def test_a_secret_may_come_from_a_file(read: Reader, tmp_path: Path) -> None:
    """NAME_FILE is how Docker and Kubernetes hand out secrets; the line end of the file is none of it."""
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    assert read(**GOOD, WEBHOOK_SECRET_FILE=str(file)).webhook_secret == SECRET


@pytest.mark.parametrize("content", [None, b"\xff\xfe"], ids=["missing", "not text"])
def test_a_secret_file_that_cannot_be_read_is_a_fault(read: Reader, tmp_path: Path, content: bytes | None) -> None:
    """Going on with the default would sign sessions with a key that everybody knows."""
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    assert list(read.faults(**GOOD, SECRET_KEY_FILE=str(file))) == ["SECRET_KEY"]


def test_the_env_file_is_read_and_the_shell_wins(read: Reader) -> None:
    """What is typed for one command beats what is written down."""
    read.env_file.write_text("CURRENCY=EUR\nPORT=9000\n")
    settings = read(**GOOD, PORT="9001")
    assert (settings.currency, settings.port) == ("EUR", 9001)


def test_a_value_of_the_shell_wins_over_a_secret_file_named_in_the_env_file(read: Reader, tmp_path: Path) -> None:
    """NAME_FILE beats NAME within one place only: else a test on DATABASE_URL would work on the database of ``.env``."""
    (tmp_path / "key").write_text("from the file")
    read.env_file.write_text(f"SECRET_KEY_FILE={tmp_path / 'key'}\n")
    assert read(**GOOD).secret_key == "from the file"
    assert read(**GOOD, SECRET_KEY="from the shell").secret_key == "from the shell"


@pytest.mark.parametrize(
    "url",
    ["postgres://u:p@h:5432/x", "postgresql://u:p@h:5432/x", "postgresql+psycopg2://u:p@h:5432/x", "postgresql:///x?host=/tmp"],
)
def test_every_form_of_a_postgresql_url_means_psycopg2(read: Reader, url: str) -> None:
    """SQLAlchemy 2.1 takes a bare postgresql:// for psycopg 3, which is not installed, neither here nor in production."""
    assert importlib.util.find_spec("psycopg") is None
    settings = read(**{**GOOD, "DATABASE_URL": url})
    engine = create_engine(settings.database_url)
    assert engine.driver == "psycopg2"
    assert engine.url.database == "x"


def test_a_database_behind_the_local_socket_needs_no_host(read: Reader) -> None:
    """``postgresql:///orders`` is what a developer with a PostgreSQL of their own writes."""
    assert read(**{**GOOD, "DATABASE_URL": "postgresql:///orders"}).database_url == "postgresql+psycopg2:///orders"


def test_production_starts_with_secrets_of_its_own(read: Reader) -> None:
    """And logs for machines, unless it is told otherwise."""
    assert read(**PRODUCTION).log_format == "json"
    assert read(**PRODUCTION, LOG_FORMAT="console", FLASK_DEBUG="False").log_format == "console"


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("DATABASE_URL", "", "is not set"),
        ("CELERY_BROKER_URL", "", "is not set"),
        ("SECRET_KEY", "", "is unset, a default or shorter than 32 characters"),
        ("SECRET_KEY", config.DEVELOPMENT_SECRET_KEY, "is unset, a default or shorter than 32 characters"),
        ("SECRET_KEY", "x" * 31, "is unset, a default or shorter than 32 characters"),
        ("WEBHOOK_SECRET", config.EXAMPLE_WEBHOOK_SECRET, "is the example's value"),
        ("CELERY_BROKER_URL", "amqp://guest:guest@mq//", "carries a default password on a host other than loopback"),
        ("CELERY_BROKER_URL", "amqp://guest:%67uest@mq//", "carries a default password on a host other than loopback"),
        ("CELERY_BROKER_URL", "amqp://mq//", "carries a default password on a host other than loopback"),
        ("CELERY_BROKER_URL", "filesystem:///var/queue", "is the try-it file broker"),
        ("DATABASE_URL", "postgresql://postgres:postgres@db/x", "carries a default password on a host other than loopback"),
        ("FLOWER_BASIC_AUTH", "admin:password", "carries a default password"),
        ("FLASK_DEBUG", "1", "debug mode is on"),
        ("FLASK_DEBUG", "true", "debug mode is on"),
    ],
)
def test_production_refuses(read: Reader, name: str, value: str, fault: str) -> None:
    """Line by line what contract.md forbids; development allows all but the unset URLs."""
    assert read.faults(**{**PRODUCTION, name: value}) == {name: fault}
    if fault != "is not set":
        assert read(**{**PRODUCTION, name: value, "APP_ENV": "development"})


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_production_allows_guest_on_loopback(read: Reader, host: str) -> None:
    """RabbitMQ itself lets guest in from loopback only."""
    assert read(**{**PRODUCTION, "CELERY_BROKER_URL": f"amqp://guest:guest@{host}//"})


def test_production_names_every_fault_at_once(read: Reader) -> None:
    """One start is enough to know all that is missing."""
    faults = read.faults(APP_ENV="production", FLASK_DEBUG="1", CURRENCY="euro")
    assert set(faults) == {"DATABASE_URL", "CELERY_BROKER_URL", "SECRET_KEY", "FLASK_DEBUG", "CURRENCY"}


def test_commands_join_the_stack_that_runs(read: Reader, tmp_path: Path) -> None:
    """While ``make run`` holds the file, unset URLs are taken from it, one by one."""
    file = tmp_path / "stack.json"
    file.write_text(json.dumps(GOOD))
    read.monkeypatch.setattr(config, "running_stack", partial(RUNNING_STACK, file))
    with file.open() as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        assert read().database_url == "postgresql+psycopg2://u:p@db/orders"
        assert read(CELERY_BROKER_URL="amqp://other//").celery_broker_url == "amqp://other//"
        # Production is never joined to a toy by accident.
        assert {"DATABASE_URL", "CELERY_BROKER_URL"} <= set(read.faults(APP_ENV="production"))
    assert set(read.faults()) == {"DATABASE_URL", "CELERY_BROKER_URL"}


def test_a_wrong_url_is_not_replaced_by_the_stack_that_runs(read: Reader) -> None:
    """A slip in DATABASE_URL must not send a command to another database."""
    read.monkeypatch.setattr(config, "running_stack", lambda: dict(GOOD))
    assert list(read.faults(DATABASE_URL="mysql://x")) == ["DATABASE_URL"]


@pytest.mark.parametrize("content", [None, json.dumps(GOOD), "", "{", "\xff"])
def test_a_stale_missing_or_broken_file_is_no_running_stack(tmp_path: Path, content: str | None) -> None:
    """A file that a killed ``make run`` left behind is never believed; one it has just begun to write neither."""
    file = tmp_path / "stack.json"
    if content is not None:
        file.write_bytes(content.encode("latin-1"))
    assert config.running_stack(file) == {}
    if content not in {None, json.dumps(GOOD)}:
        with file.open() as holder:
            fcntl.flock(holder, fcntl.LOCK_EX)
            assert config.running_stack(file) == {}
