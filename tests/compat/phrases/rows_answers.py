"""Return values of views, log messages about them, and responses."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flask
from flask.debughelpers import DebugFilesKeyError, FormDataRoutingRedirect
from jinja2 import TemplateNotFound
from table import case, row, rows
from werkzeug import exceptions
from werkzeug.routing import RequestRedirect
from werkzeug.test import create_environ
from werkzeug.wrappers import Response

NO_ANSWER = "did not return a valid response"
PASSED = "direct passthrough mode"


def returned(value: Any) -> Callable[[], Any]:
    def provoke() -> None:
        app = flask.Flask("plain")
        app.testing = True
        app.add_url_rule("/", "index", lambda: value)
        app.test_client().get("/")

    return provoke


rows(
    TypeError,
    NO_ANSWER,
    {
        "view returns None": returned(None),
        "view returns None with a status": returned((None, 200)),
        "view returns a number": returned(3),
        "view returns an object": returned(object()),
        "view returns a set": returned({1}),
        "view returns a float with a status": returned((1.5, 200)),
        "view returns a function": returned(lambda: 1),
        "view returns four": returned(("a", 1, 2, 3)),
        "view returns one in a tuple": returned(("a",)),
    },
)
row("view that returns None is named", TypeError, "The view function for 'index'", returned(None))
row("view that returns None, type", TypeError, "returned None", returned(None))
row("view that returns a wrong type", TypeError, "but it was a int", returned(3))
row("types that a view may return", TypeError, "The return type must be", returned(3))
row(
    "form of a tuple",
    TypeError,
    "tuple must have the form",
    returned(("a", 1, 2, 3)),
)
row("view returns JSON of an object", TypeError, "is not JSON serializable", returned({"a": {1}}))
row("view returns an empty status", ValueError, "Empty status argument", returned(("a", "")))
row(
    "view returns a header of two lines",
    ValueError,
    "Header values must not contain newline characters",
    returned(("a", 200, {"X": "a\nb"})),
)


@case("hook returns a number", TypeError, NO_ANSWER)
def hook_returns_a_number() -> None:
    app = flask.Flask("plain")
    app.testing = True
    app.before_request(lambda: 5)
    app.test_client().get("/")


def failing() -> Any:
    app = flask.Flask("failing")
    app.add_url_rule("/path/<x>", "view", lambda x: 1 / 0, methods=["GET", "POST"])
    return app


row(
    "exception is logged",
    "log:failing",
    "Exception on /path/1 [GET]",
    lambda: failing().test_client().get("/path/1"),
)
row(
    "exception of a POST is logged",
    "log:failing",
    "Exception on /path/1 [POST]",
    lambda: failing().test_client().post("/path/1?q=1"),
)


@case("hook fails after an error", "log:failing", "Request finalizing failed with an error")
def hook_fails_after_an_error() -> None:
    app = failing()
    app.after_request(lambda response: 1 / 0)
    app.test_client().get("/path/1")


def explained(*folders: str, name: str = "page.html") -> None:
    app = flask.Flask("explained", template_folder=str(Path("templates_1").absolute()))
    app.config["EXPLAIN_TEMPLATE_LOADING"] = True
    app.logger.setLevel("INFO")
    for folder in ("templates_1", "templates_2"):
        Path(folder).mkdir(exist_ok=True)
        Path(folder, "page.html").write_text("x")
    for number, folder in enumerate(folders):
        blueprint = flask.Blueprint(
            f"bp{number}", "bp", template_folder=str(Path(folder).absolute())
        )
        blueprint.add_url_rule("/", "x", lambda: flask.render_template(name))
        app.register_blueprint(blueprint)
    app.test_client().get("/")


@case(
    "missing template is explained",
    "log:explained",
    "Locating template 'nope.html'",
    "trying loader of application 'explained'",
    "trying loader of blueprint 'bp0'",
    "no match",
    "Error: the template could not be found",
    "looked up from an endpoint that belongs to the blueprint 'bp0'",
    "See https://flask.palletsprojects.com/blueprints/#templates",
)
def missing_template() -> None:
    explained("templates_2", name="nope.html")


@case(
    "template of two folders is explained",
    "log:explained",
    "found (",
    "Warning: multiple loaders returned a match",
)
def template_of_two_folders() -> None:
    explained("templates_2")


@case("missing template", TemplateNotFound, "nope.html")
def template_not_found() -> None:
    with flask.Flask("plain").app_context():
        flask.render_template("nope.html")


@case(
    "redirect of a form in debug mode",
    FormDataRoutingRedirect,
    "A request was sent to",
    "routing issued a redirect to",
    "The URL was defined with a trailing slash",
    "the canonical URL 'http://localhost/a/'",
    "Send requests to the canonical URL",
    "in debug mode",
)
def redirected_form() -> None:
    with flask.Flask("plain").test_request_context("/a", method="POST") as ctx:
        ctx.request.routing_exception = RequestRedirect("http://localhost/a/")
        raise FormDataRoutingRedirect(ctx.request)


@case(
    "file of a form without files in debug mode",
    DebugFilesKeyError,
    "You tried to access the file 'photo'",
    "but it does not exist",
    "mimetype for the request is",
    'enctype="multipart/form-data"',
    "no file contents were transmitted",
    "The browser instead transmitted some file names",
    "This was submitted: 'a.png'",
)
def form_without_files() -> None:
    app = flask.Flask("plain")
    app.debug = app.testing = True
    app.add_url_rule("/", "x", lambda: flask.request.files["photo"], methods=["POST"])
    app.test_client().post("/", data={"photo": "a.png"})


@case(
    "missing key of a form in debug mode",
    exceptions.BadRequestKeyError,
    "400 Bad Request",
    "KeyError: 'nope'",
)
def missing_key() -> None:
    app = flask.Flask("plain")
    app.debug = app.testing = True
    app.add_url_rule("/", "x", lambda: flask.request.form["nope"], methods=["POST"])
    app.test_client().post("/")


def aborted(code: int, name: str, error: type[Exception]) -> None:
    row(f"abort({code})", error, f"{code} {name}", lambda: flask.abort(code))


aborted(400, "Bad Request", exceptions.BadRequest)
aborted(401, "Unauthorized", exceptions.Unauthorized)
aborted(403, "Forbidden", exceptions.Forbidden)
aborted(404, "Not Found", exceptions.NotFound)
aborted(405, "Method Not Allowed", exceptions.MethodNotAllowed)
aborted(409, "Conflict", exceptions.Conflict)
aborted(410, "Gone", exceptions.Gone)
aborted(413, "Request Entity Too Large", exceptions.RequestEntityTooLarge)
aborted(415, "Unsupported Media Type", exceptions.UnsupportedMediaType)
aborted(418, "I'm a teapot", exceptions.ImATeapot)
aborted(422, "Unprocessable Entity", exceptions.UnprocessableEntity)
aborted(429, "Too Many Requests", exceptions.TooManyRequests)
aborted(500, "Internal Server Error", exceptions.InternalServerError)
aborted(503, "Service Unavailable", exceptions.ServiceUnavailable)
row("abort with an unknown code", LookupError, "no exception for 999", lambda: flask.abort(999))
row("abort with text", LookupError, "no exception for '404'", lambda: exceptions.abort("404"))
row(
    "abort with a description",
    exceptions.NotFound,
    "404 Not Found: gone fishing",
    lambda: flask.abort(404, "gone fishing"),
)
rows(
    RuntimeError,
    PASSED,
    {
        "data passed through": lambda: Response(iter("a"), direct_passthrough=True).data,
        "get_data passed through": lambda: Response(iter("a"), direct_passthrough=True).get_data(),
    },
)
row(
    "data passed through says why",
    RuntimeError,
    "Attempted implicit sequence conversion",
    lambda: Response(iter("a"), direct_passthrough=True).data,
)


@case(
    "iterable without implicit conversion", RuntimeError, "required the iterable to be a sequence"
)
def without_conversion() -> None:
    class Strict(Response):
        implicit_sequence_conversion = False

    Strict(iter("a")).get_data()


row(
    "application made a response without environ",
    TypeError,
    "cannot convert WSGI application into response objects",
    lambda: Response.force_type(lambda environ, start: []),
)
row("empty status", ValueError, "Empty status argument", lambda: Response(status=""))
row(
    "big cookie",
    UserWarning,
    "The 'a' cookie is too large",
    lambda: Response().set_cookie("a", "x" * 5000),
)
row(
    "SameSite of another value",
    ValueError,
    "SameSite must be 'Strict', 'Lax', or 'None'",
    lambda: Response().set_cookie("a", samesite="x"),
)
row("etag with a quote", ValueError, "invalid etag", lambda: Response().set_etag('a"'))


@case("write to a closed stream", ValueError, "I/O operation on closed file")
def closed_stream() -> None:
    stream = Response().stream
    stream.close()
    stream.write(b"x")


row(
    "range beyond the content",
    exceptions.RequestedRangeNotSatisfiable,
    "416 Requested Range Not Satisfiable",
    lambda: Response("x").make_conditional(
        create_environ(headers={"Range": "bytes=5-9"}), accept_ranges=True, complete_length=1
    ),
)


def sent(*args: Any, **options: Any) -> Callable[[], Any]:
    def provoke() -> None:
        with flask.Flask("plain").test_request_context():
            flask.send_file(*args, **options)

    return provoke


row(
    "text file sent",
    ValueError,
    "Files must be opened in binary mode or use BytesIO",
    sent(io.StringIO("x"), mimetype="text/plain"),
)
row("unnamed file sent", TypeError, "Unable to detect the MIME type", sent(io.BytesIO(b"x")))
row(
    "unnamed attachment sent",
    TypeError,
    "No name provided for attachment",
    sent(io.BytesIO(b"x"), mimetype="a/b", as_attachment=True),
)
row("missing file sent", FileNotFoundError, "No such file or directory", sent("/nope/nope"))
