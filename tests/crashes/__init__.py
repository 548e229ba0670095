"""One test per kill point of docs/way-of-data.md: a process ends by SIGKILL there, and nothing is lost or done twice.

Production code has no hooks for this: ``entry.py`` is the same application with one function wrapped. Every test ends in
``World.check()``.
"""
