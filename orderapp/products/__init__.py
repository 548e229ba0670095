"""Products: what is sold, and the ledger that moves its stock.

Acts: editing (create, change, archive, restock), seeding (the examples).
"""
