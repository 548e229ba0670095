"""Lists of orders in pages, newest first; when an order was claimed, for its timeline.

Revision ID: 0006
Revises: 0005
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# By created_at and then by id: a range of time is then one piece of each index, whatever else is asked for. By id alone it
# would have to be searched for, because ids are given a moment before the time is.
TABLES = """
DROP INDEX orders_client, orders_client_status;
CREATE INDEX orders_client ON orders (client_id, created_at, id);
CREATE INDEX orders_client_status ON orders (client_id, status, created_at, id);
CREATE INDEX orders_client_reference ON orders (client_id, reference, created_at, id) WHERE reference IS NOT NULL;
CREATE INDEX order_items_product ON order_items (product_id, order_id);
ALTER TABLE orders ADD COLUMN claimed_at timestamptz;
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    op.execute("ALTER TABLE orders DROP COLUMN claimed_at")
    op.execute("DROP INDEX order_items_product, orders_client_reference, orders_client_status, orders_client")
    op.execute("CREATE INDEX orders_client_status ON orders (client_id, status, id)")
    op.execute("CREATE INDEX orders_client ON orders (client_id, id)")
