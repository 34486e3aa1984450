"""Dicts with several values for a key: query arguments, form fields, cookies."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, KeysView, Mapping
from types import ModuleType
from typing import Any, NoReturn, Self, SupportsIndex, TypeVar

from carboy.http.containers.immutable import (
    MISSING,
    ImmutableMultiDictMixin,
    Missing,
    TypeConversionDict,
)
from carboy.http.exceptions import BadRequestKeyError
from carboy.speedups import speedups

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")

# A MultiDict is declared as dict[K, V] (its first values), but the dict it inherits from holds
# lists. These functions access the lists, and they are faster than super().
_raw_get: Any = dict.get
_raw_set: Any = dict.__setitem__
_raw_items: Any = dict.items
_raw_values: Any = dict.values
_raw_pop: Any = dict.pop
_raw_popitem: Any = dict.popitem
_raw_setdefault: Any = dict.setdefault
_raw_update: Any = dict.update
_new_dict: Any = dict.__new__

# The compiled twin of `immutable_of`, which also takes the class.
_compiled_dict: Any = None


# Types that mean several values in a mapping. `list | tuple` would be built at each call.
_MANY = (list, tuple, set)


def iter_multi_items(
    mapping: MultiDict[K, V]
    | Mapping[K, V | list[V] | tuple[V, ...] | set[V]]
    | Iterable[tuple[K, V]],
) -> Iterator[tuple[K, V]]:
    """Each pair of key and value. Lists, tuples and sets in a mapping give a pair for each item."""
    if isinstance(mapping, MultiDict):
        yield from mapping.items(multi=True)
    elif isinstance(mapping, Mapping):
        for key, value in mapping.items():
            if isinstance(value, _MANY):
                for each in value:
                    yield key, each
            else:
                yield key, value
    else:
        yield from mapping


def _grouped(pairs: Iterable[tuple[Any, Any]]) -> dict[Any, list[Any]]:
    groups: dict[Any, list[Any]] = {}
    for key, value in pairs:
        if key in groups:
            groups[key].append(value)
        else:
            groups[key] = [value]
    return groups


def _listed(mapping: Mapping[Any, Any]) -> dict[Any, list[Any]]:
    """A mapping's values as lists, without the keys whose list is empty."""
    groups: dict[Any, list[Any]] = {}
    for key, value in mapping.items():
        if type(value) is str or not isinstance(value, _MANY):
            groups[key] = [value]
        elif value:
            groups[key] = list(value)
    return groups


