"""How a session is stored: Flask-Session's formats, so that each reads what the other has stored.

    msgpack   MessagePack, Flask-Session's default since 0.8
    json      JSON, Flask-Session's SESSION_SERIALIZATION_FORMAT = "json"
    pickle    only read, and only if the application asks for it; Flask-Session before 0.8

The first bytes tell the formats apart, so all of them are read whichever is written.
"""

from __future__ import annotations

import base64
import datetime as datetime_module
import io
import json
import pickle
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from carboy.shared.msgpack import pack, unpack

__all__ = ["FORMATS", "PickledSession", "dumps", "loads"]


class PickledSession(ValueError):
    """A stored session is a pickle, and the application does not read pickles."""


def dumps_json(values: dict[str, Any]) -> bytes:
    """JSON; the types that it lacks are written as Flask-Session writes them."""
    return json.dumps(values, default=_json, ensure_ascii=False, separators=(",", ":")).encode()


def _json(value: Any) -> Any:
    if isinstance(value, (datetime, date, time)):
        aware = isinstance(value, datetime) and value.tzinfo is not None
        text = value.astimezone(UTC).isoformat() if aware else value.isoformat()  # type: ignore[union-attr]
        return text.replace("+00:00", "Z")
    if isinstance(value, (UUID, Decimal)):
        return str(value)
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    if isinstance(value, (set, frozenset)):
        return list(value)
    raise TypeError(f"A value of the type {type(value).__qualname__} cannot be stored.")


FORMATS: dict[str, Callable[[dict[str, Any]], bytes]] = {"msgpack": pack, "json": dumps_json}


def dumps(values: dict[str, Any], form: str) -> bytes:
    """The stored form of a session. Raises TypeError, with the key, for what cannot be stored."""
    try:
        return FORMATS[form](values)
    except (TypeError, ValueError, RecursionError) as error:
        for key, value in values.items():
            try:
                FORMATS[form]({key: value})
            except (TypeError, ValueError, RecursionError) as reason:
                raise TypeError(
                    f"The session cannot be saved because of its key {key!r}: {reason} Store"
                    " numbers, text, bytes, lists and dicts."
                ) from error
        raise


def loads(data: bytes, pickles: bool = False) -> dict[str, Any]:
    """The session of a stored form. Raises ValueError for what is not a session.

    PickledSession is raised for a pickle unless `pickles` permits it.
    """
    if data[:1] == b"{":
        values = json.loads(data)
    elif data[:1] == b"\x80" and len(data) > 1 and data[-1:] == b".":
        # An empty map is the byte 0x80 alone, so this is the first byte of a pickle.
        if not pickles:
            raise PickledSession("The session is stored as a pickle.")
        values = _unpickle(data)
    else:
        values = unpack(data)
    if not isinstance(values, dict):
        raise ValueError(f"The stored session is a {type(values).__name__}, not a dict.")
    return values


def _unpickle(data: bytes) -> Any:
    """A pickle that consists of plain values. Anything else could run code."""
    known = {
        ("datetime", name): getattr(datetime_module, name)
        for name in ("date", "datetime", "time", "timedelta", "timezone")
    }
    known |= {("decimal", "Decimal"): Decimal, ("uuid", "UUID"): UUID}
    known |= {("builtins", "set"): set, ("builtins", "frozenset"): frozenset}

    class Plain(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            if (module, name) not in known:
                raise ValueError(f"A stored session contains an object of {module}.{name}.")
            return known[module, name]

    try:
        return Plain(io.BytesIO(data)).load()
    except Exception as error:
        raise ValueError(f"A stored session cannot be read: {error}") from error
