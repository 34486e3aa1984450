"""Contexts and the functions that require them, sessions, and proxies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import flask
from table import case, row, rows
from werkzeug.local import Local, LocalProxy, LocalStack
from werkzeug.routing import BuildError

NO_REQUEST = "Working outside of request context."
NO_APP = "Working outside of application context."
NO_KEY = "The session is unavailable because no secret key was set"
UNBOUND = "object is not bound"

plain = flask.Flask("plain")

rows(
    RuntimeError,
    NO_REQUEST,
    {
        "request outside": lambda: flask.request.args,
        "request set outside": lambda: setattr(flask.request, "x", 1),
        "request subscripted outside": lambda: flask.request["a"],
        "request taken out of its proxy": flask.request._get_current_object,
        "session outside": lambda: flask.session["a"],
        "session changed outside": lambda: flask.session.update(a=1),
        "request_ctx outside": lambda: flask.globals.request_ctx.request,
        "flash outside": lambda: flask.flash("x"),
        "get_flashed_messages outside": flask.get_flashed_messages,
    },
)
rows(
    RuntimeError,
    NO_APP,
    {
        "current_app outside": lambda: flask.current_app.name,
        "current_app's configuration outside": lambda: flask.current_app.config["X"],
        "g outside": lambda: flask.g.x,
        "g set outside": lambda: setattr(flask.g, "x", 1),
        "app_ctx outside": lambda: flask.globals.app_ctx.app,
        "render_template outside": lambda: flask.render_template("x"),
        "render_template_string outside": lambda: flask.render_template_string("x"),
        "stream_template outside": lambda: flask.stream_template("x"),
        "get_template_attribute outside": lambda: flask.get_template_attribute("x", "y"),
        "jsonify outside": lambda: flask.jsonify(1),
        "make_response outside": lambda: flask.make_response("x"),
        "url_for outside": lambda: flask.url_for("x"),
        "send_from_directory outside": lambda: flask.send_from_directory(".", "x"),
    },
)
row(
    "after_this_request outside",
    RuntimeError,
    "'after_this_request' can only be used when a request context",
    lambda: flask.after_this_request(lambda response: response),
)
row(
    "copy_current_request_context outside",
    RuntimeError,
    "'copy_current_request_context' can only be used when a request context",
    lambda: flask.copy_current_request_context(lambda: 1),
)
row(
    "stream_with_context outside",
    RuntimeError,
    "'stream_with_context' can only be used when a request context",
    lambda: flask.stream_with_context(iter("ab")),
)


@case(
    "stream_with_context as a decorator",
    RuntimeError,
    "'stream_with_context' can only be used when a request context",
)
def decorated_stream() -> None:
    @flask.stream_with_context
    def letters() -> Iterator[str]:
        yield "a"

    list(letters())


@case("application context popped out of order", AssertionError, "Popped wrong app context")
def wrong_app_context() -> None:
    outer, inner = plain.app_context(), plain.app_context()
    outer.push()
    inner.push()
    outer.pop()


@case("request context popped out of order", AssertionError, "Popped wrong request context")
def wrong_request_context() -> None:
    outer, inner = plain.test_request_context(), plain.test_request_context()
    outer.push()
    inner.push()
    try:
        outer.pop()
    finally:
        while flask.has_request_context():
            flask.globals._cv_request.set(None)
            flask.globals._cv_app.set(None)


@case(
    "url_for without SERVER_NAME",
    RuntimeError,
    "Unable to build URLs outside an active request without 'SERVER_NAME'",
)
def url_without_server() -> None:
    with plain.app_context():
        flask.url_for("static", filename="x")


@case(
    "url_for with a scheme for a path", ValueError, "When specifying '_scheme', '_external' must be"
)
def scheme_of_a_path() -> None:
    with plain.test_request_context():
        flask.url_for("static", filename="x", _scheme="https", _external=False)


@case("url_for of nothing", BuildError, "Could not build url for endpoint 'nope'")
def url_of_nothing() -> None:
    with plain.test_request_context():
        flask.url_for("nope")


@case("url_for without a value", BuildError, "Did you forget to specify values ['filename']?")
def url_without_value() -> None:
    with plain.test_request_context():
        flask.url_for("static")


@case("url_for misspelt", BuildError, "Did you mean 'static' instead?")
def url_misspelt() -> None:
    with plain.test_request_context():
        flask.url_for("statix")


def keyless(change: Callable[[Any], Any]) -> Callable[[], None]:
    def provoke() -> None:
        with plain.test_request_context():
            change(flask.session)

    return provoke


rows(
    RuntimeError,
    NO_KEY,
    {
        "session without a key": keyless(lambda session: session.__setitem__("a", 1)),
        "session without a key: del": keyless(lambda session: session.__delitem__("a")),
        "session without a key: pop": keyless(lambda session: session.pop("a")),
        "session without a key: clear": keyless(lambda session: session.clear()),
        "session without a key: update": keyless(lambda session: session.update(a=1)),
        "session without a key: setdefault": keyless(lambda session: session.setdefault("a", 1)),
        "session without a key: popitem": keyless(lambda session: session.popitem()),
        "flash without a key": keyless(lambda session: flask.flash("x")),
    },
)
rows(
    RuntimeError,
    UNBOUND,
    {
        "name of an empty Local": lambda: Local()("user").name,
        "empty LocalStack": lambda: LocalStack()().name,
        "unset context variable": lambda: LocalProxy(ContextVar("v")).name,
        "unset context variable itself": lambda: LocalProxy(ContextVar("v"))._get_current_object(),
        "length of an unbound proxy": lambda: len(LocalProxy(ContextVar("v"))),
        "call of an unbound proxy": LocalProxy(ContextVar("v")),
        "sum with an unbound proxy": lambda: LocalProxy(ContextVar("v")) + 1,
        "number of an unbound proxy": lambda: int(LocalProxy(ContextVar("v"))),
    },
)
row(
    "unbound proxy with words of its own",
    RuntimeError,
    "my words",
    lambda: LocalProxy(Local(), "x", unbound_message="my words").y,
)
row(
    "proxy of a Local without a name",
    TypeError,
    "'name' is required when proxying",
    lambda: LocalProxy(Local()),
)
row("proxy of a number", TypeError, "Don't know how to proxy", lambda: LocalProxy(3))
row("repr of unbound proxies", "output", "unbound>", lambda: print(repr(flask.request)))
row("attribute of an empty Local", AttributeError, "nope", lambda: Local().nope)
