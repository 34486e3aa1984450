"""The part of an SQL statement that is the same whatever its values are."""

from __future__ import annotations

import re

# Texts and numbers, but not digits in a name or a placeholder such as $1.
VALUE = re.compile(r"'(?:[^']|'')*'|(?<![\w$:.\"`])\d+(?:\.\d+)?\b")
PLACE = r"(?:\?|%s|%\(\w+\)s|:\w+|\$\d+)"
LIST = re.compile(rf"\(\s*{PLACE}(?:\s*,\s*{PLACE})+\s*\)")
# Others, such as PRAGMA, BEGIN and SAVEPOINT, are not queries.
QUERY = re.compile(r"\s*\(*\s*(?:SELECT|INSERT|UPDATE|DELETE|REPLACE|MERGE|WITH|CALL|EXEC)\b", re.I)


def fingerprint(statement: str) -> str | None:
    """The statement with `?` in place of values, and one for a list; None if it is not a query."""
    if not QUERY.match(statement):
        return None
    return LIST.sub("(?)", VALUE.sub("?", statement))
