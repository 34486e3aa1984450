"""Attributes of other packages that are replaced while requests are recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_MISSING = object()


class Patches:
    """Replaces attributes, and restores them."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], object]] = []

    def replace(self, owner: Any, name: str, new: Any) -> None:
        """Set an attribute of a module or class."""
        before = vars(owner).get(name, _MISSING)
        setattr(owner, name, new)
        self._undo.append(lambda: _restore(owner, name, new, before))

    def wrap(self, owner: Any, name: str, wrapper: Callable[[Any], Any]) -> None:
        """Replace a function by `wrapper(function)`, if there is one of this name."""
        if (found := getattr(owner, name, None)) is not None:
            self.replace(owner, name, wrapper(found))

    def on_undo(self, work: Callable[[], object]) -> None:
        """Call a function when the attributes are restored."""
        self._undo.append(work)

    def undo(self) -> None:
        """Restore the attributes, except those that have been replaced again since."""
        while self._undo:
            self._undo.pop()()


def _restore(owner: Any, name: str, ours: Any, before: Any) -> None:
    if vars(owner).get(name) is not ours:
        return
    if before is _MISSING:
        delattr(owner, name)
    else:
        setattr(owner, name, before)
