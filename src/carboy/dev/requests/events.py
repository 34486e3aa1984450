"""Events while a request is handled: signals, templates, log lines and errors.

Signals and log records do not name the request they belong to. A context variable holds its
record, so that requests on other threads are not mixed up.
"""

from __future__ import annotations

import json
import logging
import reprlib
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from carboy.app import signals
from carboy.dev.masking import masked, masked_url
from carboy.dev.requests import sql
from carboy.dev.requests.store import TEXT, Record

current: ContextVar[Record | None] = ContextVar("carboy_dev_record", default=None)
_environ: ContextVar[dict[str, Any]] = ContextVar("carboy_dev_environ")

SILENT = ("before_render_template",)  # reported by template_rendered
_short = reprlib.Repr()
_short.maxstring = _short.maxother = 300
_installed = False
_session: Callable[[], Any]
_aside: Callable[[Callable[[], None]], None]
_cost: Callable[[int], float]


@contextmanager
def recording_in(record: Record, environ: dict[str, Any]) -> Iterator[None]:
    """Within this context, events belong to `record`."""
    tokens = current.set(record), _environ.set(environ)
    try:
        yield
    finally:
        current.reset(tokens[0])
        _environ.reset(tokens[1])


def install(
    session: Callable[[], Any],
    aside: Callable[[Callable[[], None]], None],
    cost: Callable[[int], float],
) -> None:
    """Connect to signals and logging in this process. Further calls only replace the arguments.

    `session` returns the session of the current request if it was opened. `aside` calls a function
    without recording it. `cost` gives the seconds that recording has taken for a record number.
    """
    global _installed, _session, _aside, _cost
    _session, _aside, _cost = session, aside, cost
    if _installed:
        return
    _installed = True
    for found in {id(each): each for each in _frameworks()}.values():
        for name in signals.__all__:
            if name not in SILENT:
                # Not weak, because there is no other reference to these functions.
                getattr(found, name).connect(_receiver(name), weak=False)
    before = logging.getLogRecordFactory()

    # Not a handler: with a handler on the root logger, Flask would not add its own.
    def factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
        line = before(*args, **kwargs)
        _noted(line)
        return line

    logging.setLogRecordFactory(factory)


def _frameworks() -> list[Any]:
    """The modules with signals: Carboy's, and Flask's if it is loaded."""
    return [signals, *filter(None, [sys.modules.get("flask.signals")])]


def _noted(line: logging.LogRecord) -> None:
    record = current.get()
    if record is None:
        return
    try:
        text = line.getMessage()
    except Exception:  # The arguments do not fit the message. The logging module reports that.
        text = str(line.msg)
    note(record, "log", f"{line.levelname} {line.name}", text)


def note(record: Record, kind: str, title: str, detail: str = "") -> None:
    """Add an event to a request that is being handled."""
    record.note(kind, title, detail, _cost(record.number))


def watch_sql() -> None:
    """Record SQL statements from now on, of the packages that are loaded by now."""
    sql.watch(_note_sql)


def _note_sql(statement: str, values: str, seconds: float) -> None:
    record = current.get()
    if record is not None:
        took = f"{seconds * 1000:.2f} ms"
        _aside(lambda: note(record, "sql", statement, f"{took} {values}".rstrip()))


def _receiver(name: str) -> Any:
    def receive(sender: Any, **given: Any) -> None:
        record = current.get()
        if record is not None:
            _aside(lambda: _take(record, name, given))

    return receive


def _take(record: Record, name: str, given: dict[str, Any]) -> None:
    if name == "request_started":
        _note_rule(record)
    elif name in ("request_finished", "got_request_exception"):
        _note_body(record)
        _note_session(record)
    if name == "template_rendered":
        context = masked("", given.get("context") or {})
        lines = (f"{key} = {_shown(value)}" for key, value in sorted(context.items()))
        note(record, "template", str(given["template"].name or "a string"), "\n".join(lines))
    elif name == "got_request_exception":
        _note_error(record, given["exception"])
    elif name == "message_flashed":
        note(record, "flash", str(given.get("category")), str(given.get("message")))
    else:
        note(record, "signal", name)


def _note_error(record: Record, error: BaseException) -> None:
    text = "".join(traceback.format_exception(error))
    note(record, "error", "".join(traceback.format_exception_only(error)).strip(), text)


def watch_django() -> None:
    """Record the exceptions that Django answers itself, if it is loaded."""
    found = sys.modules.get("django.core.signals")
    if found is not None:  # connecting twice has no effect
        found.got_request_exception.connect(_django_failed, weak=False, dispatch_uid=__name__)


def _django_failed(sender: Any, **given: Any) -> None:
    record, error = current.get(), sys.exception()
    if record is not None and error is not None:
        _aside(lambda: _note_error(record, error))


def note_django_route(record: Record, path: str) -> None:
    """Add the route and the view of Django for a path, if Django is loaded and has one."""
    urls = sys.modules.get("django.urls")
    if urls is None or record.rule:
        return
    try:
        match = urls.resolve(path.encode("latin-1").decode("utf-8", "replace"))
    except Exception:
        return  # no route, or Django is not configured
    record.rule, record.endpoint = f"/{match.route}", str(match.view_name)


def _shown(value: Any) -> str:
    try:
        return masked_url(_short.repr(value))
    except Exception as problem:
        return f"<its repr raises {type(problem).__name__}>"


def _note_rule(record: Record) -> None:
    request = _environ.get().get("werkzeug.request")
    record.rule = str(getattr(request, "url_rule", None) or "")
    record.endpoint = str(getattr(request, "endpoint", None) or "")


def _note_body(record: Record) -> None:
    """Form, file names and JSON, if the application has read them. They are not read here."""
    read = getattr(_environ.get().get("werkzeug.request"), "__dict__", {})
    if (form := read.get("form")) is not None:
        record.form = [(name, str(masked(name, value))) for name, value in form.items(multi=True)]
    if (files := read.get("files")) is not None:
        record.files = [(name, str(file.filename)) for name, file in files.items(multi=True)]
    found = read.get("_cached_json", (...,))[0]
    if found is not ...:
        record.json = json.dumps(masked("", found), ensure_ascii=False, default=repr)[:TEXT]


def _note_session(record: Record) -> None:
    """The session after the view."""
    try:
        found = dict(_session() or {})
    except Exception:
        return  # a session class of the application that cannot be read
    record.session = [(str(k), _shown(masked(str(k), v))) for k, v in found.items()]
