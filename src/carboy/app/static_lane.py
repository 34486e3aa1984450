"""Static files of an application and its blueprints, answered without their views.

The view runs for the first request of a file, and its answer is kept without the content. The next
request gets the same answer, with the current date, if the file is still the same, and if nothing
of the application would have taken part: hooks, receivers of signals, teardown functions, a session
that has to be refreshed, or a method, view or function that was replaced. For every other request,
the view runs. So both answers agree in each byte (tests/app/test_static_lane.py).
"""

from __future__ import annotations

import os
import re
import time
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from carboy.app import helpers, signals, urls
from carboy.app.plan import stock_methods
from carboy.dates import http_date
from carboy.file_wrapper import FileWrapper
from carboy.http.response import sending
from carboy.late import compiled_later

if TYPE_CHECKING:
    from carboy.app.interface import Application
    from carboy.app.plan import Plan
    from carboy.gateway.interface import Answer, Exchange

KEPT = 1024  # answers of an application; clients choose paths, but of files that exist
BLOCK = 64 * 1024
# Requests with one of these fields may get another answer.
_special = compiled_later(rb"(?:^|\n)(if-[^:]*|range)[ \t]*:", re.IGNORECASE)
_tags = compiled_later(rb"(?:^|\n)if-none-match:[ \t]*([^\r\n]*?)[ \t]*\r", re.IGNORECASE)
REVALIDATION = {b"if-none-match", b"if-modified-since"}  # the first one decides (RFC 9110, 13.2.2)
SIGNALS = ("request_started", "request_finished", *signals.CONTEXTS)


def _functions() -> tuple[Any, ...]:
    """The functions that the view calls. A test may have replaced one."""
    return (
        helpers.serve_static,
        helpers.send_from_directory,
        helpers.folder_max_age,
        sending.send_from_directory,
        sending.send_file,
    )


_ORIGINALS = _functions()


class Kept:
    """The answer of a view with a file."""

    __slots__ = ("facts", "path", "signature", "tag", "unchanged", "whole")

    def __init__(
        self,
        headers: list[tuple[str, str]],
        path: str,
        status: os.stat_result,
        facts: tuple[Any, ...],
    ) -> None:
        self.path = path
        self.signature = _signature(status)
        self.tag = dict(headers)["ETag"].encode("latin-1")
        self.facts = facts
        self.whole = Head(headers)  # of 200
        self.unchanged: tuple[str, Head] | None = None  # status and head of 304


class Head:
    """The header fields of an answer; those with a date change with the time."""

    __slots__ = ("date", "expires", "headers", "max_age")

    def __init__(self, headers: list[tuple[str, str]]) -> None:
        self.headers = headers
        names = [name for name, _ in headers]
        fields = dict(headers)
        self.date = names.index("Date")
        self.expires = names.index("Expires") if "Expires" in names else -1
        self.max_age = (
            int(fields["Cache-Control"].rpartition("max-age=")[2] or 0)
            if (self.expires >= 0)
            else 0
        )

    def current(self) -> list[tuple[str, str]]:
        """The header fields for this moment."""
        now = time.time()
        headers = self.headers.copy()
        headers[self.date] = ("Date", http_date(now))
        if self.expires >= 0:
            headers[self.expires] = ("Expires", http_date(int(now + self.max_age)))
        return headers


