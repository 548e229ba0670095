"""Tests of the reports, against a recomputation that knows nothing of how they are made."""
