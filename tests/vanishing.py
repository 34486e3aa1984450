"""A shared table at its worst."""

from __future__ import annotations

from typing import Any


class Vanishing(dict[Any, Any]):
    """A table that another thread empties right behind every look."""

    def __contains__(self, key: object) -> bool:
        found = super().__contains__(key)
        self.clear()
        return found

    def get(self, key: object, default: object = None) -> Any:
        value = super().get(key, default)
        self.clear()
        return value
