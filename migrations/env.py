"""Runs migrations on the application's own engine, one transaction each."""

import time

from alembic import context
from alembic.util import CommandError
from flask import current_app
from sqlalchemy import text

from orderapp.database import is_pooled

database = current_app.extensions["migrate"].db

# Seconds between two questions whether another migration is done.
POLL = 0.2


def run_migrations() -> None:
    """Run what is asked for, alone: two migrations started at once run one after the other."""
    with database.engine.connect() as connection:
        # In PgBouncer's transaction mode each statement below may reach another session: no limit would hold, and the lock
        # would stay behind in somebody else's.
        if is_pooled(connection):
            raise CommandError("DATABASE_URL leads to a pooler such as PgBouncer; migrate with PostgreSQL's own address")
        # The role's limits are for requests and tasks; a migration may take its time. But while it waits for a table behind
        # a long transaction, every request waits behind it, and gives up after 5 s: the migration gives up before that.
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("SET lock_timeout = '3s'"))
        connection.execute(text("SET idle_in_transaction_session_timeout = 0"))
        connection.commit()
        # Asked again and again: who waits inside a statement holds a snapshot, and an index that the other one builds
        # CONCURRENTLY waits until nobody does.
        while not connection.scalar(text("SELECT pg_try_advisory_lock(hashtext('orderapp migrations'))")):
            connection.rollback()
            time.sleep(POLL)
        connection.commit()
        context.configure(connection=connection, target_metadata=database.metadata, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()
        connection.invalidate()  # the session settings and the advisory lock go with the connection


run_migrations()
