"""Measures the service beside its peers and its limits, interleaved, in one run: ``python -m bench``.

``cases`` say what is compared, ``targets`` what is asked for, ``stage`` starts servers and ends them, ``peers`` are services
by others' documentation, ``limits`` what PostgreSQL and RabbitMQ can do by hand-written statements.
"""
