"""The way of an order from POST to received webhook: real PostgreSQL, real RabbitMQ, the product's own processes.

Every test ends in ``World.check()``: nothing open, nothing lost, nothing twice.
"""
