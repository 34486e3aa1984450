"""`python -m bench.reload`: the time from saving a file to the first response of the new code.

Each development server serves the notes application of examples/. A module is saved repeatedly, and
a client sends requests every few milliseconds until the response comes from the new code. Then the
processor time of an idle server in a tree of 13,000 files is measured. `carboy dev` serves the
application as it is; the others serve a copy that imports flask and werkzeug. `--write` writes the
table into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import http.client
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from bench import rivals
from bench.process import cost

DOCUMENT = rivals.ROOT / "docs" / "benchmarks.md"
BEGIN = "<!-- reload: begin (written by python -m bench.reload --write; do not edit) -->"
END = "<!-- reload: end -->"
SAVES = 15
PAUSE = 1.5  # seconds between saves, in which packages are imported again
ASK = 0.003  # seconds between two requests
IDLE_SECONDS = 20
FILES = 13_000
PATIENCE = 30.0


@dataclass(frozen=True)
class Way:
    """A development server; `command` gets a port."""

    name: str
    command: Callable[[int], list[str]]
    flask: bool = True  # whether the application imports Flask


CARBOY = [sys.executable, "-m", "carboy", "dev", "notes:create_app", "-p"]
WAYS = [
    Way("carboy dev", lambda port: [*CARBOY, str(port)], flask=False),
    Way("carboy dev --no-warm", lambda port: [*CARBOY, str(port), "--no-warm"], flask=False),
    Way(
        "flask run --debug",
        lambda port: [str(rivals.PYTHON), "-m", "flask", "--app", "notes:create_app", "run",
                      "--debug", "-p", str(port)],
    ),
    Way(
        "uvicorn --reload",
        lambda port: [str(rivals.PYTHON), "-m", "uvicorn", "notes:create_app", "--factory",
                      "--interface", "wsgi", "--reload", "--port", str(port)],
    ),
]  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """Milliseconds from a save to a response, and idle use of a processor in percent."""

    name: str
    start: float
    saves: list[float]
    idle: float

    def cells(self) -> list[str]:
        middle, worst = statistics.median(self.saves), max(self.saves)
        return [self.name, f"{self.start:.0f}", f"{middle:.0f}", f"{worst:.0f}", f"{self.idle:.2f}"]


class Serving:
    """A server with a copy of the notes."""

    def __init__(self, way: Way, folder: Path) -> None:
        self.module = folder / "notes" / "__init__.py"
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            way.command(self.port),
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def mark(self) -> str | None:
        """The mark of the code that responds; None if there is no response."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", "/")
            response = connection.getresponse()
            response.read()
            return response.getheader("X-Mark", "")
        except OSError:
            return None
        finally:
            connection.close()

    def until(self, mark: str) -> float:
        """The time of the first response with this mark."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if self.mark() == mark:
                return time.monotonic()
            time.sleep(ASK)
        raise TimeoutError(f"There was no response with the mark {mark!r} within {PATIENCE:g} s.")

    def save(self, text: str, mark: str) -> float:
        """Save the module with a mark; return the milliseconds until a response has it."""
        marking = f'app.after_request(lambda r: r.headers.set("X-Mark", "{mark}") or r)'
        self.module.write_text(text.replace("    return app\n", f"    {marking}\n    return app\n"))
        began = time.monotonic()
        return (self.until(mark) - began) * 1000

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def copy(folder: Path, flask: bool) -> None:
    """Copy the notes application, importing Flask or Carboy."""
    shutil.copytree(rivals.ROOT / "examples" / "notes", folder)
    if flask:
        for path in (folder / "notes").glob("*.py"):
            text = path.read_text().replace("from carboy.http.", "from werkzeug.")
            path.write_text(text.replace("from carboy import", "from flask import"))


def fill(folder: Path) -> None:
    """Create 13,000 files: Python modules, and JavaScript in `node_modules`."""
    for number in range(FILES // 100):
        place = folder / ("modules" if number % 2 else "node_modules") / f"part{number}"
        place.mkdir(parents=True)
        for each in range(100):
            (place / f"file{each}.{'py' if number % 2 else 'js'}").write_text("x = 1\n")


def measured(way: Way) -> Measured:
    """Measure saves, then the idle server."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "project"
        copy(folder, way.flask)
        text = (folder / "notes" / "__init__.py").read_text()
        serving = Serving(way, folder)
        try:
            start = (serving.until("") - serving.began) * 1000
            saves = []
            for number in range(SAVES):
                time.sleep(PAUSE)
                saves.append(serving.save(text, f"save {number}"))
        finally:
            serving.stop()
        fill(folder)
        return Measured(way.name, start, saves, idle(way, folder))


def idle(way: Way, folder: Path) -> float:
    """Processor time of all processes, in percent of a core."""
    serving = Serving(way, folder)
    try:
        while serving.mark() is None:
            time.sleep(ASK)
        time.sleep(3)  # until all files have been read once
        before = cost(serving.process.pid).cpu_seconds
        time.sleep(IDLE_SECONDS)
        return (cost(serving.process.pid).cpu_seconds - before) / IDLE_SECONDS * 100
    finally:
        serving.stop()


def table(found: list[Measured]) -> str:
    """The table as Markdown, with the versions."""
    head = ["server", "start to first response, ms", "save to response, median ms", "worst ms",
            f"idle, % of a core, with {FILES:,} files"]  # fmt: skip
    rows = [head, ["---", *["---:"] * 4], *(each.cells() for each in found)]
    lines = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    names = ", ".join(line for line in rivals.requirements() if line.startswith(("flask=", "uvi")))
    return (
        f"Python {sys.version.split()[0]}, Carboy {version('carboy')}, {names};"
        f" {SAVES} saves each; `python -m bench.reload --write`, {time.strftime('%Y-%m-%d')}."
        f"\n\n{lines}"
    )


def publish(text: str) -> None:
    """Replace the table between its markers."""
    before, rest = DOCUMENT.read_text().split(BEGIN)
    after = rest.split(END)[1]
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.reload", description=__doc__)
    parser.add_argument(
        "--write", action="store_true", help="write the table into docs/benchmarks.md"
    )
    options = parser.parse_args()
    rivals.install()
    found = []
    for way in WAYS:
        print(f"{way.name} …", file=sys.stderr, flush=True)
        found.append(measured(way))
    text = table(found)
    print(text)
    if options.write:
        publish(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
