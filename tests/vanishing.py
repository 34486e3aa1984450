"""A dict that loses its items at the worst moment."""

from __future__ import annotations

from typing import Any


class Vanishing(dict[Any, Any]):
    """A dict that is emptied after each access, as another thread might do."""

    def __contains__(self, key: object) -> bool:
        found = super().__contains__(key)
        self.clear()
        return found

    def get(self, key: object, default: object = None) -> Any:
        value = super().get(key, default)
        self.clear()
        return value
