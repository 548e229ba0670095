# make run, make test: see README.md. Everything lands in .venv/ and var/; as root nothing else changes.

PYTHON ?= python3
STAMP := .venv/.installed

.PHONY: help run test proof soak matrix bench bench-large lint types audit-packages clean

help:
	@echo "make run    start everything here, until Ctrl-C (data: var/)"
	@echo "make test   run the tests, up to 8 minutes"
	@echo "make proof  run what takes longer: kills, soak, load, up to 25 minutes"
	@echo "make soak SECONDS=600 SEED=1   processes under load, killed on a schedule that the seed decides"
	@echo "make matrix ONLY=oldest   on RabbitMQ 3.10 and 4.0, PostgreSQL 15, through PgBouncer, on a cluster: 45 minutes (as root on Debian)"
	@echo "make bench  measure it beside its peers and limits, up to 20 minutes; make bench-large: millions of orders"
	@echo "make audit-packages   ask PyPI for known faults of every pinned package"
	@echo "make lint   ruff;  make types   mypy;  make clean   remove .venv and caches, not var/"

run: $(STAMP)
	@.venv/bin/python -m orderapp.local

# Three processes on two cores: half of the tests wait for a process, a lease or a deadline.
test: $(STAMP)
	@.venv/bin/pytest -n 3 --durations=10

SECONDS ?= 600
SEED ?= 1

soak: $(STAMP)
	@.venv/bin/python -m tests.soak kills --seconds $(SECONDS) --seed $(SEED)

# One line per test: a silent quarter of an hour looks like a hang.
proof: $(STAMP)
	@.venv/bin/pytest -n 2 -m proof -vv --durations=10

# Servers of other versions: 700 MB in .venv/matrix. ONLY: oldest, newest, pooled or cluster.
matrix: $(STAMP)
	@.venv/bin/python -m tests.matrix $(if $(ONLY),--only $(ONLY))

# On a machine that does nothing else. One case alone: .venv/bin/python -m bench post
bench: $(STAMP) bench/.venv/.installed
	@.venv/bin/python -m bench

bench-large: $(STAMP) bench/.venv/.installed
	@.venv/bin/python -m bench --large

bench/.venv/.installed: bench/requirements.txt | $(STAMP)
	@.venv/bin/python -c 'import sys, venv; venv.create("bench/.venv", with_pip=True, clear=True)'
	@echo "Installing the peers into bench/.venv ..."
	@bench/.venv/bin/python -m pip install -qq --disable-pip-version-check --no-input --require-hashes -r bench/requirements.txt
	@touch $@

lint: $(STAMP)
	@.venv/bin/ruff check && .venv/bin/ruff format --check

types: $(STAMP)
	@.venv/bin/mypy

# --strict: a package of which nothing could be learned is a failure, too; without it, a silent PyPI looks like a clean list.
audit-packages: .venv/audit/.installed
	@failed=; for list in requirements*.txt bench/requirements.txt; do \
		echo "$$list:"; .venv/audit/bin/pip-audit --strict --disable-pip --progress-spinner off -r $$list || failed=1; \
	done; [ -z "$$failed" ]

.venv/audit/.installed: requirements-audit.txt | $(STAMP)
	@.venv/bin/python -c 'import sys, venv; venv.create(".venv/audit", with_pip=True, clear=True)'
	@.venv/audit/bin/python -m pip install -qq --disable-pip-version-check --no-input --require-hashes -r requirements-audit.txt
	@touch $@

clean:
	rm -rf .venv bench/.venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The newest of $(PYTHON) and python3.11 up that is there. Debian's own lacks ensurepip without python3-venv.
$(STAMP): requirements-dev.txt
	@set -e; new='import sys; sys.exit(sys.version_info < (3, 11))'; python=; \
	for each in "$(PYTHON)" python3.14 python3.13 python3.12 python3.11; do \
		if "$$each" -c "$$new" 2>/dev/null; then python=$$each; break; fi; \
	done; \
	if [ -z "$$python" ]; then echo "Python 3.11 or newer is needed; name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3"; exit 1; fi; \
	if ! .venv/bin/python -c "import pip" 2>/dev/null; then \
		if ! "$$python" -c "import ensurepip, venv" 2>/dev/null; then \
			package=$$("$$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'); \
			if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
				echo "Python's venv module is missing. Install it, then try again: sudo apt-get install $$package"; exit 1; \
			fi; \
			echo "Installing $$package, which Debian keeps apart from Python ..."; \
			apt-get install -y -qq "$$package" >/dev/null 2>&1 || { apt-get update -qq && apt-get install -y -qq "$$package" >/dev/null; }; \
		fi; \
		"$$python" -m venv --clear .venv; \
	fi; \
	echo "Installing the pinned packages into .venv: about a minute, only this once ..."; \
	.venv/bin/python -m pip install -qq --disable-pip-version-check --no-input --require-hashes -r requirements-dev.txt
	@touch $@
