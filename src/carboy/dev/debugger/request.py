"""The request that failed, as a part of the debugger's page; secrets are masked."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from markupsafe import escape

from carboy.dev.debugger.repr import debug_repr

SECRET = re.compile("pass|secret|token|key|auth|csrf|session|cookie|credential|signature", re.I)
MASK = "••••••"

Rows = Iterable[tuple[str, Any]]


def request_html(request: Any, session: Any = None) -> str:
    """Request line, headers, query, form, files, cookies and session, each if there is any."""
    parts = [
        ("Headers", [(name, _masked(name, value)) for name, value in request.headers]),
        ("Query", _pairs(request.args)),
        ("Form", _read(lambda: _pairs(request.form))),
        ("Files", _read(lambda: [(n, f.filename) for n, f in request.files.items(multi=True)])),
        ("Cookies", [(name, MASK) for name in request.cookies]),
        ("Session", _read(lambda: _pairs(session or {}))),
    ]
    tables = "".join(_table(title, rows) for title, rows in parts if rows)
    line = f"{request.method} {request.url}"
    return (
        f"<section class=request><details><summary>Request <code>{escape(line)}</code></summary>"
        f"{tables}</details></section>"
    )


def _masked(name: str, value: Any) -> Any:
    return MASK if SECRET.search(name) else value


def _pairs(values: Any) -> list[tuple[str, Any]]:
    items = values.items(multi=True) if hasattr(values, "lists") else values.items()
    return [(str(name), _masked(str(name), value)) for name, value in items]


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
