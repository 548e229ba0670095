"""The outbox on real PostgreSQL, RabbitMQ and files: what leaves, what stays, and what happens when something is away."""
