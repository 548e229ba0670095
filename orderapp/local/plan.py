"""What the user has set and what `make run` brings itself."""

import base64
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from environs import EnvError

import config
import config_kinds

# Bytes of a webhook's secret; Standard Webhooks asks for 24 to 64.
SECRET_BYTES = 32


_CELERY_WARNS_ROOT = "ignore::UserWarning:celery.platforms"


@dataclass(frozen=True)
class Plan:
    """The variables for the children beside the user's own, and which parts we bring."""

    environment: dict[str, str]
    embeds_database: bool
    embeds_broker: bool
    receives_webhooks: bool


def plan(var: Path, env_file: Path = config.ROOT / ".env") -> Plan:
    """Return what is missing from the user's environment and ``.env``. The database's URL is known only once it runs."""
    env = config_kinds.sources_with(env_file)  # as config.load() reads them
    embeds_database = not _is_given(env, "DATABASE_URL")
    embeds_broker = not _is_given(env, "CELERY_BROKER_URL")
    receives = not _is_given(env, "WEBHOOK_URL")
    added = {"PYTHONUNBUFFERED": "1"}
    if os.geteuid() == 0:
        # Celery warns root at length of pickled messages; ours are JSON, and nothing else is accepted.
        added["PYTHONWARNINGS"] = ",".join(filter(None, [os.environ.get("PYTHONWARNINGS"), _CELERY_WARNS_ROOT]))
    if embeds_database:
        added["DATABASE_URL"] = f"postgresql:///orderapp?host={quote(str(var))}"
    if embeds_broker:
        added["CELERY_BROKER_URL"] = f"filesystem://{quote(str(var / 'broker'))}"
    if receives:
        port = _value(env, "RECEIVER_PORT")
        allowed = [*_value(env, "WEBHOOK_ALLOWED_HOSTS"), f"127.0.0.1:{port}"]
        added |= {"WEBHOOK_URL": f"http://127.0.0.1:{port}/", "WEBHOOK_ALLOWED_HOSTS": ",".join(allowed)}
        if not _is_given(env, "WEBHOOK_SECRET"):
            added["WEBHOOK_SECRET"] = _kept_secret(var / "webhook-secret")
    return Plan(added, embeds_database, embeds_broker, receives)


def _is_given(env: config_kinds.Sources, name: str) -> bool:
    """Tell whether the user has set it, be it wrongly: config.load() then says so."""
    try:
        return _setting(name).read(env) is not None
    except (EnvError, ValueError):
        return True


def _value(env: config_kinds.Sources, name: str) -> Any:
    try:
        return _setting(name).read(env)
    except (EnvError, ValueError):
        return _setting(name).default


def _setting(name: str) -> config_kinds.Setting:
    return next(setting for setting in config.SETTINGS if setting.name == name)


def _kept_secret(file: Path) -> str:
    """Return this checkout's own secret, made at the first start, readable by its owner alone."""
    if not file.exists():
        half = file.with_suffix(".new")
        half.unlink(missing_ok=True)
        with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new:
            new.write("whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode())
        half.rename(file)
    return file.read_text().strip()