class MultiDict(TypeConversionDict[K, V]):
    """A dict with several values for a key; the methods of dict use the first value.

    A missing key raises BadRequestKeyError, which is a KeyError and a 400 response.
    """

    def __init__(
        self,
        mapping: MultiDict[K, V]
        | Mapping[K, V | list[V] | tuple[V, ...] | set[V]]
        | Iterable[tuple[K, V]]
        | None = None,
    ) -> None:
        if mapping is None:
            return
        # The usual types come first, because the check against Mapping is slow.
        if type(mapping) is list:
            _raw_update(self, _grouped(mapping))
        elif isinstance(mapping, MultiDict):
            _raw_update(self, dict(mapping.lists()))
        elif isinstance(mapping, dict) or isinstance(mapping, Mapping):  # noqa: SIM101
            _raw_update(self, _listed(mapping))
        else:
            _raw_update(self, _grouped(mapping))

    def __getstate__(self) -> Any:
        return dict(self.lists())

    def __setstate__(self, value: Any) -> None:
        super().clear()
        _raw_update(self, value)

    def __iter__(self) -> Iterator[K]:
        # With a method of its own, dict(multi) uses keys() and [] instead of copying the lists.
        return super().__iter__()

    def __getitem__(self, key: K) -> V:
        values = _raw_get(self, key)
        if values:
            return values[0]  # type: ignore[no-any-return]
        raise BadRequestKeyError(key)

    def __setitem__(self, key: K, value: V) -> None:
        _raw_set(self, key, [value])

    def get(self, key: K, default: Any = None, type: Callable[[V], Any] | None = None) -> Any:
        """The first value, converted by `type` if given; `default` if the key is missing.

        `default` is also returned if `type` raises ValueError or TypeError.
        """
        values = _raw_get(self, key)
        if not values:
            return default
        if type is None:
            return values[0]
        try:
            return type(values[0])
        except (ValueError, TypeError):
            return default

    def add(self, key: K, value: V) -> None:
        """Add a value for the key."""
        _raw_setdefault(self, key, []).append(value)

    def getlist(self, key: K, type: Callable[[V], Any] | None = None) -> list[Any]:
        """All values of the key, converted by `type` if given; values it refuses are left out."""
        values = _raw_get(self, key)
        if not values:
            return []
        return list(values) if type is None else converted(values, type)

    def setlist(self, key: K, new_list: Iterable[V]) -> None:
        """Replace all values of the key."""
        _raw_set(self, key, list(new_list))

    def setdefault(self, key: K, default: V | None = None) -> V | None:  # type: ignore[override]
        """The first value. A missing key is added with `default`."""
        if key in self:
            return self[key]
        _raw_set(self, key, [default])
        return default

    def setlistdefault(self, key: K, default_list: Iterable[V] | None = None) -> list[V]:
        """The list of the key. Changing the list changes the dict."""
        values = _raw_get(self, key)
        if values is None:
            values = list(default_list or ())
            _raw_set(self, key, values)
        return values  # type: ignore[no-any-return]

    def items(self, multi: bool = False) -> Iterator[tuple[K, V]]:  # type: ignore[override]
        """Each key with its first value; with `multi`, a pair for each value."""
        for key, values in _raw_items(self):
            if multi:
                for value in values:
                    yield key, value
            elif values:
                yield key, values[0]

    def lists(self) -> Iterable[tuple[K, list[V]]]:
        """Each key with the list of its values."""
        for key, values in _raw_items(self):
            yield key, list(values)

    def values(self) -> Iterator[V]:  # type: ignore[override]
        """The first value of each key."""
        for values in _raw_values(self):
            if values:
                yield values[0]

    def listvalues(self) -> Iterable[list[V]]:
        """The list of the values of each key."""
        return _raw_values(self)  # type: ignore[no-any-return]

    def copy(self) -> Self:
        """A copy with lists of its own."""
        return type(self)(self)

    def deepcopy(self, memo: Any = None) -> Self:
        """A copy with copied values."""
        return type(self)(copy.deepcopy(self.to_dict(flat=False), memo))

    def to_dict(self, flat: bool = True) -> dict[K, Any]:
        """A plain dict of the first values; with `flat=False`, of the lists of all values."""
        return dict(self.items() if flat else self.lists())

    def update(self, mapping: Any) -> None:
        """Add the values of `mapping`. No value is replaced."""
        for key, value in list(iter_multi_items(mapping)):  # `mapping` may be this dict
            self.add(key, value)

    def __or__(self, other: Mapping[K, Any]) -> MultiDict[K, V]:  # type: ignore[override]
        if not isinstance(other, Mapping):
            return NotImplemented
        merged = self.copy()
        merged.update(other)
        return merged

    def __ior__(self, other: Any) -> Self:  # type: ignore[override, misc]
        if not isinstance(other, Mapping | Iterable):
            return NotImplemented
        self.update(other)
        return self

    def pop(self, key: K, default: V | T | Missing = MISSING) -> V | T:
        """Remove the key and return its first value."""
        values = _raw_pop(self, key, None)
        if values:
            return values[0]  # type: ignore[no-any-return]
        if default is MISSING:
            raise BadRequestKeyError(key)
        return default

    def popitem(self) -> tuple[K, V]:
        """Remove the last key and return it with its first value."""
        key, values = self.popitemlist()
        if not values:
            raise BadRequestKeyError(key)
        return key, values[0]

    def poplist(self, key: K) -> list[V]:
        """Remove the key and return its values; an empty list if the key is missing."""
        return _raw_pop(self, key, [])  # type: ignore[no-any-return]

    def popitemlist(self) -> tuple[K, list[V]]:
        """Remove the last key and return it with the list of its values."""
        try:
            return _raw_popitem(self)  # type: ignore[no-any-return]
        except KeyError as error:
            raise BadRequestKeyError(*error.args) from None

    def __copy__(self) -> Self:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> Self:
        return self.deepcopy(memo=memo)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self.items(multi=True))!r})"