def _signature(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def answer(app: Application, plan: Plan, exchange: Exchange, rule: Any) -> Answer | None:
    """The answer without the view; None if the view has to run."""
    head = exchange.head
    kept: Kept | None = plan.static.get((rule._key, head.path)) if head.method == "GET" else None
    if kept is None or kept.facts != _facts(app, plan, rule):
        return None
    tag = _asked_tag(app, exchange)
    if tag is None:
        return None
    if tag:
        if tag != kept.tag or kept.unchanged is None or not _is_there(kept):
            return None
        status, changed = kept.unchanged
        return status, changed.current(), b"", None
    try:
        file = open(kept.path, "rb", buffering=0)  # noqa: PTH123
    except OSError:
        return None
    if not _is_same(kept, os.fstat(file.fileno())):
        file.close()
        return None
    return "200 OK", kept.whole.current(), FileWrapper(file, BLOCK), file.close


def _is_there(kept: Kept) -> bool:
    try:
        return _is_same(kept, os.stat(kept.path))  # noqa: PTH116
    except OSError:
        return False


def _is_same(kept: Kept, status: os.stat_result) -> bool:
    return _signature(status) == kept.signature


def learn(app: Application, plan: Plan, exchange: Exchange, rule: Any, made: Answer) -> None:
    """Keep the answer of the view, if it can be given again."""
    status, headers, body, _ = made
    key = (rule._key, exchange.head.path)
    if exchange.head.method != "GET" or status[:3] not in ("200", "304"):
        return
    facts = _facts(app, plan, rule)
    tag = _asked_tag(app, exchange)
    names = {name for name, _ in headers}
    if facts is None or tag is None or "Date" not in names or names & {"Set-Cookie", "Vary"}:
        return
    if tag:
        kept: Kept | None = plan.static.get(key)
        if kept is not None and tag == kept.tag and status[:3] == "304":
            kept.unchanged = status, Head(list(headers))
        return
    path = getattr(getattr(body, "file", None), "name", None)
    if isinstance(body, FileWrapper) and isinstance(path, str) and "ETag" in names:
        if len(plan.static) >= KEPT:
            plan.static.clear()
        found = os.fstat(body.file.fileno())
        plan.static[key] = Kept(list(headers), path, found, facts)


def _asked_tag(app: Application, exchange: Exchange) -> bytes | None:
    """The one entity tag of If-None-Match, b"" without conditions; None: the view has to run."""
    block = exchange.head.block
    config = app.config
    if config["SECRET_KEY"] is not None and config["SESSION_COOKIE_NAME"].encode() in block:
        return None  # the session may have to be refreshed
    special = {name.lower() for name in _special.findall(block)}
    if not special:
        return b""
    tags: list[bytes] = _tags.findall(block) if special <= REVALIDATION else []
    return tags[0] if len(tags) == 1 else None


def _facts(app: Application, plan: Plan, rule: Any) -> tuple[Any, ...] | None:
    """Everything that the answer depends on; None if the view has to run."""
    endpoint = rule.endpoint
    if not isinstance(endpoint, str) or not endpoint.endswith("static"):
        return None
    owner: Any = app if endpoint == "static" else _blueprints(app).get(endpoint.rpartition(".")[0])
    view = app.view_functions.get(endpoint)
    if (
        owner is None
        or not plan.stock_cycle
        or _functions() != _ORIGINALS
        or not _is_stock_view(view, owner)
        or not (_is_stock(owner, "send_static_file") and _is_stock(owner, "get_send_file_max_age"))
        or not _is_stock(app, "get_send_file_max_age")
        or any(map(any, map(dict.values, _tables(app))))
        or app.teardown_appcontext_funcs
        or (signals.loaded and any(getattr(signals, name).receivers for name in SIGNALS))
        or not app._got_first_request
    ):
        return None
    config = app.config
    return (
        view,
        owner.static_folder,
        app.root_path,
        config["SEND_FILE_MAX_AGE_DEFAULT"],
        config["USE_X_SENDFILE"],
    )


def _blueprints(app: Any) -> dict[str, Any]:
    found: dict[str, Any] = app.blueprints
    return found


def _tables(app: Application) -> tuple[Any, ...]:
    return (
        app.before_request_funcs,
        app.after_request_funcs,
        app.teardown_request_funcs,
        app.url_value_preprocessors,
    )


def _is_stock(owner: Any, name: str) -> bool:
    return name not in owner.__dict__ and getattr(type(owner), name) in stock_methods


def _is_stock_view(view: Any, owner: Any) -> bool:
    if isinstance(view, MethodType):
        return view.__self__ is owner and view.__func__ in stock_methods
    return isinstance(view, FunctionType) and view.__code__ is urls.static_view_code
