"""One test per kill point of docs/way-of-data.md: a process ends by SIGKILL there, and nothing is lost or done twice.

Where, is said by the product's own failpoints (``orderapp/failpoints.py``). Every test ends in ``World.check()``;
``test_matrix.py`` does the same with errors and lost connections, and ends in ``flask audit``.
"""
