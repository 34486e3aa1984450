"""The map and its rules as lower modules of this room use them (typing.Protocol only)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class MapSettings(Protocol):
    """A map, as its converters and rules see it."""

    converters: dict[str, Any]
    default_subdomain: str
    host_matching: bool
    merge_slashes: bool
    redirect_defaults: bool
    sort_key: Callable[[tuple[Any, Any]], Any] | None
    sort_parameters: bool
    strict_slashes: bool


class RuleToBuild(Protocol):
    """A rule, as its template sees it."""

    arguments: set[str]
    map: MapSettings
