"""Rule 3 of the house: transactions."""

from pathlib import Path

import pytest

from .transactions import breaches
from .tree import assert_found, assert_none, plant, the_house

ACT = """
from dataclasses import dataclass
from orderapp.database import writing
from .models import Order

@dataclass(frozen=True)
class Placed:
    id: int

def place_orders(carts: list[str]) -> list[Placed]:
    with writing() as session:
        return [Placed(order.id) for order in _insert(session, carts)]

def _insert(session: object, carts: list[str]) -> list[Order]:
    return session.scalars(text("INSERT ..."))
"""

DOOR = """
from orderapp.database import reading
from . import queries
from .placing import place_orders
from .queries import one_order as find

def post():
    known = dict()
    known.update(a=1)
    return place_orders([])

def get(order_id):
    with reading() as session:
        return OrderSchema().dump(queries.one_order(session, order_id))

def show(order_id):
    with reading():
        return find(order_id)
"""

PANEL = """
class PanelView(ModelView):
    def create_model(self, form): ...
    def update_model(self, form, model): ...
    def delete_model(self, model): ...

class OrderView(PanelView): ...
"""

CLEAN = {
    "orderapp/database.py": "def writing():\n    db.session.begin()\n    db.session.commit()\n    db.session.rollback()\n",
    "orderapp/orders/placing.py": ACT,
    "orderapp/orders/routes.py": DOOR,
    "orderapp/admin/views.py": PANEL,
    "migrations/versions/0001_orders.py": "op.get_bind().commit()\n",
    "tests/test_database.py": "with writing():\n    session.rollback()\n",
}

CLI, PLACING, STOCK = "orderapp/orders/cli.py", "orderapp/orders/placing.py", "orderapp/products/stock.py"

PLANTED = {
    "a thing writes": (STOCK, "with writing():\n    pass\n"),
    "a door writes": (CLI, "with database.writing():\n    pass\n"),
    "a thing takes writing under another name": (STOCK, "from orderapp.database import writing as change\n"),
    "an -ing file outside a room writes": ("orderapp/logging.py", "with writing():\n    pass\n"),
    "an act commits": (PLACING, "db.session.commit()\n"),
    "a thing rolls back": (STOCK, "def undo(session):\n    session.rollback()\n"),
    "a thing begins": (STOCK, "with engine.begin() as connection:\n    pass\n"),
    "a commit in SQL": (STOCK, 'session.execute(text("COMMIT"))\n'),
    "a door imports select": (CLI, "from sqlalchemy import select as choose\n"),
    "a door builds SQL": (CLI, "rows = sa.select(Order)\n"),
    "a door words SQL": (CLI, 'rows = text("SELECT 1")\n'),
    "a door executes": (CLI, "rows = connection.execute(STATEMENT)\n"),
    "a door uses the session": (CLI, "order = session.get(Order, 1)\n"),
    "a door uses the extension's session": (CLI, "order = db.session.get(Order, 1)\n"),
    "a door reads without a query": (CLI, "with reading() as session:\n    rows = _rows(session)\n"),
    "an act returns an ORM object": (PLACING, ACT.replace("-> list[Placed]", "-> list[Order]")),
    "an act returns a changeable dataclass": (PLACING, ACT.replace("@dataclass(frozen=True)", "@dataclass")),
    "a panel view commits by itself": ("orderapp/admin/views.py", "class OrderView(ModelView):\n    column_list = ()\n"),
}


def test_only_acts_write_and_only_the_database_module_commits() -> None:
    """Doors hold no SQL and read through queries; what an act returns survives its commit."""
    assert_none(breaches(the_house()))


def test_transactions_in_their_places_are_no_breach(tmp_path: Path) -> None:
    """A tidy tree is left in peace: act, door, panel, database.py, migrations and tests."""
    assert_none(breaches(plant(tmp_path, CLEAN)))


@pytest.mark.parametrize(("path", "text"), PLANTED.values(), ids=PLANTED)
def test_a_transaction_in_the_wrong_place_is_found(tmp_path: Path, path: str, text: str) -> None:
    """Each way of writing past the acts is seen."""
    assert_found(breaches(plant(tmp_path, {**CLEAN, path: text})), path)
