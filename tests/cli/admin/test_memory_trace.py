"""`carboy memory --trace`."""

from __future__ import annotations

import threading

from admin_commands import Project, project
from carboy.cli.admin.memory import command as memory

__all__ = ["project"]

APP = """
import tracemalloc
from carboy import Carboy

app = Carboy(__name__)
kept = []

@app.get("/grow")
def grow():
    kept.append(bytearray(10_000))  # grows
    return str(tracemalloc.is_tracing())
"""


def test_the_lines_that_grow_are_shown_and_tracing_is_off_afterwards(project: Project) -> None:
    (project.folder / "shop.py").write_text(APP)
    with project.serve("--workers", "1") as server:
        over = threading.Event()

        def ask() -> None:
            while not over.is_set():
                server.get("/grow")

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            text = project.run(memory, "--trace", "1s", "--timeout", "60")
            found = project.value(memory, "--trace", "1s", "--timeout", "60")
        finally:
            over.set()
            asking.join()
        assert "GROWN" in text and "kept.append(bytearray(10_000))  # grows" in text
        (line,) = [each for each in found["lines"] if "# grows" in each["text"]][:1]
        assert line["bytes"] >= 10_000 and line["file"].endswith("shop.py")
        assert server.get("/grow") == (200, b"False")
        wrong = project.error(memory, "--trace", "1s", "--worker", "1")
        assert "There is no worker 1. The workers are" in wrong
        assert server.stop() == 0


def test_a_duration_that_cannot_be_is_refused(project: Project) -> None:
    found = project.invoke(memory, "--trace=0s")
    assert found.exit_code == 2 and "is not a duration" in found.output
