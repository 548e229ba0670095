"""Runs migrations on the application's own engine, one transaction each."""

from alembic import context
from flask import current_app
from sqlalchemy import text

database = current_app.extensions["migrate"].db


def run_migrations() -> None:
    """Run what is asked for, alone: two migrations started at once run one after the other."""
    with database.engine.connect() as connection:
        # The role's limits are for requests and tasks; a migration may take its time, but must not queue for ever
        # behind a long transaction while every request queues behind it.
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("SET lock_timeout = '10s'"))
        connection.execute(text("SET idle_in_transaction_session_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_lock(hashtext('orderapp migrations'))"))
        connection.commit()
        context.configure(connection=connection, target_metadata=database.metadata, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()
        connection.invalidate()  # the session settings and the advisory lock go with the connection


run_migrations()
