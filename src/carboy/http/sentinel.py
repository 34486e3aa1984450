"""The default that means "no default was given", where None is a value."""

from __future__ import annotations

from enum import Enum
from typing import Final, Literal


class Missing(Enum):
    """An enum, so that it is one object also after pickling and type checkers can tell it."""

    MISSING = "no value"

    def __repr__(self) -> str:
        return self.value


MISSING: Final[Literal[Missing.MISSING]] = Missing.MISSING
