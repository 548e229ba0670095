"""Idempotency keys.

Revision ID: 0005
Revises: 0004
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE idempotency_keys (
    client_id bigint NOT NULL REFERENCES api_clients,
    key text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    fingerprint bytea NOT NULL CHECK (octet_length(fingerprint) = 32),
    order_id bigint NOT NULL REFERENCES orders,
    response bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (client_id, key)
);
-- The oldest are forgotten first.
CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at);
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE idempotency_keys")
