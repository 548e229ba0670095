"""The servers and processes that tests run on: real PostgreSQL, real RabbitMQ, the product's own processes, a webhook receiver.

Everything started here has a folder, a port and a name of its own and is gone when the tests end.
"""
