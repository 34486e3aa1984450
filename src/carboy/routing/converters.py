"""Converters: the texts that a `<name>` in a rule accepts, and their Python values.

`regex` matches the possible texts. `to_python` makes the value, or raises ValidationError, which
means that the rule does not match. `to_url` makes the text of a value.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from carboy.http.containers.immutable import ImmutableDict
from carboy.late import compiled_later, parse

if TYPE_CHECKING:
    from uuid import UUID

    from carboy.routing.interface import MapSettings

# RFC 3986 section 3.3: the characters of a path that are not quoted (pchar without "%").
PATH_SAFE = "!$&'()*+,/:;=@"
_plain = compiled_later(r"[A-Za-z0-9_.~!$&'()*+,/:;=@-]*")


def quote_path(text: str) -> str:
    """The text percent-encoded for a path."""
    if text.isascii() and (text.isalnum() or _plain.fullmatch(text)):
        return text
    return parse.quote(text, safe=PATH_SAFE)


class ValidationError(ValueError):
    """A converter does not accept a value: the rule does not match, or there is no URL."""


class BaseConverter:
    """Any text without a slash; the base class of all converters.

    Converters at the same place of a URL are tried in the order of their `weight`, the lowest
    first. `part_isolating` is False for a converter whose text may contain a slash. A subclass
    with its own `regex` gets the right value automatically.
    """

    regex = "[^/]+"
    weight = 100
    part_isolating = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "regex" in cls.__dict__ and "part_isolating" not in cls.__dict__:
            cls.part_isolating = "/" not in cls.regex

    def __init__(self, map: MapSettings, *args: Any, **kwargs: Any) -> None:
        self.map = map

    def to_python(self, value: str) -> Any:
        """The value for the view; raises ValidationError if `value` is not accepted."""
        return value

    def to_url(self, value: Any) -> str:
        """The text for a URL, percent-encoded."""
        return quote_path(str(value))


class UnicodeConverter(BaseConverter):
    """`string`, the default: text without a slash, with an optional length or range of lengths."""

    def __init__(
        self,
        map: MapSettings,
        minlength: int = 1,
        maxlength: int | None = None,
        length: int | None = None,
    ) -> None:
        super().__init__(map)
        if length is not None:
            bounds = str(int(length))
        else:
            bounds = f"{int(minlength)},{'' if maxlength is None else int(maxlength)}"
        self.regex = f"[^/]{{{bounds}}}"


class AnyConverter(BaseConverter):
    """`any`: one of the given words."""

    def __init__(self, map: MapSettings, *items: str) -> None:
        super().__init__(map)
        self.items = set(items)
        self.regex = f"(?:{'|'.join(re.escape(item) for item in items)})"

    def to_url(self, value: Any) -> str:
        if value in self.items:
            return str(value)
        known = ", ".join(repr(item) for item in sorted(self.items))
        raise ValueError(f"{str(value)!r} is not one of {known}")


class PathConverter(BaseConverter):
    """`path`: text that may contain slashes, but does not start with one."""

    part_isolating = False
    regex = "[^/].*?"
    weight = 200


class NumberConverter(BaseConverter):
    """Base of `int` and `float`: digits, optionally a fixed number of them, or within bounds."""

    weight = 50
    num_convert: ClassVar[Callable[[Any], Any]] = int

    def __init__(
        self,
        map: MapSettings,
        fixed_digits: int = 0,
        min: float | None = None,
        max: float | None = None,
        signed: bool = False,
    ) -> None:
        if signed:
            self.regex = self.signed_regex
        super().__init__(map)
        self.fixed_digits = fixed_digits
        self.min = min
        self.max = max
        self.signed = signed

    def to_python(self, value: str) -> Any:
        if self.fixed_digits and len(value) != self.fixed_digits:
            raise ValidationError(f"{value!r} does not have {self.fixed_digits} digits.")
        try:
            number = type(self).num_convert(value)
        except ValueError:  # includes more digits than int() accepts
            raise ValidationError(f"{value[:40]!r} is not a number.") from None
        if self.min is not None and number < self.min:
            raise ValidationError(f"{number} is less than {self.min}.")
        if self.max is not None and number > self.max:
            raise ValidationError(f"{number} is greater than {self.max}.")
        return number

    def to_url(self, value: Any) -> str:
        text = str(type(self).num_convert(value))
        return text.zfill(self.fixed_digits) if self.fixed_digits else text

    @property
    def signed_regex(self) -> str:
        """The pattern with an optional minus sign."""
        return f"-?{self.regex}"


class IntegerConverter(NumberConverter):
    """`int`: a whole number, without a sign unless `signed`."""

    regex = r"\d+"


class FloatConverter(NumberConverter):
    """`float`: digits on both sides of a point, without a sign unless `signed`."""

    regex = r"\d+\.\d+"
    num_convert = float

    def __init__(
        self,
        map: MapSettings,
        min: float | None = None,
        max: float | None = None,
        signed: bool = False,
    ) -> None:
        super().__init__(map, min=min, max=max, signed=signed)


class UUIDConverter(BaseConverter):
    """`uuid`: a UUID in its usual form of 8-4-4-4-12 hexadecimal digits."""

    regex = "[A-Fa-f0-9]{8}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{12}"

    def to_python(self, value: str) -> UUID:
        from uuid import UUID

        return UUID(value)

    def to_url(self, value: Any) -> str:
        return str(value)


DEFAULT_CONVERTERS: ImmutableDict[str, type[BaseConverter]] = ImmutableDict(
    {
        "default": UnicodeConverter,
        "string": UnicodeConverter,
        "any": AnyConverter,
        "path": PathConverter,
        "int": IntegerConverter,
        "float": FloatConverter,
        "uuid": UUIDConverter,
    }
)
