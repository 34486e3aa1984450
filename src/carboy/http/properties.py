"""Attributes that are computed once, or that read and write an entry of a mapping.

`lazy` is used inside this package. It is not a data descriptor: after the first access, Python
finds the value in the instance without a call. The others are public: `cached_property` also
works with slots, `environ_property` and `header_property` access an environ or headers.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from threading import RLock
from typing import Any, Generic, Self, TypeVar, overload

T = TypeVar("T")
_MISSING = object()


class lazy(Generic[T]):
    """An attribute that `function(instance)` computes at the first access. It can be assigned."""

    def __init__(self, function: Callable[[Any], T]) -> None:
        self.function = function
        self.name = function.__name__
        self.__doc__ = function.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> lazy[T]: ...
    @overload
    def __get__(self, instance: object, owner: type | None = None) -> T: ...
    def __get__(self, instance: object | None, owner: type | None = None) -> lazy[T] | T:
        if instance is None:
            return self
        value = instance.__dict__[self.name] = self.function(instance)
        return value


class cached_property(property, Generic[T]):
    """A property whose value is computed once and kept until it is deleted.

    The value is kept in the instance's `__dict__`, or in the slot `_cache_NAME`.
    """

    def __init__(
        self, fget: Callable[[Any], T], name: str | None = None, doc: str | None = None
    ) -> None:
        super().__init__(fget, doc=doc)
        self.__name__ = name or fget.__name__
        self.slot_name = f"_cache_{self.__name__}"
        self.__module__ = fget.__module__

    def __set__(self, obj: object, value: T) -> None:
        if hasattr(obj, "__dict__"):
            obj.__dict__[self.__name__] = value
        else:
            setattr(obj, self.slot_name, value)

    @overload
    def __get__(self, obj: None, type: type | None, /) -> Self: ...
    @overload
    def __get__(self, obj: Any, type: type | None = None, /) -> T: ...
    def __get__(self, obj: Any, type: type | None = None, /) -> Self | T:
        if obj is None:
            return self
        kept = getattr(obj, "__dict__", None)
        if kept is None:
            value = getattr(obj, self.slot_name, _MISSING)
        else:
            value = kept.get(self.__name__, _MISSING)
        if value is _MISSING:
            value = self.fget(obj)  # type: ignore[misc]
            if kept is None:
                self.__set__(obj, value)
            else:
                # If several threads compute the value at the same time, all return the same one.
                value = kept.setdefault(self.__name__, value)
        return value  # type: ignore[return-value]

    def __delete__(self, obj: object) -> None:
        if hasattr(obj, "__dict__"):
            del obj.__dict__[self.__name__]
        else:
            setattr(obj, self.slot_name, _MISSING)


class once_property(cached_property[T]):
    """A cached property that one thread computes while the others wait."""

    def __init__(self, fget: Callable[[Any], T]) -> None:
        super().__init__(fget)
        self._computing = RLock()

    def __get__(self, obj: Any, type: Any = None, /) -> Any:
        if obj is None or self.__name__ in vars(obj):
            return super().__get__(obj, type)
        with self._computing:
            return super().__get__(obj, type)


class _EntryProperty(Generic[T]):
    """An attribute that reads and writes an entry of `lookup(instance)`, converting the value."""

    read_only = False

    def __init__(
        self,
        name: str,
        default: T | None = None,
        load_func: Callable[[str], T] | None = None,
        dump_func: Callable[[T], str] | None = None,
        read_only: bool | None = None,
        doc: str | None = None,
    ) -> None:
        self.name = name
        self.default = default
        self.load_func = load_func
        self.dump_func = dump_func
        if read_only is not None:
            self.read_only = read_only
        self.__doc__ = doc

    def lookup(self, instance: Any) -> MutableMapping[str, Any]:
        raise NotImplementedError

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        mapping = self.lookup(instance)
        value = mapping.get(self.name, _MISSING)
        if value is _MISSING:
            return self.default
        if self.load_func is None:
            return value
        try:
            return self.load_func(value)
        except (ValueError, TypeError):
            return self.default

    def __set__(self, instance: Any, value: Any) -> None:
        if self.read_only:
            raise AttributeError("read only property")
        mapping = self.lookup(instance)
        if value is None:
            mapping.pop(self.name, None)
        elif self.dump_func is not None:
            mapping[self.name] = self.dump_func(value)
        else:
            mapping[self.name] = value

    def __delete__(self, instance: Any) -> None:
        if self.read_only:
            raise AttributeError("read only property")
        self.lookup(instance).pop(self.name, None)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


class environ_property(_EntryProperty[T]):
    """An attribute that reads a key of `instance.environ`; read-only by default."""

    read_only = True

    def lookup(self, instance: Any) -> MutableMapping[str, Any]:
        """The environ."""
        return instance.environ  # type: ignore[no-any-return]


class header_property(_EntryProperty[T]):
    """An attribute that reads and writes a field of `instance.headers`."""

    def lookup(self, instance: Any) -> MutableMapping[str, Any]:
        """The headers."""
        return instance.headers  # type: ignore[no-any-return]
