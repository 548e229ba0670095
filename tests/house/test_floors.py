"""Rule 1 of the house: floors."""

from pathlib import Path

import pytest

from .floors import breaches
from .tree import assert_found, assert_none, plant, the_house

CLEAN = {
    "config.py": "import os\n",
    "wsgi.py": "from orderapp import create_app\n",
    "celery_worker.py": "import config\nfrom orderapp import create_app\nfrom orderapp.worker import make_worker\n",
    "orderapp/__init__.py": "from .orders import routes\nfrom .webhooks import fan_out\n",
    "orderapp/database.py": "import config\nfrom . import errors\n",
    "orderapp/errors.py": "",
    "orderapp/worker.py": 'CONSUMER = "orderapp.worker:Consumer"\nDEAD = "orderapp.dead"\n',
    "orderapp/products/stock.py": "from ..database import Base\nfrom orderapp.products.models import Product\n",
    "orderapp/orders/processing.py": "from orderapp.products import stock\nfrom orderapp.outbox.messages import enqueue\n",
    "orderapp/webhooks/sending.py": "from orderapp.orders.events import OrderEvent\n",
    "orderapp/monitoring/doctor.py": "from orderapp import database\nfrom orderapp.webhooks import models\n",
    "orderapp/local/stack.py": "import orderapp.monitoring.doctor\n",
    "migrations/env.py": "from orderapp import create_app\n",
    "tests/orders/test_placing.py": "from orderapp.admin import views\n",
}

PLANTED = {
    "the ground imports a room": ("orderapp/database.py", "from orderapp.products.models import Product\n"),
    "the settings import a room": ("config.py", "import orderapp.products.models\n"),
    "a room imports the room above": ("orderapp/products/stock.py", "from orderapp.orders.models import Order\n"),
    "the same, relative": ("orderapp/products/stock.py", "from ..orders import models\n"),
    "the same, in a function": ("orderapp/products/stock.py", "def late():\n    from orderapp.orders import models\n"),
    "the same, for types only": (
        "orderapp/products/stock.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from orderapp.orders.models import Order\n",
    ),
    "the same, as a string": ("orderapp/products/stock.py", 'LATE = "orderapp.orders.models:Order"\n'),
    "the same, as a dotted string": ("orderapp/worker.py", 'INCLUDE = ["orderapp.orders.tasks"]\n'),
    "a room imports its neighbour": ("orderapp/products/stock.py", "from orderapp.outbox import messages\n"),
    "orders imports webhooks": ("orderapp/orders/placing.py", "from orderapp.webhooks.fan_out import fan_out\n"),
    "admin imports local": ("orderapp/admin/views.py", "from orderapp.local import stack\n"),
    "a room imports the roof": ("orderapp/orders/placing.py", "from orderapp import create_app\n"),
    "a room imports an entry point": ("orderapp/orders/placing.py", "from celery_worker import celery\n"),
    "a room without a floor": ("orderapp/parcels/__init__.py", ""),
}


def test_a_room_imports_only_from_the_floors_below() -> None:
    """Every import of orderapp and of the files at the top goes down."""
    assert_none(breaches(the_house()))


def test_imports_that_go_down_are_no_breach(tmp_path: Path) -> None:
    """A tidy tree is left in peace: ground, own room, lower rooms, roof, migrations and tests."""
    assert_none(breaches(plant(tmp_path, CLEAN)))


@pytest.mark.parametrize(("path", "text"), PLANTED.values(), ids=PLANTED)
def test_an_import_that_goes_up_or_across_is_found(tmp_path: Path, path: str, text: str) -> None:
    """Each way of reaching up is seen, however it is written."""
    assert_found(breaches(plant(tmp_path, {**CLEAN, path: text})), path)


def test_orders_importing_webhooks_is_told_about_the_subscription(tmp_path: Path) -> None:
    """The most tempting breach gets a remedy of its own."""
    found = breaches(plant(tmp_path, {**CLEAN, "orderapp/orders/placing.py": "import orderapp.webhooks.fan_out\n"}))
    assert "the roof subscribes webhooks.fan_out" in found[0]
