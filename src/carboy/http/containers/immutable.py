"""Dicts and lists that cannot be changed, that report changes, or that convert values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from itertools import repeat
from typing import Any, Final, Generic, Literal, NoReturn, Self, SupportsIndex, TypeVar


class Missing(Enum):
    """The type of MISSING, the default of arguments for which None is a value.

    An enum has one object, after unpickling as well, and type checkers can narrow it.
    """

    MISSING = "no value"

    def __repr__(self) -> str:
        return self.value

    def __reduce_ex__(self, protocol: Any) -> str:  # type: ignore[override]
        return "_missing"  # Werkzeug's name as well, so that either package can unpickle it


MISSING: Final[Literal[Missing.MISSING]] = Missing.MISSING
_missing = MISSING


K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")


def refuse(value: object) -> NoReturn:
    raise TypeError(f"{type(value).__name__!r} objects are immutable. Change a copy instead.")


class ImmutableListMixin:
    """Makes a list immutable and hashable."""

    _hash_cache: int | None = None

    def __hash__(self) -> int:
        if self._hash_cache is None:
            self._hash_cache = hash(tuple(self))  # type: ignore[arg-type]
        return self._hash_cache

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        return type(self), (list(self),)  # type: ignore[call-overload]

    def __delitem__(self, key: Any) -> NoReturn:
        refuse(self)

    def __iadd__(self, other: Any) -> NoReturn:
        refuse(self)

    def __imul__(self, other: Any) -> NoReturn:
        refuse(self)

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        refuse(self)

    def append(self, item: Any) -> NoReturn:
        refuse(self)

    def clear(self) -> NoReturn:
        refuse(self)

    def remove(self, item: Any) -> NoReturn:
        refuse(self)

    def extend(self, iterable: Any) -> NoReturn:
        refuse(self)

    def insert(self, pos: Any, value: Any) -> NoReturn:
        refuse(self)

    def pop(self, index: Any = -1) -> NoReturn:
        refuse(self)

    def reverse(self) -> NoReturn:
        refuse(self)

    def sort(self, key: Any = None, reverse: Any = False) -> NoReturn:
        refuse(self)


class ImmutableDictMixin(Generic[K, V]):
    """Makes a dict immutable and hashable."""

    _hash_cache: int | None = None

    @classmethod
    def fromkeys(cls, keys: Iterable[K], value: V | None = None) -> Self:
        return cls(zip(keys, repeat(value)))  # type: ignore[call-arg]

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        return type(self), (dict(self),)  # type: ignore[call-overload]

    def _iter_hashitems(self) -> Iterable[Any]:
        return self.items()  # type: ignore[attr-defined, no-any-return]

    def __hash__(self) -> int:
        if self._hash_cache is None:
            self._hash_cache = hash(frozenset(self._iter_hashitems()))
        return self._hash_cache

    def setdefault(self, key: Any, default: Any = None) -> NoReturn:
        refuse(self)

    def update(self, arg: Any = None, /, **kwargs: Any) -> NoReturn:
        refuse(self)

    def __ior__(self, other: Any) -> NoReturn:
        refuse(self)

    def pop(self, key: Any, default: Any = None) -> NoReturn:
        refuse(self)

    def popitem(self) -> NoReturn:
        refuse(self)

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        refuse(self)

    def __delitem__(self, key: Any) -> NoReturn:
        refuse(self)

    def clear(self) -> NoReturn:
        refuse(self)


class ImmutableMultiDictMixin(ImmutableDictMixin[K, V]):
    """Makes a MultiDict immutable and hashable."""

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        return type(self), (list(self.items(multi=True)),)  # type: ignore[attr-defined]

    def _iter_hashitems(self) -> Iterable[Any]:
        return self.items(multi=True)  # type: ignore[attr-defined, no-any-return]

    def add(self, key: Any, value: Any) -> NoReturn:
        refuse(self)

    def popitemlist(self) -> NoReturn:
        refuse(self)

    def poplist(self, key: Any) -> NoReturn:
        refuse(self)

    def setlist(self, key: Any, new_list: Any) -> NoReturn:
        refuse(self)

    def setlistdefault(self, key: Any, default_list: Any = None) -> NoReturn:
        refuse(self)


class ImmutableHeadersMixin:
    """Makes Headers immutable. They cannot be hashed."""

    def __delitem__(self, key: Any, **kwargs: Any) -> NoReturn:
        refuse(self)

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        refuse(self)

    def __ior__(self, other: Any) -> NoReturn:
        refuse(self)

    def set(self, key: Any, value: Any, /, **kwargs: Any) -> NoReturn:
        refuse(self)

    def setlist(self, key: Any, values: Any) -> NoReturn:
        refuse(self)

    def add(self, key: Any, value: Any, /, **kwargs: Any) -> NoReturn:
        refuse(self)

    def add_header(self, key: Any, value: Any, /, **kwargs: Any) -> NoReturn:
        refuse(self)

    def remove(self, key: Any) -> NoReturn:
        refuse(self)

    def extend(self, arg: Any = None, /, **kwargs: Any) -> NoReturn:
        refuse(self)

    def update(self, arg: Any = None, /, **kwargs: Any) -> NoReturn:
        refuse(self)

    def insert(self, pos: Any, value: Any) -> NoReturn:
        refuse(self)

    def pop(self, key: Any = None, default: Any = MISSING) -> NoReturn:
        refuse(self)

    def popitem(self) -> NoReturn:
        refuse(self)

    def clear(self) -> NoReturn:
        refuse(self)

    def setdefault(self, key: Any, default: Any) -> NoReturn:
        refuse(self)

    def setlistdefault(self, key: Any, default: Any) -> NoReturn:
        refuse(self)


class UpdateDictMixin(dict[K, V]):
    """A dict that calls `on_update(self)` after each change."""

    on_update: Callable[[Any], object] | None = None

    def _changed(self) -> None:
        if self.on_update is not None:
            self.on_update(self)

    def setdefault(self, key: K, default: V | None = None) -> V:
        new = key not in self
        value = super().setdefault(key, default)  # type: ignore[arg-type]
        if new:
            self._changed()
        return value

    def pop(self, key: K, default: V | T | Missing = MISSING) -> V | T:
        present = key in self
        value = super().pop(key) if default is MISSING else super().pop(key, default)
        if present:
            self._changed()
        return value

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        self._changed()

    def __delitem__(self, key: K) -> None:
        super().__delitem__(key)
        self._changed()

    def clear(self) -> None:
        super().clear()
        self._changed()

    def popitem(self) -> tuple[K, V]:
        item = super().popitem()
        self._changed()
        return item

    def update(self, arg: Any = None, /, **kwargs: V) -> None:
        super().update(() if arg is None else arg, **kwargs)
        self._changed()

    def __ior__(self, other: Any) -> Self:  # type: ignore[override, misc]
        self.update(other)
        return self


class ImmutableList(ImmutableListMixin, list[V]):  # type: ignore[misc]
    """A list that cannot be changed and can be hashed."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list.__repr__(self)})"


class TypeConversionDict(dict[K, V]):
    """A dict whose `get` can convert the value."""

    def get(self, key: K, default: Any = None, type: Callable[[V], Any] | None = None) -> Any:
        """The value, converted by `type` if given; `default` if the key is missing.

        `default` is also returned if `type` raises ValueError or TypeError.
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
        """A mutable copy. `copy.copy` returns the same object."""
        return TypeConversionDict(self)

    def __copy__(self) -> Self:
        return self


class ImmutableDict(ImmutableDictMixin[K, V], dict[K, V]):  # type: ignore[misc]
    """A dict that cannot be changed. It can be hashed if its values can be hashed."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({dict.__repr__(self)})"

    def copy(self) -> dict[K, V]:
        """A mutable copy. `copy.copy` returns the same object."""
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
