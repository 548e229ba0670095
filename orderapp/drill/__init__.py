"""``flask drill``: the service rehearses crashes on the user's own servers.

In a database and a virtual host of its own, made for the drill and removed after it, all processes run under load and are
killed one after the other; then every order must be settled and the audit clean. Nothing that exists is touched: neither
the tables and queues of the service that runs there, nor its receivers, which hear nothing.
"""
