"""What `make run` adds to what the user has set, in the environment or in ``.env``."""

from pathlib import Path

import pytest

from config import SETTINGS
from orderapp.local.plan import plan


@pytest.fixture(autouse=True)
def _an_empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in SETTINGS:
        monkeypatch.delenv(setting.name, raising=False)
        monkeypatch.delenv(f"{setting.name}_FILE", raising=False)
    monkeypatch.delenv("PYTHONWARNINGS", raising=False)


def test_with_nothing_set_it_brings_everything(tmp_path: Path) -> None:
    """Database, broker and a receiver that is allowed although it is on loopback."""
    what = plan(tmp_path, tmp_path / ".env")
    assert (what.embeds_database, what.embeds_broker, what.receives_webhooks) == (True, True, True)
    assert what.environment["CELERY_BROKER_URL"] == f"filesystem://{tmp_path}/broker"
    assert what.environment["WEBHOOK_URL"] == "http://127.0.0.1:8001/"
    assert what.environment["WEBHOOK_ALLOWED_HOSTS"] == "127.0.0.1:8001"
    assert what.environment["PYTHONUNBUFFERED"] == "1"


def test_the_secret_is_random_kept_and_for_its_owner(tmp_path: Path) -> None:
    """The receiver of the next start still verifies what waited."""
    secrets = [plan(tmp_path, tmp_path / ".env").environment["WEBHOOK_SECRET"] for _ in range(2)]
    assert secrets[0] == secrets[1]
    assert secrets[0].startswith("whsec_")
    assert (tmp_path / "webhook-secret").stat().st_mode & 0o777 == 0o600
    (tmp_path / "other").mkdir()
    assert plan(tmp_path / "other", tmp_path / ".env").environment["WEBHOOK_SECRET"] != secrets[0]


def test_the_secret_is_one_that_the_settings_accept(tmp_path: Path) -> None:
    """Otherwise the first start would end with a table of faults."""
    validate = next(setting.validate for setting in SETTINGS if setting.name == "WEBHOOK_SECRET")
    assert validate
    validate(plan(tmp_path, tmp_path / ".env").environment["WEBHOOK_SECRET"])


@pytest.mark.parametrize("where", ["environment", ".env", "a file of secrets"])
def test_what_the_user_has_set_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """Nothing of it is replaced, wherever it stands."""
    given = {"DATABASE_URL": "postgresql://db/x", "CELERY_BROKER_URL": "amqp://mq//", "WEBHOOK_URL": "https://example.org/"}
    for name, value in given.items():
        if where == "environment":
            monkeypatch.setenv(name, value)
        elif where == ".env":
            with (tmp_path / ".env").open("a") as file:
                file.write(f"{name}={value}\n")
        else:
            (tmp_path / name).write_text(value)
            monkeypatch.setenv(f"{name}_FILE", str(tmp_path / name))
    what = plan(tmp_path, tmp_path / ".env")
    assert (what.embeds_database, what.embeds_broker, what.receives_webhooks) == (False, False, False)
    assert not {*given, "WEBHOOK_SECRET", "WEBHOOK_ALLOWED_HOSTS"} & set(what.environment)
    assert not (tmp_path / "webhook-secret").exists()


def test_a_blank_variable_is_not_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a copy of .env.example."""
    monkeypatch.setenv("DATABASE_URL", "  ")
    (tmp_path / ".env").write_text("CELERY_BROKER_URL=\n")
    what = plan(tmp_path, tmp_path / ".env")
    assert what.embeds_database
    assert what.embeds_broker


def test_the_receiver_follows_its_port_and_keeps_the_users_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret of one's own, and hosts that were allowed before."""
    monkeypatch.setenv("RECEIVER_PORT", "18001")
    monkeypatch.setenv("WEBHOOK_ALLOWED_HOSTS", "intranet:8080")
    monkeypatch.setenv("WEBHOOK_SECRET", "whsec_" + "A" * 44)
    environment = plan(tmp_path, tmp_path / ".env").environment
    assert environment["WEBHOOK_URL"] == "http://127.0.0.1:18001/"
    assert environment["WEBHOOK_ALLOWED_HOSTS"] == "intranet:8080,127.0.0.1:18001"
    assert "WEBHOOK_SECRET" not in environment


def test_a_wrong_value_is_left_for_the_settings_to_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It counts as set: replacing it would hide the fault."""
    monkeypatch.setenv("DATABASE_URL", "mysql://db/x")
    monkeypatch.setenv("RECEIVER_PORT", "many")
    what = plan(tmp_path, tmp_path / ".env")
    assert not what.embeds_database
    assert what.environment["WEBHOOK_URL"] == "http://127.0.0.1:8001/"


@pytest.mark.parametrize(("uid", "warns"), [(0, False), (1000, True)])
def test_root_is_not_warned_at_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uid: int, *, warns: bool) -> None:
    """And what the user has said about warnings is kept."""
    monkeypatch.setattr("os.geteuid", lambda: uid)
    monkeypatch.setenv("PYTHONWARNINGS", "error::DeprecationWarning")
    words = plan(tmp_path, tmp_path / ".env").environment.get("PYTHONWARNINGS", "")
    assert words == ("" if warns else "error::DeprecationWarning,ignore::UserWarning:celery.platforms")


def test_a_folder_with_a_space_makes_a_url_all_the_same(tmp_path: Path) -> None:
    """The file broker unquotes it."""
    (tmp_path / "my orders").mkdir()
    url = plan(tmp_path / "my orders", tmp_path / ".env").environment["CELERY_BROKER_URL"]
    assert url == f"filesystem://{tmp_path}/my%20orders/broker"
