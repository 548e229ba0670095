"""Creates the shop's tables and a thousand products, and, with a number as argument, that many pending orders and tasks."""

import os
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bench.peers.shop.settings")
django.setup()

from django.core.management import call_command  # noqa: E402 - Django wants its settings first
from django.db import connection  # noqa: E402

from bench.peers.shop.celery import app  # noqa: E402
from bench.peers.shop.models import Order, OrderItem, Product  # noqa: E402
from bench.peers.shop.tasks import process_order  # noqa: E402


def tables() -> None:
    """Create everything."""
    if "shop_order" not in connection.introspection.table_names():
        call_command("migrate", run_syncdb=True, verbosity=0)
        stock = 1_000_000
        Product.objects.bulk_create([Product(id=n, name=f"Product {n}", price=n, stock=stock) for n in range(1, 1001)])


def backlog(count: int) -> None:
    """Add pending orders of two products each, spread evenly, and a message for each."""
    orders = Order.objects.bulk_create([Order() for _ in range(count)])
    for order in orders:
        first = 1 + order.pk % 900
        OrderItem.objects.bulk_create(
            [OrderItem(order=order, product_id=first + n, quantity=1, unit_price=1) for n in (0, 50)],
        )
    with app.pool.acquire(block=True) as broker, app.amqp.Producer(broker) as producer:
        for order in orders:
            process_order.apply_async((order.pk,), producer=producer)


tables()
if sys.argv[1:]:
    backlog(int(sys.argv[1]))
