"""Act: the example products, and many for load tests."""

from decimal import Decimal

from sqlalchemy import text

from orderapp.database import writing
from orderapp.products.stock import Movement, open_stock

# What the user's own example sells: id, name, price, units.
EXAMPLES = ((1, "Laptop", Decimal(55000), 10), (2, "Mouse", Decimal(500), 50))

# Units of each product made for load tests: no run sells a product out by accident.
LOAD_STOCK = 1_000_000

# Two seeders at once would both count the same rows.
_ALONE = text("SELECT pg_advisory_xact_lock(hashtext('products.seed'))")

_CREATE_EXAMPLE = text(
    "INSERT INTO products (id, name, price) VALUES (:id, :name, :price) ON CONFLICT (id) DO NOTHING RETURNING id"
)

# An explicit id does not move the sequence: without this the next product would collide.
_CATCH_UP = text("SELECT setval(pg_get_serial_sequence('products', 'id'), greatest((SELECT max(id) FROM products), 1))")

_CREATE_UP_TO = text("""
INSERT INTO products (name, price)
SELECT 'Product ' || n, 1 + n % 100
FROM generate_series((SELECT count(*) FROM products) + 1, CAST(:count AS bigint)) AS n RETURNING id
""")


def seed_products(count: int = 0) -> int:
    """Create the example products if they are missing, then others until there are ``count``; returns how many were new."""
    with writing() as session:
        session.execute(_ALONE)
        openings = []
        for product_id, name, price, units in EXAMPLES:
            if session.execute(_CREATE_EXAMPLE, {"id": product_id, "name": name, "price": price}).scalar() is not None:
                openings.append(Movement(product_id, None, units))
        session.execute(_CATCH_UP)
        openings += [Movement(product_id, None, LOAD_STOCK) for product_id in session.scalars(_CREATE_UP_TO, {"count": count})]
        open_stock(session, openings)
    return len(openings)
