"""Events while a request is handled: signals, templates, log lines and errors."""

from __future__ import annotations

import json
import logging
import reprlib
import sys
import traceback
from collections.abc import Callable
from typing import Any

from carboy.app import signals
from carboy.dev.masking import masked, masked_url
from carboy.dev.requests.recording import Recording, current
from carboy.dev.requests.store import LONGEST_JSON, Record

UNANSWERED = "500 Internal Server Error"  # of the server, if the application has not answered
_short = reprlib.Repr()
_short.maxstring = _short.maxother = 300
_installed = False
_session: Callable[[], Any]


def install(session: Callable[[], Any]) -> None:
    """Connect to signals and logging in this process. Further calls only replace the argument.

    `session` returns the session of the current request if it was opened.
    """
    global _installed, _session
    _session = session
    if _installed:
        return
    _installed = True
    for found in {id(each): each for each in _frameworks()}.values():
        for name in signals.__all__:
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
    recording = current.get()
    if recording is None:
        return
    try:
        text = line.getMessage()
    except Exception:  # The arguments do not fit the message. The logging module reports that.
        text = str(line.msg)
    recording.note("log", f"{line.levelname} {line.name}", text)


def _receiver(name: str) -> Any:
    def receive(sender: Any, **given: Any) -> None:
        recording = current.get()
        if recording is not None:
            recording.aside(lambda: _take(recording, name, given))

    return receive


def _take(recording: Recording, name: str, given: dict[str, Any]) -> None:
    if name == "request_started":
        _note_rule(recording)
    elif name in ("request_finished", "got_request_exception"):
        _note_body(recording)
        _note_session(recording.record)
    if name == "before_render_template":
        name = str(given["template"].name or "a string")
        recording.templates[id(given.get("context"))] = recording.now(), name
    elif name == "template_rendered":
        began, _ = recording.templates.pop(id(given.get("context")), (None, ""))
        context = masked("", given.get("context") or {})
        lines = (f"{key} = {_shown(value)}" for key, value in sorted(context.items()))
        title = str(given["template"].name or "a string")
        recording.note("template", title, "\n".join(lines), began)
    elif name == "got_request_exception":
        recording.cut_templates()
        note_error(recording, given["exception"])
    elif name == "message_flashed":
        recording.note("flash", str(given.get("category")), str(given.get("message")))
    else:
        recording.note("signal", name)


def note_error(recording: Recording, error: BaseException) -> None:
    """Add an exception, once even if it is seen again on its way out."""
    if recording.error is error:
        return
    recording.error = error
    record = recording.record
    record.status = record.status or UNANSWERED
    text = "".join(traceback.format_exception(error))
    recording.note("error", "".join(traceback.format_exception_only(error)).strip(), text)


def watch_django() -> None:
    """Record the exceptions that Django answers itself, if it is loaded."""
    found = sys.modules.get("django.core.signals")
    if found is not None:  # connecting twice has no effect
        found.got_request_exception.connect(_django_failed, weak=False, dispatch_uid=__name__)


def _django_failed(sender: Any, **given: Any) -> None:
    recording, error = current.get(), sys.exception()
    if recording is not None and error is not None:
        recording.aside(lambda: note_error(recording, error))


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


def _note_rule(recording: Recording) -> None:
    record, request = recording.record, recording.environ.get("werkzeug.request")
    record.rule = str(getattr(request, "url_rule", None) or "")
    record.endpoint = str(getattr(request, "endpoint", None) or "")


def _note_body(recording: Recording) -> None:
    """Form, file names and JSON, if the application has read them. They are not read here."""
    record = recording.record
    read = getattr(recording.environ.get("werkzeug.request"), "__dict__", {})
    if (form := read.get("form")) is not None:
        record.form = [(name, str(masked(name, value))) for name, value in form.items(multi=True)]
    if (files := read.get("files")) is not None:
        record.files = [(name, str(file.filename)) for name, file in files.items(multi=True)]
    found = read.get("_cached_json", (...,))[0]
    if found is not ...:
        text = json.dumps(masked("", found), ensure_ascii=False, default=repr)
        record.json, record.json_cut = text[:LONGEST_JSON], len(text) > LONGEST_JSON


def _note_session(record: Record) -> None:
    """The session after the view."""
    try:
        found = dict(_session() or {})
    except Exception:
        return  # a session class of the application that cannot be read
    record.session = [(str(k), _shown(masked(str(k), v))) for k, v in found.items()]
