"""Several MultiDicts seen as one: `request.values`."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, KeysView
from typing import Any, NoReturn, Self, SupportsIndex, TypeVar

from carboy.http.exceptions import BadRequestKeyError
from carboy.http.mixins import ImmutableMultiDictMixin
from carboy.http.multidict import MultiDict

K = TypeVar("K")
V = TypeVar("V")


class CombinedMultiDict(ImmutableMultiDictMixin[K, V], MultiDict[K, V]):
    """A read-only view of several MultiDicts; for single values the first that has one wins.

    It is a dict for isinstance() only: nothing is stored in the dict it inherits from.
    """

    def __init__(self, dicts: Iterable[MultiDict[K, V]] | None = None) -> None:
        super().__init__()
        self.dicts: list[MultiDict[K, V]] = list(dicts or ())

    @classmethod
    def fromkeys(cls, keys: Any, value: Any = None) -> NoReturn:
        raise TypeError(
            f"cannot create {cls.__name__!r} instances by fromkeys: make a MultiDict from"
            " the keys instead."
        )

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        return type(self), (self.dicts,)

    def __getitem__(self, key: K) -> V:
        for each in self.dicts:
            if key in each:
                return each[key]
        raise BadRequestKeyError(key)

    def get(self, key: K, default: Any = None, type: Callable[[V], Any] | None = None) -> Any:
        """The first value that `type` takes, looking through the dicts in order."""
        for each in self.dicts:
            if key not in each:
                continue
            if type is None:
                return each[key]
            try:
                return type(each[key])
            except (ValueError, TypeError):
                continue
        return default

    def getlist(self, key: K, type: Callable[[V], Any] | None = None) -> list[Any]:
        """The values of all dicts, in their order."""
        return [value for each in self.dicts for value in each.getlist(key, type)]

    def keys(self) -> KeysView[K]:  # type: ignore[override]
        """All keys, each once, in the order in which the dicts have them."""
        return dict.fromkeys(key for each in self.dicts for key in each).keys()

    def __iter__(self) -> Iterator[K]:
        return iter(self.keys())

    def items(self, multi: bool = False) -> Iterator[tuple[K, V]]:  # type: ignore[override]
        """Keys with their first value, or with `multi` a pair for every value."""
        found = set()
        for each in self.dicts:
            for key, value in each.items(multi):
                if multi:
                    yield key, value
                elif key not in found:
                    found.add(key)
                    yield key, value

    def values(self) -> Iterator[V]:  # type: ignore[override]
        """The first value of every key."""
        for _, value in self.items():
            yield value

    def lists(self) -> Iterable[tuple[K, list[V]]]:
        """Keys with the values of all dicts."""
        groups: dict[K, list[V]] = {}
        for each in self.dicts:
            for key, values in each.lists():
                groups.setdefault(key, []).extend(values)
        return groups.items()

    def listvalues(self) -> Iterable[list[V]]:
        """The values of all dicts for every key."""
        for _, values in self.lists():
            yield values

    def copy(self) -> MultiDict[K, V]:  # type: ignore[override]
        """A changeable MultiDict with the values of all dicts."""
        return MultiDict(self)

    def deepcopy(self, memo: Any = None) -> Self:
        """A copy that combines copies of the dicts."""
        return type(self)(copy.deepcopy(self.dicts, memo))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, MultiDict):
            return dict(self.lists()) == dict(other.lists())
        return dict(self.lists()) == other if isinstance(other, dict) else NotImplemented

    def __ne__(self, other: object) -> bool:  # dict has one of its own
        equal = self.__eq__(other)
        return equal if equal is NotImplemented else not equal

    __hash__ = ImmutableMultiDictMixin.__hash__  # type: ignore[assignment]

    def __len__(self) -> int:
        return len(self.keys())

    def __contains__(self, key: object) -> bool:
        return any(key in each for each in self.dicts)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.dicts!r})"
