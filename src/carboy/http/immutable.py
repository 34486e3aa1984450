"""Plain containers with one habit more: immutable, converting, or telling about changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self, TypeVar

from carboy.http.mixins import ImmutableDictMixin, ImmutableListMixin, UpdateDictMixin

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")


class ImmutableList(ImmutableListMixin, list[V]):  # type: ignore[misc]
    """A list that cannot be changed and can be hashed."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list.__repr__(self)})"


class TypeConversionDict(dict[K, V]):
    """A dict whose `get` converts the value on the way out."""

    def get(self, key: K, default: Any = None, type: Callable[[V], Any] | None = None) -> Any:
        """The value, through `type` if that is given; `default` when there is none.

        A ValueError or TypeError of `type` counts as "there is none".
        """
        try:
            value = self[key]
        except KeyError:
            return default
        if type is None:
            return value
        try:
            return type(value)
        except (ValueError, TypeError):
            return default


class ImmutableTypeConversionDict(ImmutableDictMixin[K, V], TypeConversionDict[K, V]):  # type: ignore[misc]
    """A TypeConversionDict that cannot be changed."""

    def copy(self) -> TypeConversionDict[K, V]:
        """A changeable copy. `copy.copy` gives the same object."""
        return TypeConversionDict(self)

    def __copy__(self) -> Self:
        return self


class ImmutableDict(ImmutableDictMixin[K, V], dict[K, V]):  # type: ignore[misc]
    """A dict that cannot be changed and, if its values can, can be hashed."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({dict.__repr__(self)})"

    def copy(self) -> dict[K, V]:
        """A changeable copy. `copy.copy` gives the same object."""
        return dict(self)

    def __copy__(self) -> Self:
        return self


class CallbackDict(UpdateDictMixin[K, V]):
    """A dict that calls `on_update(self)` after each change."""

    def __init__(
        self,
        initial: Mapping[K, V] | Iterable[tuple[K, V]] | None = None,
        on_update: Callable[[Self], None] | None = None,
    ) -> None:
        if initial is None:
            super().__init__()
        else:
            super().__init__(initial)
        self.on_update = on_update

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {dict.__repr__(self)}>"
