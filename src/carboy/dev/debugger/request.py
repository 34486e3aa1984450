"""The request that failed, as a part of the debugger's page; secrets are masked."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote_plus

from markupsafe import escape

from carboy.dev.debugger.repr import debug_repr

SECRET = re.compile("pass|secret|token|key|auth|csrf|session|cookie|credential|signature", re.I)
MASK = "••••••"
LINKS = ("referer", "origin", "location")
QUERY = re.compile(r"([?&;#])([^=&;#]*)=([^&;#]*)")
PASSWORD = re.compile(r"(//[^/@:]*:)[^/@]*@")

Rows = Iterable[tuple[str, Any]]


def request_html(request: Any, session: Any = None) -> str:
    """Request line, headers, query, form, files, cookies and session, each if there is any."""
    parts = [
        ("Headers", [(name, _header(name, value)) for name, value in request.headers]),
        ("Query", _pairs(request.args)),
        ("Form", _read(lambda: _pairs(request.form))),
        ("Files", _read(lambda: [(n, f.filename) for n, f in request.files.items(multi=True)])),
        ("Cookies", [(name, MASK) for name in request.cookies]),
        ("Session", _read(lambda: _pairs(session or {}))),
    ]
    tables = "".join(_table(title, rows) for title, rows in parts if rows)
    line = f"{request.method} {masked_url(request.url)}"
    return (
        f"<section class=request><details><summary>Request <code>{escape(line)}</code></summary>"
        f"{tables}</details></section>"
    )


def masked(name: str, value: Any) -> Any:
    """The value, without what is secret by its name or by a name inside it."""
    if SECRET.search(name):
        return MASK
    if isinstance(value, dict):
        return {key: masked(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        inside = [masked("", inner) for inner in value]
        return inside if isinstance(value, list) else tuple(inside)
    return value


def masked_url(url: str) -> str:
    """A URL without the values of secrets in its query, and without a password before its host."""
    url = PASSWORD.sub(rf"\1{MASK}@", url)
    return QUERY.sub(_masked_parameter, url)


def _masked_parameter(match: re.Match[str]) -> str:
    before, name, value = match.groups()
    return f"{before}{name}={masked(unquote_plus(name), value)}"


def _header(name: str, value: str) -> str:
    return masked_url(value) if name.lower() in LINKS else str(masked(name, value))


def _pairs(values: Any) -> list[tuple[str, Any]]:
    items = values.items(multi=True) if hasattr(values, "lists") else values.items()
    return [(str(name), masked(str(name), value)) for name, value in items]


def _read(rows: Any) -> list[tuple[str, Any]]:
    """Rows that may be past reading: a body that was read elsewhere, a session out of reach."""
    try:
        found: list[tuple[str, Any]] = rows()
    except Exception:
        return []
    return found


def _table(title: str, rows: Rows) -> str:
    lines = "".join(f"<tr><th scope=row>{escape(n)}<td>{_shown(v)}" for n, v in rows)
    return f"<h3>{title}</h3><table>{lines}</table>"


def _shown(value: Any) -> str:
    return str(escape(value)) if isinstance(value, str) else debug_repr(value)
