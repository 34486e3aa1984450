"""Names of `werkzeug._internal` that extensions import."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from carboy.http.containers.immutable import MISSING as _missing
from carboy.http.containers.immutable import Missing as _Missing
from carboy.http.forms.urlencoded import encode_pairs as _urlencode
from carboy.http.properties import _EntryProperty as _DictAccessorProperty
from carboy.http.wsgi import _get_environ
from carboy.http.wsgi import environ_text as _wsgi_decoding_dance
from carboy.http.wsgi import environ_value as _wsgi_encoding_dance
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


def _plain_int(value: str) -> int:
    """The number of ASCII digits after an optional minus; ValueError for other forms."""
    value = value.strip()
    if _digits(value) is None:
        raise ValueError(f"Write a number in the digits 0 to 9, not {value!r}.")
    return int(value)
