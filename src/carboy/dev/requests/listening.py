"""What an application does while it answers: signals, templates, log lines, errors.

All of it is told to whoever listens, with nothing about the request; which record it belongs
to is a context variable, so that threads and copied contexts do not mix.
"""

from __future__ import annotations

import logging
import reprlib
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from carboy.app import signals
from carboy.dev.debugger.request import masked, masked_url
from carboy.dev.requests.record import Record

current: ContextVar[Record | None] = ContextVar("carboy_dev_record", default=None)
_environ: ContextVar[dict[str, Any]] = ContextVar("carboy_dev_environ")

SILENT = ("before_render_template",)  # its template is told of when it has been rendered
_short = reprlib.Repr()
_short.maxstring = _short.maxother = 300
_installed = False


@contextmanager
def noting(record: Record, environ: dict[str, Any]) -> Iterator[None]:
    """What happens in this context meanwhile is of `record`."""
    tokens = current.set(record), _environ.set(environ)
    try:
        yield
    finally:
        current.reset(tokens[0])
        _environ.reset(tokens[1])


def install() -> None:
    """Listen, in this process and from now on. Doing it twice is doing it once."""
    global _installed
    if _installed:
        return
    _installed = True
    for name in signals.__all__:
        if name not in SILENT:
            # Not weak: nobody else holds these.
            getattr(signals, name).connect(_receiver(name), weak=False)
    before = logging.getLogRecordFactory()

    # Not a handler: one on the root logger would tell Flask that it needs none of its own.
    def factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
        line = before(*args, **kwargs)
        _noted(line)
        return line

    logging.setLogRecordFactory(factory)


def _noted(line: logging.LogRecord) -> None:
    record = current.get()
    if record is None:
        return
    try:
        text = line.getMessage()
    except Exception:  # arguments that do not fit: the logging module will say so
        text = str(line.msg)
    record.note("log", f"{line.levelname} {line.name}", text)


def _receiver(name: str) -> Any:
    def receive(sender: Any, **given: Any) -> None:
        record = current.get()
        if record is not None:
            _take(record, name, given)

    return receive


def _take(record: Record, name: str, given: dict[str, Any]) -> None:
    if name == "request_started":
        _note_rule(record)
    elif name == "request_finished":
        _note_form(record)
    if name == "template_rendered":
        context = masked("", given.get("context") or {})
        lines = (f"{key} = {_shown(value)}" for key, value in sorted(context.items()))
        record.note("template", str(given["template"].name or "a string"), "\n".join(lines))
    elif name == "got_request_exception":
        error = given["exception"]
        text = "".join(traceback.format_exception(error))
        record.note("error", "".join(traceback.format_exception_only(error)).strip(), text)
    elif name == "message_flashed":
        record.note("flash", str(given.get("category")), str(given.get("message")))
    else:
        record.note("signal", name)


def _shown(value: Any) -> str:
    try:
        return masked_url(_short.repr(value))
    except Exception as problem:
        return f"<its repr raises {type(problem).__name__}>"


def _note_rule(record: Record) -> None:
    request = _environ.get().get("werkzeug.request")
    record.rule = str(getattr(request, "url_rule", None) or "")
    record.endpoint = str(getattr(request, "endpoint", None) or "")


def _note_form(record: Record) -> None:
    """The form, if the application has read it; nobody else may."""
    request = _environ.get().get("werkzeug.request")
    form = getattr(request, "__dict__", {}).get("form")
    if form is not None:
        record.form = [(name, str(masked(name, value))) for name, value in form.items(multi=True)]
