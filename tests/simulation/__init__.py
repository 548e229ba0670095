"""The whole service as steps of one thread: an injected clock, a broker and a receiver that misbehave, a real PostgreSQL.

``python -m tests.simulation seeds`` draws the steps and their faults by seed; ``python -m tests.simulation steps`` fails each
boundary of one fixed story in turn. After each run everything must come to rest, and then all is checked.
"""
