"""The parked messages, which monitoring counts every few seconds.

Revision ID: 0009
Revises: 0008
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Empty unless something is wrong: it costs an enqueue nothing, and the count does not depend on the rows that wait.
    op.execute("CREATE INDEX outbox_parked ON outbox (queue) WHERE parked_at IS NOT NULL")


def downgrade() -> None:
    op.execute("DROP INDEX outbox_parked")
