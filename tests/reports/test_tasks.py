"""The tasks' doors: what they refuse, and that they reach their acts."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from celery.exceptions import Reject
from flask import Flask

from orderapp.queues import REPORTS_SUMMARISE, REPORTS_SUMMARISE_DAY
from tests.reports.examples import Sample, a_shop, insert, noon, recent_days, recomputed, stored

AUCKLAND = "Pacific/Auckland"


def run(app: Flask, name: str, *args: Any) -> None:
    """Run a task's body as the worker does, in this process."""
    app.extensions["celery"].tasks[name](*args)


def test_one_day_by_message_twice_late_and_out_of_order(app: Flask) -> None:
    """Each message does the same; the last one leaves what the first did."""
    a_shop()
    days = recent_days(3)
    insert([Sample(noon(day)) for day in days])
    for day in [*reversed(days), *days, days[0]]:
        run(app, REPORTS_SUMMARISE_DAY, day.isoformat())
    assert stored() == recomputed("UTC", days)


@pytest.mark.parametrize("day", [None, "", "yesterday", 20260101, "2026-02-30", "1999-12-31", "20260101", ["2026-01-01"], True])
def test_what_is_no_day_is_dead_lettered(app: Flask, day: Any) -> None:
    """No retry can make it one."""
    with pytest.raises(Reject) as refused:
        run(app, REPORTS_SUMMARISE_DAY, day)
    assert refused.value.requeue is False
    assert stored() == {}


def test_tomorrow_is_no_day_yet(app: Flask) -> None:
    """It would be summarised as a day without orders."""
    with pytest.raises(Reject):
        run(app, REPORTS_SUMMARISE_DAY, (datetime.now(ZoneInfo("UTC")).date() + timedelta(days=1)).isoformat())


@pytest.mark.settings(REPORT_TIMEZONE=AUCKLAND, CURRENCY="NZD")
def test_days_are_cut_and_named_by_the_settings(app: Flask) -> None:
    """Auckland's yesterday, and its currency for a day without orders."""
    a_shop()
    days = recent_days(3, AUCKLAND)
    morning = datetime(days[0].year, days[0].month, days[0].day, 0, 30, tzinfo=ZoneInfo(AUCKLAND))
    insert([Sample(morning)])
    run(app, REPORTS_SUMMARISE)
    assert stored() == recomputed(AUCKLAND, days, default="NZD")


def test_the_tick_takes_no_arguments(app: Flask) -> None:
    """It finds by itself what there is to do."""
    with pytest.raises(Reject):
        run(app, REPORTS_SUMMARISE, "2026-01-01")
