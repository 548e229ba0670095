"""Messages through a real broker to a real worker."""

import pytest
from flask import Flask

from orderapp.queues import REPORTS_SUMMARISE, REPORTS_SUMMARISE_DAY
from tests.reports.examples import Sample, a_shop, insert, noon, recent_days, recomputed, stored
from tests.servers.processes import Processes
from tests.servers.waiting import wait_until

# Seconds, on a machine that does other things too.
REST = 30


@pytest.mark.usefixtures("broker")
def test_a_worker_summarises_what_messages_ask_for(app: Flask, processes: Processes) -> None:
    """One day twice, one that is none, then the tick for the rest."""
    a_shop()
    days = recent_days(3)
    insert([Sample(noon(day)) for day in days])
    worker = processes.worker(queues="maintenance").wait_ready()
    celery = app.extensions["celery"]
    for day in ("2026-02-30", days[1].isoformat(), days[1].isoformat()):
        celery.send_task(REPORTS_SUMMARISE_DAY, [day])
    wait_until(lambda: worker.text.count("day summarised") == 2, REST, "two summaries of one day")
    assert stored() == recomputed("UTC", [days[1]])
    assert "message refused" in worker.text

    celery.send_task(REPORTS_SUMMARISE)
    wait_until(lambda: len(stored()) == 3, REST, "the other days")
    assert stored() == recomputed("UTC", days)
