"""Soak: real processes under load while a seeded schedule kills them, and an account of every order and webhook at the end.

``python -m tests.soak --seconds 600 --seed 1``; ``python -m tests.soak --help`` names the other scenarios.
"""
