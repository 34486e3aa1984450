"""Names of `werkzeug._internal` that others import all the same."""

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
    """Text of a value in an environ, which carries octets as Latin-1 (PEP 3333)."""
    return s.encode("latin-1").decode(errors="replace")


def _wsgi_encoding_dance(s: str) -> str:
    """A value for an environ out of text."""
    return s.encode().decode("latin-1")


def _get_server(environ: WSGIEnvironment) -> tuple[str, int | None] | None:
    """The server's name and port; None without a name, no port where that is no number."""
    name = environ.get("SERVER_NAME")
    if name is None:
        return None
    try:
        port = int(environ["SERVER_PORT"])
    except (KeyError, TypeError, ValueError):
        return name, None
    return name, port


def _dt_as_utc(dt: datetime | None) -> datetime | None:
    """In UTC; a time without a zone is taken for UTC."""
    if dt is None:
        return None
    return dt.replace(tzinfo=UTC) if dt.tzinfo is None else dt.astimezone(UTC)


def _urlencode(query: Any) -> str:
    """A query of the pairs; a value of None is left out, the rest is encoded as browsers do."""
    items = [pair for pair in iter_multi_items(query) if pair[1] is not None]
    return urlencode(items, safe="!$'()*,/:;?@")


def _plain_int(value: str) -> int:
    """ASCII digits and perhaps a minus; ValueError for what else `int` would take."""
    value = value.strip()
    if _digits(value) is None:
        raise ValueError(f"Write a number in the digits 0 to 9, not {value!r}.")
    return int(value)
