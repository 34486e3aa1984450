"""The application behind the page of the course."""

from __future__ import annotations

from carboy import Flask, Response, abort
from carboy.cli.learn.lessons import Lessons
from carboy.cli.learn.recorder import Recorder
from carboy.dev.explain import step_page


def make(lessons: Lessons, recorder: Recorder) -> Flask:
    """The application."""
    app = Flask(__name__)

    @app.get("/steps/<int:number>")
    def steps(number: int) -> Response:
        seen = lessons.connection(number)
        if seen is None:
            abort(404, f"Connection {number} is not recorded.")
        page = step_page.make(f"Connection {number}", seen.stepped)
        return Response(page, mimetype="text/html")

    return app
