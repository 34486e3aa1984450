"""Names of `werkzeug._internal` that extensions import."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from carboy.http.containers.immutable import MISSING as _missing
from carboy.http.containers.immutable import Missing as _Missing
from carboy.http.containers.multidict import iter_multi_items
from carboy.http.properties import _EntryProperty as _DictAccessorProperty
from carboy.http.wsgi import _get_environ
from carboy.werkzeug_log import _ColorStreamHandler, _has_level_handler, _log

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

__all__ = [
    "_ColorStreamHandler",
    "_DictAccessorProperty",
    "_Missing",
    "_dt_as_utc",
    "_get_environ",
    "_get_server",
    "_has_level_handler",
    "_log",
    "_missing",
    "_plain_int",
    "_urlencode",
    "_wsgi_decoding_dance",
    "_wsgi_encoding_dance",
]

_digits = re.compile(r"-?[0-9]+").fullmatch


def _wsgi_decoding_dance(s: str) -> str:
    """The text of a value in an environ, which has bytes as Latin-1 (PEP 3333)."""
    return s.encode("latin-1").decode(errors="replace")


def _wsgi_encoding_dance(s: str) -> str:
    """The value for an environ of a text."""
    return s.encode().decode("latin-1")


def _get_server(environ: WSGIEnvironment) -> tuple[str, int | None] | None:
    """The server's name and port; None without a name, and no port if it is not a number."""
    name = environ.get("SERVER_NAME")
    if name is None:
        return None
    try:
        port = int(environ["SERVER_PORT"])
    except (KeyError, TypeError, ValueError):
        return name, None
    return name, port


def _dt_as_utc(dt: datetime | None) -> datetime | None:
    """The time in UTC; a time without a zone is in UTC already."""
    if dt is None:
        return None
    return dt.replace(tzinfo=UTC) if dt.tzinfo is None else dt.astimezone(UTC)


def _urlencode(query: Any) -> str:
    """A query string, encoded as browsers do; pairs with the value None are left out."""
    items = [pair for pair in iter_multi_items(query) if pair[1] is not None]
    return urlencode(items, safe="!$'()*,/:;?@")


def _plain_int(value: str) -> int:
    """The number of ASCII digits after an optional minus; ValueError for other forms."""
    value = value.strip()
    if _digits(value) is None:
        raise ValueError(f"Write a number in the digits 0 to 9, not {value!r}.")
    return int(value)
