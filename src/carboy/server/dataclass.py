"""The `dataclass` of the standard library, for classes that have some of their functions in common.

The standard library writes and compiles __repr__, __eq__, __hash__, __setattr__ and __delattr__ for
each class. A server has 45 of these classes when it starts, and with common functions 0.35 MB less
in each process; loading its modules takes 8 % less time. Type checkers read the standard library's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, NoReturn

__all__ = ["dataclass"]


def _values(self: Any) -> tuple[Any, ...]:
    return tuple(getattr(self, each.name) for each in dataclasses.fields(self) if each.compare)


def _eq(self: Any, other: Any) -> bool:
    return _values(self) == _values(other) if other.__class__ is self.__class__ else NotImplemented


def _hash(self: Any) -> int:
    return hash(_values(self))


@recursive_repr()
def _repr(self: Any) -> str:
    shown = (each.name for each in dataclasses.fields(self) if each.repr)
    fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
    return f"{self.__class__.__qualname__}({fields})"


def _setattr(self: Any, name: str, value: Any) -> NoReturn:
    raise _frozen(self, name)


def _delattr(self: Any, name: str) -> NoReturn:
    raise _frozen(self, name)


def _frozen(self: Any, name: str) -> Exception:
    return dataclasses.FrozenInstanceError(
        f"{name} of {type(self).__name__} cannot be changed. Use dataclasses.replace()."
    )


_MUTABLE = {"__repr__": _repr, "__eq__": _eq, "__hash__": None}
_FROZEN = {**_MUTABLE, "__hash__": _hash, "__setattr__": _setattr, "__delattr__": _delattr}


def _dataclass(*, frozen: bool = False, **options: bool) -> Callable[[type], type]:
    """`dataclasses.dataclass`, without `repr`, `eq`, `order` and `unsafe_hash`."""

    def decorated(cls: type) -> type:
        own = {*vars(cls)}
        made: type = dataclasses.dataclass(cls, frozen=frozen, repr=False, eq=False, **options)
        for name, function in (_FROZEN if frozen else _MUTABLE).items():
            if name not in own:
                setattr(made, name, function)
        return made

    return decorated


if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    dataclass = _dataclass
