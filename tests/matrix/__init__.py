"""The tests on other versions of RabbitMQ and PostgreSQL, and through PgBouncer: ``python -m tests.matrix``."""
