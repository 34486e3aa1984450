"""The default that means "no default was given", where None is a value."""

from __future__ import annotations

from enum import Enum
from typing import Any, Final, Literal


class Missing(Enum):
    """An enum, so that it is one object also after pickling and type checkers can tell it."""

    MISSING = "no value"

    def __repr__(self) -> str:
        return self.value

    def __reduce_ex__(self, protocol: Any) -> str:  # type: ignore[override]
        return "_missing"  # its name in Werkzeug too, so that either reads the pickle


MISSING: Final[Literal[Missing.MISSING]] = Missing.MISSING
_missing = MISSING
