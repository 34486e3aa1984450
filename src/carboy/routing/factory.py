"""The base of everything that a Map takes: something that makes rules."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from carboy.routing.map import Map
    from carboy.routing.rule import Rule


class RuleFactory:
    """Something that makes rules for a map."""

    def get_rules(self, map: Map) -> Iterable[Rule]:
        """The rules, not yet bound; subclasses say which."""
        raise NotImplementedError(f"{type(self).__name__} has to define get_rules.")
