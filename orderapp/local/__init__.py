"""The embedded stack behind `make run`: everything the service needs, on a machine that has only Python.

`python -m orderapp.local` starts PostgreSQL from a wheel and the file broker (or joins the ones that DATABASE_URL and
CELERY_BROKER_URL name), migrates, seeds, and keeps the processes of the service under one supervisor until Ctrl-C. All
data lies below ``var/``. The drill, above it, starts the same processes; tests use its PostgreSQL.
"""
