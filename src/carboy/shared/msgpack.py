"""MessagePack, as msgspec writes it: the format of Flask-Session's stored sessions.

The types that MessagePack lacks are written as msgspec writes them: tuples and sets as arrays,
dates, times, UUIDs and decimals as text. A datetime with a time zone is a timestamp (extension
type -1) and comes back in UTC. The source of the format:
https://github.com/msgpack/msgpack/blob/master/spec.md
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

__all__ = ["pack", "unpack"]

DEEPEST = 100  # levels of lists and maps; a value that contains itself has no end
TIMESTAMP = -1
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
AS_TEXT = (UUID, Decimal)

# (length up to, first byte, format of the length): the heads of text, bytes, arrays and maps
Heads = tuple[tuple[int, int, str], ...]
TEXT: Heads = ((0xFF, 0xD9, ">BB"), (0xFFFF, 0xDA, ">BH"), (0xFFFFFFFF, 0xDB, ">BI"))
BYTES: Heads = ((0xFF, 0xC4, ">BB"), (0xFFFF, 0xC5, ">BH"), (0xFFFFFFFF, 0xC6, ">BI"))
ARRAY: Heads = ((0xFFFF, 0xDC, ">BH"), (0xFFFFFFFF, 0xDD, ">BI"))
MAP: Heads = ((0xFFFF, 0xDE, ">BH"), (0xFFFFFFFF, 0xDF, ">BI"))
# (from, up to, first byte, format)
INTEGERS = (
    (0, 0xFF, 0xCC, ">BB"),
    (0, 0xFFFF, 0xCD, ">BH"),
    (0, 0xFFFFFFFF, 0xCE, ">BI"),
    (0, 0xFFFFFFFFFFFFFFFF, 0xCF, ">BQ"),
    (-0x80, 0, 0xD0, ">Bb"),
    (-0x8000, 0, 0xD1, ">Bh"),
    (-0x80000000, 0, 0xD2, ">Bi"),
    (-0x8000000000000000, 0, 0xD3, ">Bq"),
)


def pack(value: Any) -> bytes:
    """The bytes of a value. Raises TypeError for a type, ValueError for a value without a form."""
    parts: list[bytes] = []
    _pack(value, parts.append, DEEPEST)
    return b"".join(parts)


def unpack(data: bytes) -> Any:
    """The value of bytes. Raises ValueError if they are not exactly one value."""
    reader = _Reader(data)
    try:
        value = reader.value(DEEPEST)
    except (struct.error, IndexError, UnicodeDecodeError, OverflowError, TypeError) as error:
        raise ValueError(f"The bytes are not MessagePack: {error}.") from error
    if reader.at != len(data):
        raise ValueError("The bytes are not MessagePack: there are more after the value.")
    return value


def _pack(value: Any, add: Callable[[bytes], None], depth: int) -> None:
    if depth == 0:
        raise ValueError(f"The value has more than {DEEPEST} levels, or contains itself.")
    if isinstance(value, Enum):
        value = value.value
    if value is None:
        add(b"\xc0")
    elif value is True or value is False:
        add(b"\xc3" if value else b"\xc2")
    elif isinstance(value, str):
        data = value.encode()
        size = len(data)
        add(bytes((0xA0 | size,)) if size < 32 else _head(size, TEXT))
        add(data)
    elif isinstance(value, int):
        add(_integer(value))
    elif isinstance(value, float):
        add(struct.pack(">Bd", 0xCB, value))
    elif isinstance(value, (bytes, bytearray, memoryview)):
        data = bytes(value)
        add(_head(len(data), BYTES))
        add(data)
    elif isinstance(value, dict):
        size = len(value)
        add(bytes((0x80 | size,)) if size < 16 else _head(size, MAP))
        for key, each in value.items():
            _pack(key, add, depth - 1)
            _pack(each, add, depth - 1)
    elif isinstance(value, (list, tuple, set, frozenset)):
        size = len(value)
        add(bytes((0x90 | size,)) if size < 16 else _head(size, ARRAY))
        for each in value:
            _pack(each, add, depth - 1)
    else:
        _pack_other(value, add, depth)


def _pack_other(value: Any, add: Callable[[bytes], None], depth: int) -> None:
    if isinstance(value, datetime) and value.tzinfo is not None:
        add(_timestamp(value))
    elif isinstance(value, (datetime, date, time)):
        _pack(value.isoformat(), add, depth - 1)
    elif isinstance(value, AS_TEXT):
        _pack(str(value), add, depth - 1)
    else:
        raise TypeError(f"A value of the type {type(value).__qualname__} cannot be stored.")


def _integer(value: int) -> bytes:
    if -32 <= value < 128:
        return struct.pack(">b" if value < 0 else ">B", value)
    for lowest, highest, first, form in INTEGERS:
        if lowest <= value <= highest:
            return struct.pack(form, first, value)
    raise ValueError("An integer of more than 64 bits cannot be stored. Store it as text.")


def _head(size: int, heads: Heads) -> bytes:
    for most, first, form in heads:
        if size <= most:
            return struct.pack(form, first, size)
    raise ValueError("A value of 4 GiB or more cannot be stored.")


def _timestamp(value: datetime) -> bytes:
    since = value - EPOCH
    seconds, nanoseconds = since.days * 86400 + since.seconds, since.microseconds * 1000
    if seconds >> 34:  # also of negative numbers
        return struct.pack(">BBbIq", 0xC7, 12, TIMESTAMP, nanoseconds, seconds)
    if nanoseconds == 0 and seconds <= 0xFFFFFFFF:
        return struct.pack(">BbI", 0xD6, TIMESTAMP, seconds)
    return struct.pack(">BbQ", 0xD7, TIMESTAMP, nanoseconds << 34 | seconds)


# first byte: the formats of numbers, and of the lengths of other values
NUMBERS = {
    0xCA: ">f", 0xCB: ">d",
    0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q",
    0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q",
}  # fmt: skip
CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}
LENGTHS = {
    0xC4: ">B", 0xC5: ">H", 0xC6: ">I",
    0xC7: ">B", 0xC8: ">H", 0xC9: ">I",
    0xD9: ">B", 0xDA: ">H", 0xDB: ">I",
    0xDC: ">H", 0xDD: ">I", 0xDE: ">H", 0xDF: ">I",
}  # fmt: skip
FIXED_EXTENSIONS = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}


class _Reader:
    """Reads values one after the other."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def value(self, depth: int) -> Any:
        if depth == 0:
            raise ValueError(f"The bytes have more than {DEEPEST} levels.")
        first = self.data[self.at]
        self.at += 1
        if first < 0x80:
            return first
        if first >= 0xE0:
            return first - 0x100
        if first < 0x90:
            return self._map(first & 0x0F, depth)
        if first < 0xA0:
            return self._array(first & 0x0F, depth)
        if first < 0xC0:
            return self._take(first & 0x1F).decode()
        if first in CONSTANTS:
            return CONSTANTS[first]
        if first in NUMBERS:
            return self._number(NUMBERS[first])
        if first in FIXED_EXTENSIONS:
            return self._extension(FIXED_EXTENSIONS[first])
        if first not in LENGTHS:
            raise ValueError(f"The bytes are not MessagePack: {first:#x} begins no value.")
        size: int = self._number(LENGTHS[first])
        if first <= 0xC6:
            return self._take(size)
        if first <= 0xC9:
            return self._extension(size)
        if first <= 0xDB:
            return self._take(size).decode()
        return self._array(size, depth) if first <= 0xDD else self._map(size, depth)

    def _array(self, size: int, depth: int) -> list[Any]:
        return [self.value(depth - 1) for _ in range(self._possible(size))]

    def _map(self, size: int, depth: int) -> dict[Any, Any]:
        found = {}
        for _ in range(self._possible(size)):
            key = self.value(depth - 1)
            found[key] = self.value(depth - 1)
        return found

    def _possible(self, size: int) -> int:
        """A number of values; each has at least one byte."""
        if size > len(self.data) - self.at:
            raise ValueError("The bytes are not MessagePack: they end too early.")
        return size

    def _take(self, size: int) -> bytes:
        self._possible(size)
        self.at += size
        return self.data[self.at - size : self.at]

    def _number(self, form: str) -> Any:
        (value,) = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return value

    def _extension(self, size: int) -> datetime:
        kind: int = self._number(">b")
        data = self._take(size)
        if kind != TIMESTAMP or size not in (4, 8, 12):
            raise ValueError(f"The bytes contain an extension type ({kind}) that is not known.")
        if size == 4:
            seconds, nanoseconds = int.from_bytes(data, "big"), 0
        elif size == 8:
            both = int.from_bytes(data, "big")
            seconds, nanoseconds = both & 0x3FFFFFFFF, both >> 34
        else:
            nanoseconds, seconds = struct.unpack(">Iq", data)
        return EPOCH + timedelta(seconds=seconds, microseconds=nanoseconds // 1000)
