"""The events that have no place in the feed yet.

Revision ID: 0008
Revises: 0007
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX order_events_unplaced ON order_events (order_id, sequence) WHERE position IS NULL")


def downgrade() -> None:
    op.execute("DROP INDEX order_events_unplaced")
