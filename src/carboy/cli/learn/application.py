"""The application that the exercises send their requests to."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator

from carboy import Flask, Response, make_response, request, session

WAIT = 1.5  # seconds of the slow view
MOST_LINES = 600  # of the counting view
PAUSE = 0.2  # seconds between two lines of the counting view
TEXT = "text/plain; charset=utf-8"


def make(course: str) -> Flask:
    """The application; `course` is the address of the page of the course."""
    app = Flask(__name__)
    # Sessions end with the course.
    app.secret_key = secrets.token_hex()

    @app.get("/")
    def index() -> Response:
        return _text(f"This server answers the exercises. The course is at {course}\n")

    @app.get("/hello")
    def hello() -> Response:
        return _text(f"Hello, {request.args.get('name', 'stranger')}!\n")

    @app.get("/headers")
    def headers() -> Response:
        return _text("".join(f"{name!r}: {value!r}\n" for name, value in request.headers.items()))

    @app.post("/echo")
    def echo() -> Response:
        body = request.stream.read()
        return Response(b"The view got %d bytes: %b\n" % (len(body), body), mimetype="text/plain")

    @app.get("/page")
    def page() -> Response:
        response = _text("This page has a body of 43 bytes and an ETag.\n"[:43])
        response.add_etag()
        return response.make_conditional(request)

    @app.get("/login")
    def login() -> Response:
        session["name"] = request.args.get("name", "stranger")
        return _text("The response has a cookie for you.\n")

    @app.get("/me")
    def me() -> Response:
        name = session.get("name")
        return _text(f"You are {name}.\n" if name else "I do not know you.\n")

    @app.get("/slow")
    def slow() -> Response:
        time.sleep(WAIT)
        return _text(f"This view ran on the thread {threading.current_thread().name}.\n")

    @app.get("/count")
    def count() -> Response:
        def lines() -> Iterator[str]:
            for number in range(1, MOST_LINES + 1):
                yield f"{number}\n"
                time.sleep(PAUSE)

        return Response(lines(), mimetype="text/plain")

    return app


def _text(text: str) -> Response:
    return make_response((text, {"Content-Type": TEXT}))
