"""Files that were edited after their code was loaded, so that their lines are others."""

from __future__ import annotations

import time
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import CodeType

STARTED = time.time()  # files that are older have been loaded after they were edited


def has_changed(code: CodeType) -> bool:
    """Whether the file of a function no longer has this function at these lines."""
    file = code.co_filename
    try:
        edited = Path(file).stat().st_mtime
    except OSError:
        return False  # it is in an archive, or is not there
    return edited > STARTED and code not in _functions(file, edited)


@cache
def _functions(file: str, edited: float) -> frozenset[CodeType]:
    """All functions in a file as it is now."""
    try:
        with tokenize.open(file) as source:
            module = compile(source.read(), file, "exec", dont_inherit=True)
    except (OSError, SyntaxError, ValueError):
        return frozenset()
    return frozenset(_inside(module))


def _inside(code: CodeType) -> Iterator[CodeType]:
    yield code
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _inside(each)
