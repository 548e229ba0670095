"""Messages like those of our relay, changed by chance: ``python -m tests.hostile --messages 20000 --seed 1``.

A seed decides them all. None may end a process or change a table; each is a dead letter with a line in the log, or handled.
"""
