"""gunicorn.conf.py with short deadlines: ``gunicorn -c tests/security/impatient.py``."""

from pathlib import Path

exec(Path("gunicorn.conf.py").read_text(encoding="utf-8"))

from orderapp import reception  # noqa: E402

reception.PATIENCE = 1
reception.LONGEST = 2
