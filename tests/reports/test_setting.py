"""REPORT_TIMEZONE: any name that the machine knows; another one stops the process at its start."""

from pathlib import Path

import pytest

import config

GOOD = {"DATABASE_URL": "postgresql://u:p@db/orders", "CELERY_BROKER_URL": "amqp://u:p@mq//"}


@pytest.fixture(autouse=True)
def _other_settings_are_good(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"])
def test_a_time_zone_by_name_is_taken(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As the IANA writes it."""
    monkeypatch.setenv("REPORT_TIMEZONE", name)
    assert config.load(tmp_path / ".env").report_timezone == name


def test_unset_it_is_utc(tmp_path: Path) -> None:
    """The same everywhere, and without a change of the clock."""
    assert config.load(tmp_path / ".env").report_timezone == "UTC"


@pytest.mark.parametrize("name", ["Berlin", "Europe", "Europe/", "../etc/passwd", "/etc/localtime", "+02:00", "Mars/Phobos"])
def test_what_names_no_time_zone_is_refused(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With an example of what would be right."""
    monkeypatch.setenv("REPORT_TIMEZONE", name)
    with pytest.raises(config.SettingsError) as caught:
        config.load(tmp_path / ".env")
    ((variable, fault, remedy),) = caught.value.faults
    assert (variable, fault) == ("REPORT_TIMEZONE", "is no time zone that this machine knows")
    assert "Europe/Berlin" in remedy
