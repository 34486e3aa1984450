"""The application behind the page of the course. It sends only to the server of the exercises."""

from __future__ import annotations

import threading
from typing import Any

from carboy import Flask, Response, abort, jsonify, request
from carboy.cli.learn.client import HOST, Client
from carboy.cli.learn.lessons import Lessons
from carboy.cli.learn.recorder import Recorder
from carboy.dev.access import same_origin
from carboy.dev.explain import step_page
from carboy.dev.learn import page
from carboy.dev.learn.course import EXERCISES
from carboy.dev.learn.typed import TypedError, excerpt, of_text

HOSTS = ("127.0.0.1", "localhost", "[::1]")
MOST_RECEIVED = 16 * 1024  # bytes of a response that are kept
MOST_LINES = 60  # of a response
MOST_SENT = 1024 * 1024  # bytes of a request of the page


class Sender:
    """The client of the page, and the bytes that it got."""

    def __init__(self, port: int, recorder: Recorder) -> None:
        self.client = Client(port, recorder, self._receive)
        self._lock = threading.Lock()
        self._data = b""
        self._sent = False

    def send(self, data: bytes, where: str) -> None:
        """Send on the open connection ("same"), a new one, or two new ones ("twice")."""
        with self._lock:
            self._data, self._sent = b"", True
        if where == "twice":
            self.client.send_at_once(data, 2)
        else:
            self.client.send(data, on_new=where != "same")

    def forget(self) -> None:
        """Close the connection and forget the response."""
        self.client.hang_up()
        with self._lock:
            self._data, self._sent = b"", False

    def state(self) -> dict[str, Any]:
        """The open connection and the response so far."""
        with self._lock:
            data = self._data
        recording = self.client.recording
        waits = ""
        if recording is not None and self._sent:
            waits = _waiting(recording.reads_body, self.client.is_between_requests,
                             recording.waits_for_view)  # fmt: skip
        return {
            "open": recording.number if recording is not None else 0,
            "waits": waits,
            "received": excerpt(data, MOST_LINES),
        }

    def _receive(self, data: bytes) -> None:
        with self._lock:
            self._data = (self._data + data)[:MOST_RECEIVED]


def _waiting(body: bool, between: bool, view: bool) -> str:
    if between:
        return "The connection is open for another request."
    if view:
        return "The view is running."
    if body:
        return "The server waits for more bytes of the body."
    return "The server waits for the rest of the head, which ends in an empty line."


def make(lessons: Lessons, recorder: Recorder) -> Flask:
    """The application."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = 4 * MOST_SENT
    views = CoursePage(lessons, Sender(lessons.port, recorder))
    app.before_request(_refused)
    app.after_request(_not_stored)
    app.register_error_handler(404, views.missing)
    app.get("/")(views.course)
    app.get("/favicon.ico")(views.icon)
    app.get("/state")(views.state)
    app.get("/steps/<int:number>")(views.steps)
    app.post("/begin")(views.begin)
    app.post("/send")(views.send)
    app.post("/hang-up")(views.hang_up)
    app.post("/answer")(views.answer)
    return app


def _refused() -> Response | None:
    """A page of another site may neither read the course nor send to it."""
    name = request.host.rpartition(":")[0] or request.host
    if name not in HOSTS:
        return _text("The course answers under the name 127.0.0.1 or localhost only.\n", 403)
    if request.method == "POST" and not (request.is_json and same_origin(request.environ)):
        return _text("Only the page of the course may send this.\n", 403)
    return None


def _not_stored(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    return response


class CoursePage:
    """The views of the page."""

    def __init__(self, lessons: Lessons, sender: Sender) -> None:
        self._lessons = lessons
        self._sender = sender
        self._address = f"{HOST}:{lessons.port}"

    def missing(self, error: Exception) -> Response:
        """Another path: the learner may have mixed up the two servers."""
        return _text(
            f"This server has the page of the course only: {request.host_url}\n"
            f"The server of the exercises is {self._address}\n",
            404,
        )

    def course(self) -> Response:
        """The page; it fetches its state."""
        response = Response(page.html(), mimetype="text/html")
        response.headers["Content-Security-Policy"] = page.POLICY
        return response

    def icon(self) -> tuple[str, int]:
        """Browsers ask for it."""
        return "", 204

    def state(self) -> Response:
        """Everything that the page shows."""
        return jsonify(_state(self._lessons, self._address) | {"client": self._sender.state()})

    def steps(self, number: int) -> Response:
        """The steps of a connection."""
        seen = self._lessons.connection(number)
        if seen is None:
            abort(404)
        found = step_page.make(f"Connection {number}", seen.stepped)
        return Response(found, mimetype="text/html")

    def begin(self) -> Response:
        """Begin an exercise, in the terminal too."""
        number = _given().get("number")
        if type(number) is not int or not 1 <= number <= len(EXERCISES):
            return _problem(f"There is no exercise {number!r}.")
        if number != self._lessons.number:
            self._sender.forget()
            self._lessons.begin(number)
        return jsonify({})

    def send(self) -> Response:
        """Send the bytes that the learner has written."""
        given = _given()
        try:
            data = of_text(str(given.get("text", "")).replace("\r\n", "\n"))
        except TypedError as problem:
            return _problem(str(problem))
        if not data:
            return _problem("There is nothing to send. Write a request first.")
        if len(data) > MOST_SENT:
            return _problem(f"A request of this page may have {MOST_SENT:,} bytes.")
        try:
            self._sender.send(data, str(given.get("where")))
        except OSError as problem:
            return _problem(f"The bytes were not sent: {problem.strerror}.")
        return jsonify({})

    def hang_up(self) -> Response:
        """Close the connection of the page."""
        self._sender.client.hang_up()
        return jsonify({})

    def answer(self) -> Response:
        """Check an answer."""
        given = _given()
        number = given.get("number")
        if type(number) is not int:
            return _problem("The answer names no question.")
        verdict = self._lessons.answer(number, str(given.get("text", "")))
        return jsonify({"right": verdict.reached, "text": verdict.text})


def _given() -> dict[str, Any]:
    given = request.get_json(silent=True)
    return given if isinstance(given, dict) else {}


def _state(lessons: Lessons, address: str) -> dict[str, Any]:
    number, exercise = lessons.number, lessons.exercise
    found: dict[str, Any] = {
        "address": address,
        "exercises": page.listing(lessons.progress),
        "number": number,
        "exercise": None,
        "findings": [],
        "example": None,
    }
    if exercise is None:
        return found
    seen = lessons.seen()
    lessons.look()
    recent = [each for _, of, each in lessons.findings() if of == number][-page.MOST_FINDINGS :]
    verdicts = lessons.verdicts() if seen else []
    example = lessons.example()
    return found | {
        "exercise": page.exercise_of(exercise, lessons.progress, verdicts, address),
        "findings": [page.finding_of(each, seen) for each in recent],
        "example": {"text": example[0], "then": example[1]} if example else None,
    }


def _text(text: str, status: int) -> Response:
    return Response(text, status, mimetype="text/plain")


def _problem(text: str) -> Response:
    response = jsonify({"problem": text})
    response.status_code = 400
    return response