def converted(values: Iterable[Any], type: Callable[[Any], Any]) -> list[Any]:
    """The values converted by `type`, without those for which it raises ValueError or TypeError."""
    result = []
    for value in values:
        try:
            result.append(type(value))
        except (ValueError, TypeError):
            continue
    return result


class ImmutableMultiDict(ImmutableMultiDictMixin[K, V], MultiDict[K, V]):  # type: ignore[misc]
    """A MultiDict that cannot be changed and can be hashed."""

    def copy(self) -> MultiDict[K, V]:  # type: ignore[override]
        """A mutable copy. `copy.copy` returns the same object."""
        return MultiDict(self)

    def __copy__(self) -> Self:
        return self


def immutable_of(pairs: list[tuple[K, V]]) -> ImmutableMultiDict[K, V]:
    """An ImmutableMultiDict of the pairs, made without its constructor: twice as quick."""
    if _compiled_dict is not None:
        return _compiled_dict(pairs, ImmutableMultiDict)  # type: ignore[no-any-return]
    found = _new_dict(ImmutableMultiDict)
    for key, value in pairs:
        values = _raw_get(found, key)
        if values is None:
            _raw_set(found, key, [value])
        else:
            values.append(value)
    return found  # type: ignore[no-any-return]


def made_of(cls: Any, pairs: list[tuple[str, str]]) -> Any:
    """`cls(pairs)`, for the class of a request's arguments, fields of a form or cookies."""
    return immutable_of(pairs) if cls is ImmutableMultiDict else cls(pairs)


class CombinedMultiDict(ImmutableMultiDictMixin[K, V], MultiDict[K, V]):
    """A read-only view of several MultiDicts; a single value comes from the first that has the key.

    It inherits from dict for isinstance() only; the inherited dict stays empty.
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
        """The first value that `type` accepts, in the order of the dicts."""
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
        """Each key once, in the order of the dicts."""
        return dict.fromkeys(key for each in self.dicts for key in each).keys()

    def __iter__(self) -> Iterator[K]:
        return iter(self.keys())

    def items(self, multi: bool = False) -> Iterator[tuple[K, V]]:  # type: ignore[override]
        """Each key with its first value; with `multi`, a pair for each value."""
        found = set()
        for each in self.dicts:
            for key, value in each.items(multi):
                if multi:
                    yield key, value
                elif key not in found:
                    found.add(key)
                    yield key, value

    def values(self) -> Iterator[V]:  # type: ignore[override]
        """The first value of each key."""
        for _, value in self.items():
            yield value

    def lists(self) -> Iterable[tuple[K, list[V]]]:
        """Each key with its values in all dicts."""
        groups: dict[K, list[V]] = {}
        for each in self.dicts:
            for key, values in each.lists():
                groups.setdefault(key, []).extend(values)
        return groups.items()

    def listvalues(self) -> Iterable[list[V]]:
        """The values of each key in all dicts."""
        for _, values in self.lists():
            yield values

    def copy(self) -> MultiDict[K, V]:  # type: ignore[override]
        """A mutable MultiDict with the values of all dicts."""
        return MultiDict(self)

    def deepcopy(self, memo: Any = None) -> Self:
        """A view of copies of the dicts."""
        return type(self)(copy.deepcopy(self.dicts, memo))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, MultiDict):
            return dict(self.lists()) == dict(other.lists())
        return dict(self.lists()) == other if isinstance(other, dict) else NotImplemented

    def __ne__(self, other: object) -> bool:  # dict defines __ne__ as well
        equal = self.__eq__(other)
        return equal if equal is NotImplemented else not equal

    __hash__ = ImmutableMultiDictMixin.__hash__  # type: ignore[assignment]

    def __len__(self) -> int:
        return len(self.keys())

    def __contains__(self, key: object) -> bool:
        return any(key in each for each in self.dicts)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.dicts!r})"


def _choose(compiled: ModuleType | None) -> None:
    global _compiled_dict
    _compiled_dict = None if compiled is None else compiled.grouped


speedups.twins("form", _choose)
