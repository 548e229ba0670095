"""Every kind of violation, planted where everything else is right, is named with its id, and nothing else is."""

from collections.abc import Callable

import pytest

from orderapp.monitoring.auditing import Scope, audit
from orderapp.monitoring.invariants import INVARIANTS
from tests.monitoring.conftest import Plant
from tests.monitoring.every_state import ENDPOINT, every_state
from tests.monitoring.planted import HARMLESS, PLANTED
from tests.servers.postgres import clean
from tests.servers.run import Servers
from tests.sql import one

pytestmark = pytest.mark.settings(**ENDPOINT)

Make = Callable[..., int]


@pytest.fixture
def database(request: pytest.FixtureRequest, servers: Servers, migrated_database: str) -> str:
    """Return a database of the test's own where it takes constraints away, else the worker's, clean."""
    name = request.node.callspec.params["name"]
    if "DROP CONSTRAINT" in str(PLANTED.get(name, HARMLESS.get(name))):
        return servers.migrated_database()
    clean(migrated_database)
    return migrated_database


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_violation_is_named(a_product: Make, plant: Plant, name: str) -> None:
    """By its kind and its id, in a run over what changed and in one over everything."""
    where, statement, expected = PLANTED[name]
    ids = every_state(a_product)
    ids["delivery"] = one("SELECT id FROM webhook_deliveries WHERE order_id = %(id)s", id=ids["failed"])
    assert audit(Scope(webhooks=True)).consistent
    plant(statement.format(**ids, id=ids[where], other=ids["pending"]))
    for everything in (False, True):
        report = audit(Scope(everything=everything, webhooks=True))

        assert (report.since is None) == everything
        found = {violation.name: violation for violation in report.violations}
        assert set(found) == {each.partition("@")[0] for each in expected.split()}
        for each in expected.split():
            kind, _, elsewhere = each.partition("@")
            if found[kind].subject != "product":
                assert found[kind].ids == (ids["pending"] if elsewhere else ids[where],)
            assert (found[kind].count, found[kind].sentence) == (1, INVARIANTS[kind].sentence)


@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_on_its_way_is_no_violation(a_product: Make, plant: Plant, name: str) -> None:
    """A message, a lease or a rescue is enough."""
    ids = every_state(a_product)
    plant(HARMLESS[name].format(**ids))
    assert audit(Scope(webhooks=True)).violations == ()


def test_every_invariant_has_a_planted_violation() -> None:
    """A rule that was never seen to fail may not be one."""
    assert {each.partition("@")[0] for _, _, expected in PLANTED.values() for each in expected.split()} == set(INVARIANTS)
