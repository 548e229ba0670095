"""What operators look for: orders that ended badly, parked messages, deliveries that were given up.

Revision ID: 0009
Revises: 0008
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# Partial, so that an order that is confirmed, a message that is published and a delivery that arrives never write to them.
# Without them, a list of what is rare reads all that is not. Where they are there already, an operator built them while the
# service ran (docs/operations.md, Upgrades): this way keeps writers out until all three are there.
TABLES = """
CREATE INDEX IF NOT EXISTS orders_ended ON orders (status, id) WHERE status IN ('failed', 'cancelled');
CREATE INDEX IF NOT EXISTS outbox_parked ON outbox (id) WHERE parked_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS webhook_deliveries_given_up ON webhook_deliveries (state, id)
    WHERE state IN ('exhausted', 'disabled');
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    op.execute("DROP INDEX orders_ended, outbox_parked, webhook_deliveries_given_up")
