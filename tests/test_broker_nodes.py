"""CELERY_BROKER_URL may name the nodes of a cluster: each is checked, and each one's password is a secret."""

from dataclasses import replace

import pytest
from marshmallow import ValidationError

from config import Settings, default_secrets, secrets_in
from config_kinds import broker

GOOD = "amqp://u:long-and-random@mq//"


@pytest.mark.parametrize(
    ("second", "fault"),
    [
        ("amqp://u:p@mq:99999//", "has a wrong port or host"),
        ("filesystem:///var/queue", "does not start with amqp://"),
        ("", "does not start with amqp://"),
    ],
)
def test_every_node_is_checked(second: str, fault: str) -> None:
    """A typing error in the last one would show on the day when the first is gone."""
    with pytest.raises(ValidationError, match=fault):
        broker(f"{GOOD};{second}")
    broker(f"{GOOD};amqps://u:p@mq2:5671//")


def test_a_default_password_of_any_node_is_found() -> None:
    """Production must not start with it."""
    values = dict.fromkeys(("DATABASE_URL", "WEBHOOK_SECRET", "METRICS_TOKEN", "FLOWER_BASIC_AUTH")) | {"SECRET_KEY": "x" * 32}
    faults = default_secrets(values | {"CELERY_BROKER_URL": f"{GOOD};amqp://guest:guest@mq2//"})
    assert faults == [("CELERY_BROKER_URL", "carries a default password on a host other than loopback")]
    assert default_secrets(values | {"CELERY_BROKER_URL": f"{GOOD};{GOOD}"}) == []


def test_the_password_of_any_node_is_kept_out_of_logs(settings: Settings) -> None:
    """The redactor looks for what it is told."""
    planted = replace(settings, celery_broker_url=f"{GOOD};amqp://u:of-second@mq2//")
    assert {"long-and-random", "of-second"} <= set(secrets_in(planted))
