"""Makes or reads pickles of objects of Flask and Werkzeug. Run by test_pickles.py.

pickle_scenarios.py SIDE dump FILE    writes the pickles, and prints what is in the objects
pickle_scenarios.py SIDE load FILE    prints what is in the objects that are read
"""

from __future__ import annotations

import io
import json
import pickle
import sys
from pathlib import Path
from typing import Any

if sys.argv[1] == "carboy":
    import carboy.compat

    carboy.compat.install()

import flask
import flask.ctx
import flask.json.tag
import flask.sessions
import werkzeug.datastructures as ds
import werkzeug.exceptions as errors
import werkzeug.sansio.multipart as multipart
import werkzeug.test
import werkzeug.user_agent
import werkzeug.wrappers as wrappers
from markupsafe import Markup
from werkzeug._internal import _missing

app = flask.Flask("x")
PROTOCOLS = (2, pickle.HIGHEST_PROTOCOL)


def responses() -> dict[str, Any]:
    with app.test_request_context("/"):
        made = {
            "jsonify": flask.jsonify(a=1, b=[1, 2]),
            "text": flask.Response("ä", 201, {"X-A": "b"}),
            "bytes": flask.Response(b"bytes", status="299 Odd", mimetype="text/x"),
            "parts": flask.Response(["a", b"b"], headers=[("A", "1"), ("A", "2")]),
            "empty": flask.Response(status=204),
            "redirect": flask.redirect("/elsewhere"),
            "passed through": flask.Response([b"x"], direct_passthrough=True),
            "Werkzeug's": wrappers.Response("plain"),
            "frozen": flask.jsonify(1),
            "of a view": flask.make_response("text"),
        }
        made["frozen"].freeze()
        made["of a view"].set_cookie("c", "d")
        made["of a view"].vary.add("x")
        made["of a view"].cache_control.max_age = 5
        made["of a view"].custom = 5
    return made


def structures() -> dict[str, Any]:
    pairs = [("a", "1"), ("a", "2"), ("b", "3")]
    made: dict[str, Any] = {
        kind.__name__: kind(pairs)
        for kind in (ds.MultiDict, ds.ImmutableMultiDict, ds.Headers, ds.FileMultiDict)
    }
    for kind in (ds.TypeConversionDict, ds.ImmutableTypeConversionDict, ds.ImmutableDict):
        made[kind.__name__] = kind({"a": "1"})
    for directives in (ds.RequestCacheControl, ds.ResponseCacheControl):
        made[directives.__name__] = directives({"max-age": "5", "no-cache": None})
    for accept in (ds.Accept, ds.MIMEAccept, ds.LanguageAccept, ds.CharsetAccept):
        made[accept.__name__] = accept([("a", 1), ("b", 0.5)])
    return made | {
        "CombinedMultiDict": ds.CombinedMultiDict([made["MultiDict"]]),
        "CallbackDict": ds.CallbackDict({"a": 1}),
        "ImmutableList": ds.ImmutableList([1, 2]),
        "HeaderSet": ds.HeaderSet(["A", "b"]),
        "ETags": ds.ETags(["a"], ["b"]),
        "policy": ds.ContentSecurityPolicy({"default-src": "'self'"}),
        "Range": ds.Range("bytes", [(0, 5)]),
        "ContentRange": ds.ContentRange("bytes", 0, 5, 10),
        "IfRange": ds.IfRange(etag="x"),
    }


def exceptions() -> dict[str, Any]:
    made: dict[str, Any] = {
        f"error {kind.code}": kind("why") for kind in errors.default_exceptions.values()
    }
    return made | {
        "plain error": errors.NotFound(),
        "methods": errors.MethodNotAllowed(["GET", "POST"]),
        "later": errors.TooManyRequests(retry_after=5),
        "range": errors.RequestedRangeNotSatisfiable(5),
        "key": errors.BadRequestKeyError("k"),
        "cause": errors.InternalServerError(original_exception=ValueError("x")),
        "response": errors.HTTPException("d", response=flask.Response("r", status=418)),
    }


def others() -> dict[str, Any]:
    kept = flask.ctx._AppCtxGlobals()
    kept.a = 1
    return {
        "g": kept,
        "config": flask.Config("/x", {"A": 1}),
        "user agent": werkzeug.user_agent.UserAgent("x y"),
        "markup": Markup("<b>"),
        "part": multipart.Field(name="a", headers=ds.Headers([("a", "b")])),
        "missing": _missing,
        "classes and functions": [
            *(flask.Response, flask.Request, flask.Blueprint, flask.url_for, flask.jsonify),
            *(errors.NotFound, ds.MultiDict, wrappers.Response, werkzeug.test.Client),
        ],
    }


def not_pickled_by_the_real_ones() -> dict[str, Any]:
    session = flask.sessions.SecureCookieSession({"a": 1})
    return {
        "session": session,
        "file": ds.FileStorage(io.BytesIO(b"x"), "n.txt", "f", "text/plain"),
        "credentials": ds.Authorization("basic", {"username": "a", "password": "b"}),
    }


def told(thing: Any) -> Any:
    """The content of an object as JSON."""
    kind = f"{type(thing).__module__}.{type(thing).__qualname__}"
    if isinstance(thing, wrappers.Response):
        content = [thing.status, list(thing.headers), repr(thing.response), thing.is_sequence]
        content += [thing.direct_passthrough, getattr(thing, "custom", None)]
        thing.set_data("changed")
        thing.close()
        return [kind, *content, thing.get_data(as_text=True), thing.content_length]
    if isinstance(thing, errors.HTTPException):
        page = told(thing.response) if thing.response is not None else None
        more = {name: repr(value) for name, value in vars(thing).items() if name != "response"}
        return [kind, thing.code, thing.description, page, sorted(more), str(thing)]
    if isinstance(thing, ds.MultiDict):
        return [kind, list(thing.items(multi=True))]
    if hasattr(thing, "to_header"):
        return [kind, thing.to_header()]
    if isinstance(thing, flask.sessions.SecureCookieSession):
        before = dict(thing)
        thing["b"] = 2
        return [kind, before, thing.modified]
    if isinstance(thing, ds.FileStorage):
        return [kind, thing.filename, thing.name, thing.content_type, thing.read().decode()]
    if isinstance(thing, flask.ctx._AppCtxGlobals):
        return [kind, list(thing)]
    if isinstance(thing, list | tuple):
        return [kind, [repr(each).partition(" at 0x")[0] for each in thing]]
    return [kind, repr(dict(thing) if isinstance(thing, dict) else thing).partition(" at 0x")[0]]


def main(mode: str, file: Path) -> None:
    if mode == "dump":
        things = responses() | structures() | exceptions() | others()
        if sys.argv[1] == "carboy":
            things |= not_pickled_by_the_real_ones()
        pickled = {
            f"{name}, protocol {protocol}": pickle.dumps(thing, protocol)
            for name, thing in things.items()
            for protocol in PROTOCOLS
        }
        file.write_bytes(pickle.dumps(pickled))
        found = {name: told(pickle.loads(each)) for name, each in pickled.items()}
    else:
        found = {}
        for name, each in pickle.loads(file.read_bytes()).items():
            try:
                found[name] = told(pickle.loads(each))
            except Exception as error:
                found[name] = repr(error)
    print(json.dumps(found))


main(sys.argv[2], Path(sys.argv[3]))
