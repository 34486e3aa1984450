"""The dataclasses of the server: as those of the standard library, with common functions."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from carboy.server.dataclass import dataclass

Decorate = Callable[..., Callable[[type], type]]


def classes(decorate: Any) -> tuple[Any, Any]:
    """A frozen class and another one, whose name is `Point` as well."""

    class Point:
        x: int
        y: list[int] = dataclasses.field(default_factory=list, compare=False)
        z: str = dataclasses.field(default="z", repr=False)

        def __post_init__(self) -> None:
            if self.x < 0:
                raise ValueError("x")

    Point.__qualname__ = "Point"
    return decorate(frozen=True, slots=True)(Point), decorate(slots=True)(
        type("Point", (), {"__annotations__": {"x": int, "y": int}, "y": 2})
    )


OURS, THEIRS = classes(dataclass), classes(dataclasses.dataclass)


def outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:
        return type(error), str(error)


FROZEN: list[Callable[[Any], Any]] = [
    lambda cls: repr(cls(1, [2])),
    lambda cls: cls(1) == cls(1, [5]),
    lambda cls: cls(1) == cls(2),
    lambda cls: cls(1) != cls(1, z="a"),
    lambda cls: cls(1) == (1, [], "z"),
    lambda cls: hash(cls(1, [5])) == hash(cls(1)),
    lambda cls: hash(cls(1)) == hash((1, "z")),
    lambda cls: len({cls(1), cls(1), cls(2)}),
    lambda cls: repr(dataclasses.replace(cls(1), x=4)),
    lambda cls: dataclasses.asdict(cls(1)),
    lambda cls: cls(-1),
    lambda cls: cls(),
    lambda cls: cls.__slots__,
    lambda cls: cls.__match_args__,
    lambda cls: hasattr(cls(1), "__dict__"),
    lambda cls: copy.deepcopy(cls(1, [2])) == cls(1, [2]),
]
MUTABLE: list[Callable[[Any], Any]] = [
    lambda cls: repr(cls(1)),
    lambda cls: cls(1) == cls(1, 2),
    lambda cls: cls(1) == cls(1, 3),
    lambda cls: hash(cls(1)),
    lambda cls: setattr(cls(1), "x", 2),
    lambda cls: setattr(cls(1), "unknown", 2),
]


@pytest.mark.parametrize("number", range(len(FROZEN)))
def test_a_frozen_class_does_what_that_of_the_standard_library_does(number: int) -> None:
    call = FROZEN[number]
    assert outcome(lambda: call(OURS[0])) == outcome(lambda: call(THEIRS[0]))


@pytest.mark.parametrize("number", range(len(MUTABLE)))
def test_a_class_does_what_that_of_the_standard_library_does(number: int) -> None:
    call = MUTABLE[number]
    assert outcome(lambda: call(OURS[1])) == outcome(lambda: call(THEIRS[1]))


@dataclass(frozen=True, slots=True)
class Own:
    """A class with functions of its own."""

    number: int
    other: Any = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Own)

    def __hash__(self) -> int:
        return 7


@pytest.mark.parametrize(
    "change", [lambda point: setattr(point, "x", 2), lambda point: delattr(point, "x")]
)
def test_a_field_of_a_frozen_class_cannot_be_changed(change: Callable[[Any], None]) -> None:
    point = OURS[0](1)
    with pytest.raises(dataclasses.FrozenInstanceError, match=r"x of Point cannot be changed\."):
        change(point)
    assert point.x == 1


def test_functions_that_the_class_has_are_kept() -> None:
    assert Own(1) == Own(2)
    assert hash(Own(1)) == 7


def test_an_object_that_has_itself_in_a_field_can_be_shown() -> None:
    found: list[Any] = []
    found.append(Own(1, found))
    assert repr(found[0]) == "Own(number=1, other=[...])"


def test_an_object_can_be_pickled() -> None:
    found = pickle.loads(pickle.dumps(Own(3, "a")))
    assert (found.number, found.other) == (3, "a")
