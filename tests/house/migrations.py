"""A migration runs while the service does, and the version before goes on working on its tables."""

import ast
import re
from collections.abc import Iterator

from .tree import Source, Tree, texts

# Up to this one they were written before there was the rule; a migration is never edited again.
OLDER = "0009"

# Whoever knows better says why in the statement itself.
ALLOWED = "-- allowed:"

_CREATED = re.compile(r"CREATE (?:UNLOGGED )?TABLE (?:IF NOT EXISTS )?(\w+)", re.IGNORECASE)
_ALTERED = re.compile(r"ALTER TABLE (?:IF EXISTS )?(?:ONLY )?(\w+)\s+(.*)", re.IGNORECASE | re.DOTALL)
_INDEXED = re.compile(r"CREATE (?:UNIQUE )?INDEX (CONCURRENTLY )?(?:IF NOT EXISTS )?\w+ ON (?:ONLY )?(\w+)", re.IGNORECASE)
_CHANGED = re.compile(r"(?:UPDATE|DELETE FROM|DROP TABLE(?: IF EXISTS)?) (\w+)", re.IGNORECASE)
_COMMENT = re.compile(r"--.*")
_ACTIONS = re.compile(r",\s*(?=(?:ADD|DROP|ALTER|RENAME|VALIDATE)\b)", re.IGNORECASE)

# What is done to a table that is there already, by its first words; the first that fits counts.
_FORBIDDEN = (
    (
        r"ADD (?:CONSTRAINT|CHECK|FOREIGN|UNIQUE|PRIMARY|EXCLUDE)\b(?!.*(?:NOT VALID|USING INDEX))",
        "reads every row while nobody may write: add it NOT VALID, VALIDATE it in the next migration (UNIQUE: USING INDEX)",
    ),
    (r"ADD (?!.*\bDEFAULT\b).*\bNOT NULL", "the version before inserts rows without it: give it a DEFAULT"),
    (r"ADD .*\bDEFAULT\b[^,]*\w\(", "a default that is worked out row by row writes the whole table anew: a constant one"),
    (
        r"ALTER (?:COLUMN )?\w+ (?:(?:SET DATA )?TYPE\b|SET NOT NULL)",
        "reads or writes the whole table while nobody may use it: a new column",
    ),
    (r"DROP (?:COLUMN|CONSTRAINT)|RENAME", "the version before still uses it: one version later"),
)

_AGAIN = ("autocommit_block", "SET lock_timeout = 0", "DROP INDEX CONCURRENTLY IF EXISTS")


def migration_breaches(tree: Tree) -> list[str]:
    """Return everything in a new migration that stops the service while it runs, or breaks the version before."""
    new = [one for one in tree.sources if one.path.startswith("migrations/versions/") and one.name[: len(OLDER)] > OLDER]
    return [source.breach(line, remedy) for source in new for line, remedy in _breaches(source)]


def _breaches(source: Source) -> Iterator[tuple[int, str]]:
    statements = list(_statements(source))
    created = {name for _, statement in statements for name in _CREATED.findall(statement)}
    locked: set[str] = set()
    for line, statement in statements:
        if found := _ALTERED.match(statement):
            table, actions = found.groups()
            if table not in created:
                locked.add(table)
                yield from ((line, f"{table}: {remedy}") for remedy in _forbidden(actions))
        elif (found := _INDEXED.match(statement)) and found[2] not in created:
            if not found[1]:
                yield line, f"{found[2]}: keeps writers out until it is built: CREATE INDEX CONCURRENTLY (CONTRIBUTING.md)"
            elif missing := [words for words in _AGAIN if words not in source.text]:
                yield line, f"{found[2]}: interrupted, it leaves an index without use; it lacks {', '.join(missing)}"
        elif (found := _CHANGED.match(statement)) and found[1] not in created:
            yield line, f"{found[1]}: locks what it changes until the end: in batches, by a command of its own"
    if len(locked) > 1:
        tables = ", ".join(sorted(locked))
        yield 1, f"locks {tables} together: whoever has one and wants another is a deadlock; a migration for each"


def _forbidden(actions: str) -> Iterator[str]:
    for action in _ACTIONS.split(actions):
        remedies = (remedy for words, remedy in _FORBIDDEN if re.match(words, action.strip(), re.IGNORECASE | re.DOTALL))
        yield from list(remedies)[:1]


def _statements(source: Source) -> Iterator[tuple[int, str]]:
    """Yield the SQL that ``upgrade`` runs, its own and that of the constants it names, without comments."""
    functions = [node for node in source.code.body if isinstance(node, ast.FunctionDef) and node.name == "upgrade"]
    names = {node.id for function in functions for node in ast.walk(function) if isinstance(node, ast.Name)}
    constants = [
        node
        for node in source.code.body
        if isinstance(node, ast.Assign) and any(isinstance(one, ast.Name) and one.id in names for one in node.targets)
    ]
    for part in [*functions, *constants]:
        for line, text in texts(source, part):
            # A semicolon in a comment ends nothing.
            for statement in _COMMENT.sub(lambda comment: comment[0].replace(";", ","), text).split(";"):
                if ALLOWED not in statement:
                    yield line, _COMMENT.sub("", statement).strip()
