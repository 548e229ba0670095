"""Rule 5 of the house: one writer."""

from pathlib import Path

import pytest

from .tree import assert_found, assert_none, plant, the_house
from .writers import breaches

CLEAN = {
    "orderapp/products/stock.py": 'TAKE = "UPDATE products SET stock = stock - 1"\nproduct.stock -= 1\n',
    "orderapp/products/editing.py": 'A = "UPDATE products p SET price = (SELECT 1 FROM x) WHERE p.stock = 0 AND stock = 1"\n',
    "orderapp/products/models.py": "class Product(Base):\n    stock: Mapped[int] = mapped_column()\n",
    "orderapp/orders/states.py": 'order.status = "failed"\nA = "UPDATE orders SET status = 1"\n',
    "orderapp/orders/processing.py": (
        "A = \"UPDATE orders SET lease_until = now() WHERE status = 'processing'\"\n"
        'B = f"UPDATE orders o SET total_amount = d.t FROM {decided} d WHERE o.status = 1 RETURNING o.status"\n'
        "enough = product.stock >= wanted\n"
        "A = update(Order).values(lease_until=None)\n"
    ),
    "orderapp/errors.py": "class Problem(Exception):\n    def __init__(self, status):\n        self.status = status\n",
    "orderapp/webhooks/sending.py": "import requests\nfrom requests_hardened import Config\n",
    "orderapp/webhooks/target.py": "import urllib3\nfrom urllib.parse import urlsplit\n",
    "orderapp/outbox/broker.py": "import amqp\nfrom kombu import Connection\n",
    "orderapp/queues.py": "from kombu import Queue\n",
    "orderapp/worker.py": "import kombu.serialization\n",
    "orderapp/filebroker.py": "from kombu.transport import filesystem\n",
    "tests/test_stock.py": 'import requests\nimport kombu\nA = "UPDATE products SET stock = 1"\n',
}

EDITING = "orderapp/products/editing.py"
PROCESSING = "orderapp/orders/processing.py"

PLANTED = {
    "stock in SQL": (EDITING, 'A = "UPDATE products SET stock = 0"\n'),
    "stock in lower case": (EDITING, 'A = "update products as p set name = :n, stock=p.stock + 1 where true"\n'),
    "stock over two strings": (EDITING, 'A = "UPDATE products " "SET stock = 0"\n'),
    "stock in an f-string": (EDITING, 'A = f"UPDATE products SET price = {price}, stock = {stock}"\n'),
    "stock after a subselect": (EDITING, 'A = "UPDATE products SET price = (SELECT 1 FROM x WHERE y), stock = 0"\n'),
    "stock on conflict": (EDITING, 'A = "INSERT INTO products (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET stock = 1"\n'),
    "stock by attribute": (EDITING, "product.stock = 0\n"),
    "stock by augmented attribute": (EDITING, "product.stock += 1\n"),
    "stock by tuple": (EDITING, "product.name, product.stock = row\n"),
    "stock by setattr": (EDITING, 'setattr(product, "stock", 1)\n'),
    "stock by update()": (EDITING, "A = update(Product).where(Product.id == 1).values(stock=1)\n"),
    "stock by update() with a dict": (EDITING, 'A = sa.update(models.Product).values({"stock": 1})\n'),
    "status in SQL": (PROCESSING, "A = \"UPDATE orders SET status = 'failed'\"\n"),
    "status in a CTE": (PROCESSING, 'A = "WITH u AS (UPDATE orders o SET attempts = 1, status = :s WHERE x) SELECT 1"\n'),
    "status by attribute": (PROCESSING, 'order.status = "failed"\n'),
    "status by update()": (PROCESSING, "A = update(Order).values(status=1)\n"),
    "requests in a thing": ("orderapp/webhooks/signature.py", "import requests\n"),
    "urllib.request in a function": (EDITING, "def late():\n    from urllib import request\n"),
    "http.client": (EDITING, "from http.client import HTTPConnection\n"),
    "httpx": (EDITING, "import httpx\n"),
    "kombu in an act": ("orderapp/outbox/relaying.py", "from kombu import Connection\n"),
    "amqp in a room": ("orderapp/monitoring/health.py", "import amqp.exceptions\n"),
    "kombu in the entry": ("celery_worker.py", "import kombu\n"),
}


def test_every_fact_has_one_writer_and_every_wire_one_speaker() -> None:
    """Stock, status, outgoing HTTP and AMQP are each in the hands of the files that the rule names."""
    assert_none(breaches(the_house()))


def test_the_named_writers_are_no_breach(tmp_path: Path) -> None:
    """A tidy tree is left in peace: the writers, readers of the same columns, and tests."""
    assert_none(breaches(plant(tmp_path, CLEAN)))


@pytest.mark.parametrize(("path", "text"), PLANTED.values(), ids=PLANTED)
def test_a_second_writer_is_found(tmp_path: Path, path: str, text: str) -> None:
    """Each way of writing, calling out or publishing elsewhere is seen."""
    assert_found(breaches(plant(tmp_path, {**CLEAN, path: text})), path)
