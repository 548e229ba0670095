"""REQUIRE_API_KEY: on in production, off on a laptop, unless somebody says otherwise."""

from pathlib import Path

import pytest

import config

PRODUCTION = {
    "APP_ENV": "production",
    "SECRET_KEY": "5f0c8e7d1b2a3948576a6b5c4d3e2f10",
    "DATABASE_URL": "postgresql://u:long-and-random@db/orders",
    "CELERY_BROKER_URL": "amqp://u:long-and-random@mq//",
}


@pytest.mark.parametrize(
    ("environment", "given", "required"),
    [
        ("production", "", True),
        ("production", "false", False),
        ("production", "true", True),
        ("development", "", False),
        ("development", "true", True),
    ],
)
def test_who_needs_a_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, environment: str, given: str, required: bool) -> None:
    """A blank variable counts as unset here, too."""
    for name, value in {**PRODUCTION, "APP_ENV": environment, "REQUIRE_API_KEY": given}.items():
        monkeypatch.setenv(name, value)
    assert config.load(tmp_path / "there-is-no.env").require_api_key is required


def test_a_wrong_value_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Not taken for one or the other."""
    for name, value in {**PRODUCTION, "REQUIRE_API_KEY": "perhaps"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(config.SettingsError) as caught:
        config.load(tmp_path / "there-is-no.env")
    assert caught.value.faults[0][:2] == ("REQUIRE_API_KEY", "Not a valid boolean.")
