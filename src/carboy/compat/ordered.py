"""Werkzeug's deprecated MultiDicts that keep the order of the pairs of all keys.

Reading one of the names warns, as does making an object: Werkzeug 3.2 removes them.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn, Self, TypeVar
from warnings import warn

from carboy.http.containers.immutable import MISSING, ImmutableMultiDictMixin
from carboy.http.containers.multidict import MultiDict, iter_multi_items

K = TypeVar("K")
V = TypeVar("V")


def _deprecated(name: str, stacklevel: int) -> None:
    instead = name.replace("Ordered", "")
    message = (
        f"'{name}' is deprecated and will be removed in Werkzeug 3.2: '{instead}' keeps the order"
        " of each key."
    )
    warn(message, DeprecationWarning, stacklevel=stacklevel + 1)


class _OrderedMultiDict(MultiDict[K, V]):
    """A MultiDict of pairs in the order in which they were added. Removing takes linear time."""

    def __init__(self, mapping: Any = None) -> None:
        _deprecated("OrderedMultiDict", 2)
        self._fill(() if mapping is None else iter_multi_items(mapping))

    def _fill(self, pairs: Iterable[tuple[K, V]]) -> None:
        self._pairs: list[tuple[K, V]] = []
        for key, value in list(pairs):
            _OrderedMultiDict.add(self, key, value)

    @classmethod
    def _quietly(cls, pairs: Iterable[tuple[Any, Any]]) -> Any:
        """A new object without a second warning."""
        made = cls.__new__(cls)
        made._fill(pairs)
        return made

    def _without(self, key: Any) -> None:
        self._pairs = [pair for pair in self._pairs if pair[0] != key]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, _OrderedMultiDict):
            return self._pairs == other._pairs
        if isinstance(other, MultiDict):
            return dict(self.lists()) == dict(other.lists())
        return False if isinstance(other, dict) else NotImplemented

    def __ne__(self, other: object) -> bool:
        # The method of dict ignores the order.
        equal = self.__eq__(other)
        return equal if equal is NotImplemented else not equal

    __hash__ = None  # type: ignore[assignment]

    def __reduce_ex__(self, protocol: Any) -> Any:
        return type(self), (list(self._pairs),)

    def __getstate__(self) -> Any:
        return list(self._pairs)

    def __setstate__(self, value: Any) -> None:
        dict.clear(self)
        self._fill(value)

    def __setitem__(self, key: K, value: V) -> None:
        self.setlist(key, [value])

    def __delitem__(self, key: K) -> None:
        self.pop(key)

    def items(self, multi: bool = False) -> Iterator[tuple[K, V]]:  # type: ignore[override]
        """Each key with its first value; with `multi`, the pairs in order."""
        return iter(self._pairs) if multi else super().items()

    def add(self, key: K, value: V) -> None:
        """Add a pair at the end."""
        MultiDict.add(self, key, value)
        self._pairs.append((key, value))

    def setlist(self, key: K, new_list: Iterable[V]) -> None:
        """Remove all pairs of the key and add new pairs at the end."""
        self.poplist(key)
        for value in new_list:
            self.add(key, value)

    def setdefault(self, key: K, default: V | None = None) -> V | None:  # type: ignore[override]
        """The first value. A missing key is added with `default`."""
        if key not in self:
            self[key] = default  # type: ignore[assignment]
        return self[key]

    def setlistdefault(self, key: Any, default_list: Any = None) -> NoReturn:
        """TypeError: the list of one key would not keep the order."""
        raise TypeError(
            "setlistdefault() is unsupported for ordered multi dicts, which keep no list for a key."
            " Use setlist or add."
        )

    def pop(self, key: K, default: Any = MISSING) -> Any:
        """Remove the key and return its first value."""
        value = super().pop(key, default)
        self._without(key)
        return value

    def poplist(self, key: K) -> list[V]:
        """Remove the key and return its values; an empty list if the key is missing."""
        values = super().poplist(key)
        self._without(key)
        return values

    def popitemlist(self) -> tuple[K, list[V]]:
        """Remove the last key and return it with the list of its values."""
        key, values = super().popitemlist()
        self._without(key)
        return key, values

    def clear(self) -> None:
        """Remove all pairs."""
        dict.clear(self)
        self._pairs.clear()

    def copy(self) -> Self:
        """A copy with its own order."""
        return self._quietly(self._pairs)  # type: ignore[no-any-return]

    def deepcopy(self, memo: Any = None) -> Self:
        """A copy with copied values."""
        return self._quietly(copy.deepcopy(self._pairs, memo))  # type: ignore[no-any-return]


class _ImmutableOrderedMultiDict(ImmutableMultiDictMixin[K, V], _OrderedMultiDict[K, V]):  # type: ignore[misc]
    """An OrderedMultiDict that cannot be changed and can be hashed."""

    def __init__(self, mapping: Any = None) -> None:
        # Filters of warnings know this name: Werkzeug's constructors only warn about the base.
        _deprecated("OrderedMultiDict", 2)
        self._fill(() if mapping is None else iter_multi_items(mapping))

    __hash__ = ImmutableMultiDictMixin.__hash__  # type: ignore[assignment]

    def _iter_hashitems(self) -> Iterable[Any]:
        return enumerate(self._pairs)

    def copy(self) -> Any:
        """A mutable copy. `copy.copy` returns the same object."""
        return _OrderedMultiDict._quietly(self._pairs)

    def __copy__(self) -> Self:
        return self


def __getattr__(name: str) -> Any:
    if name in ("OrderedMultiDict", "ImmutableOrderedMultiDict"):
        # The caller reads the name through a module with another name.
        _deprecated(name, 3)
        return globals()[f"_{name}"]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
