"""A process that summarises and is killed in the middle: ``python -m tests.reports.dying FRAGMENT COUNT``.

It dies by SIGKILL when it is about to say the COUNTth statement that contains FRAGMENT, or is about to commit it.
"""

import os
import signal
import sys
from datetime import UTC
from typing import Any

from sqlalchemy import event

import config
import orderapp
from orderapp.database import db
from orderapp.reports.summarising import summarise_due_days


def main(fragment: str, count: int) -> None:
    """Run one tick and do not come back from it."""
    left = [count]

    def die_before(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        left[0] -= fragment in statement
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    with orderapp.create_app(config.load()).app_context():
        event.listen(db.engine, "after_cursor_execute", die_before)
        summarise_due_days(UTC, "USD")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
