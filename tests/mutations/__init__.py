"""Guards removed one by one from a copy of the tree: the proof must notice each. ``python -m tests.mutations``, by hand."""
