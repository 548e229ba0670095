"""Rule 2 of the house: doors, acts and things."""

from pathlib import Path

import pytest

from .doors import breaches
from .tree import assert_found, assert_none, plant, the_house

CLEAN = {
    "orderapp/__init__.py": "from .orders import cli, routes, tasks\n",
    "orderapp/orders/routes.py": "import flask\nfrom .placing import place_orders\nfrom .schemas import OrderSchema\n",
    "orderapp/orders/tasks.py": "import celery\nfrom .processing import process_orders\n",
    "orderapp/orders/placing.py": "import structlog\nimport sqlalchemy\nfrom . import events\nfrom .rescuing import rescue\n",
    "orderapp/orders/events.py": "from .models import OrderEvent\n",
    "orderapp/webhooks/sending.py": "from orderapp.orders.events import OrderEvent\nfrom orderapp.outbox.parking import park\n",
    "orderapp/admin/views.py": "import flask_admin\nfrom orderapp.orders.cancelling import cancel_orders\n",
}

PLANTED = {
    "an act imports flask": ("orderapp/orders/placing.py", "from flask import current_app\n"),
    "an act imports a flask extension": ("orderapp/orders/placing.py", "import flask_sqlalchemy\n"),
    "an act imports celery in a function": ("orderapp/orders/placing.py", "def late():\n    import celery.exceptions\n"),
    "an act imports its door": ("orderapp/orders/placing.py", "from . import routes\n"),
    "a thing imports an act": ("orderapp/orders/events.py", "from .placing import place_orders\n"),
    "a room's front page imports an act": ("orderapp/orders/__init__.py", "from .placing import place_orders\n"),
    "a thing imports a door": ("orderapp/orders/events.py", "from .tasks import process\n"),
    "a door imports a door": ("orderapp/orders/cli.py", "from .tasks import process\n"),
    "a room imports another room's door": ("orderapp/webhooks/fan_out.py", "import orderapp.orders.routes\n"),
    "a string names another room's door": ("orderapp/webhooks/fan_out.py", 'TASK = "orderapp.orders.tasks:process"\n'),
    "the worker imports a door": ("celery_worker.py", "from orderapp.orders import tasks\n"),
    "a door imports another room's schemas": ("orderapp/webhooks/routes.py", "from orderapp.orders import schemas\n"),
}


def test_doors_use_acts_and_acts_use_things_and_never_back() -> None:
    """Also: nobody but the roof imports a door, no room another room's schemas, no act a web or task framework."""
    assert_none(breaches(the_house()))


def test_the_way_in_is_no_breach(tmp_path: Path) -> None:
    """A tidy tree is left in peace: door to act, act to act, act to thing, a higher room's view to a lower room's act."""
    assert_none(breaches(plant(tmp_path, CLEAN)))


@pytest.mark.parametrize(("path", "text"), PLANTED.values(), ids=PLANTED)
def test_a_way_back_out_is_found(tmp_path: Path, path: str, text: str) -> None:
    """Each kind of import against the way in is seen."""
    assert_found(breaches(plant(tmp_path, {**CLEAN, path: text})), path)
