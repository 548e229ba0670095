"""``flask orders simulate`` against the whole pipeline."""

import orjson

from tests.journeys.world import World
from tests.servers.waiting import wait_until

# Seconds for 150 orders in a second, their settling, and the start of the command.
TAKES = 60


def test_a_simulation_counts_what_became_of_its_orders(shop: World) -> None:
    """Two relays and two workers side by side: each order is final, each unit is where it belongs."""
    run = shop.processes.start(
        "simulate", "flask", "orders", "simulate", "--count", "150", "--rate", "150", "--seed", "1", "--json", "--url",
        shop.web.url,
    )  # fmt: skip
    wait_until(lambda: run.exit_code is not None, TAKES, "the simulation's end")
    report = orjson.loads(run.text.strip().splitlines()[-1])
    assert run.exit_code == 0, run.text
    assert report["accepted"] == 150 == report["confirmed"] + report["failed"]
    assert report["failed"] > 0
    assert report["confirmed"] > 100
    assert (report["open"], report["lost"], report["conserved"], report["good"], report["seed"]) == (0, 0, True, True, 1)
    assert 0 < report["p50_ms"] <= report["p95_ms"] <= report["p99_ms"]
    assert "posted" not in run.text, "a progress bar where no terminal is"
