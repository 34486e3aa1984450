"""A program that starts again when its files change: real processes, real saves."""

from __future__ import annotations

import http.client
import os
import signal
from pathlib import Path

import pytest

from running import PATIENCE, Running, alive, await_gone

SCRIPT = """
import os
from carboy.serving import run_simple
import answers

def app(environ, start_response):
    start_response("200 OK", [])
    return [f"{{answers.TEXT}} {{os.getpid()}} {{os.getppid()}}".encode()]

if __name__ == "__main__":
    run_simple("127.0.0.1", 0, app, use_reloader=True, reloader_interval=0.1, {options})
"""


class Reloading:
    """The script above, its files, and what it answers."""

    def __init__(self, folder: Path, server: Running) -> None:
        self.folder = folder
        self.server = server
        self.port = int(server.line(" * Running on http").rpartition(":")[2])

    def answer(self) -> list[str]:
        """The text and the two process numbers; a request during a restart waits."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", "/")
            return connection.getresponse().read().decode().split()
        finally:
            connection.close()

    def save(self, name: str, text: str) -> None:
        """As editors do: a new file takes the place of the old one, with a later time."""
        path = self.folder / name
        later = path.stat().st_mtime + 2 if path.exists() else None
        fresh = path.with_suffix(".saving")
        fresh.write_text(text)
        if later is not None:
            os.utime(fresh, (later, later))
        fresh.replace(path)

    def told(self, part: str, count: int = 1) -> str:
        return self.server.line(part, count)


@pytest.fixture(params=["stat", "watchdog", "auto"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def started(folder: Path, options: str) -> Running:
    (folder / "script.py").write_text(SCRIPT.format(options=options))
    (folder / "answers.py").write_text("TEXT = 'old'\n")
    return Running(cwd=folder, command=("-B", "script.py"))


def test_a_change_is_logged_and_served(tmp_path: Path, kind: str) -> None:
    with started(tmp_path, f"reloader_type={kind!r}") as server:
        running = Reloading(tmp_path, server)
        running.told(" * Restarting with " + ("stat" if kind == "stat" else "watchdog ("))
        text, child, parent = running.answer()
        assert (text, int(parent)) == ("old", server.pid)
        running.save("answers.py", "TEXT = 'new'\n")
        running.told(f" * Detected change in {str(tmp_path / 'answers.py')!r}, reloading")
        running.told(" * Restarting with ", 2)
        text, fresh, parent = running.answer()
        assert (text, int(parent)) == ("new", server.pid)
        assert fresh != child
        assert sum(" * Running on" in line for line in server.err) == 1
        assert server.stop(signal.SIGTERM) in (0, -signal.SIGTERM)
        await_gone(int(fresh))


def test_each_start_has_a_new_pin_and_reloads_keep_it(tmp_path: Path) -> None:
    pins = []
    for _ in range(2):
        with started(tmp_path, "use_debugger=True") as server:
            running = Reloading(tmp_path, server)
            pins.append(running.told(" * Debugger PIN: "))
            running.answer()  # now it watches
            running.save("answers.py", "TEXT = 'new'\n")
            assert running.told(" * Debugger PIN: ", 2) == pins[-1]
    assert pins[0] != pins[1]


def test_an_error_on_import_ends_the_program_as_with_werkzeug(tmp_path: Path) -> None:
    """Only the command line survives it, because it imports the application itself."""
    with started(tmp_path, "") as server:
        running = Reloading(tmp_path, server)
        running.answer()
        running.save("answers.py", "TEXT = (\n")
        running.told("SyntaxError")
        assert server.wait() == 1


def test_more_files_are_watched_and_patterns_left_out(tmp_path: Path, kind: str) -> None:
    (tmp_path / "words.txt").write_text("a")
    (tmp_path / "left_out.py").write_text("x = 1")
    extra = f"reloader_type={kind!r}, extra_files=['words.txt'], exclude_patterns=['*left_out*']"
    with started(tmp_path, extra) as server:
        running = Reloading(tmp_path, server)
        running.answer()
        running.save("left_out.py", "x = 2")
        running.save("words.txt", "b")
        assert "words.txt" in running.told("Detected change")
        running.told(" * Restarting with ", 2)
        running.answer()
        assert "left_out" not in server.text()


def test_ctrl_c_ends_both_processes(tmp_path: Path) -> None:
    with started(tmp_path, "") as server:
        _, child, _ = Reloading(tmp_path, server).answer()
        os.killpg(server.pid, signal.SIGINT)  # as a terminal does
        server.wait()
        await_gone(int(child))
        assert not alive(server.pid)
        assert "Traceback" not in server.text()


def test_a_script_of_the_compat_command_is_reloaded(tmp_path: Path) -> None:
    """Its file is named as on the command line: relative."""
    with started(tmp_path, "") as server:
        pass
    command = ("-B", "-m", "carboy.compat", "script.py")
    with Running(cwd=tmp_path, command=command) as server:
        running = Reloading(tmp_path, server)
        assert running.answer()[0] == "old"
        running.save("answers.py", "TEXT = 'new'\n")
        running.told("Detected change in")
        running.told(" * Restarting with ", 2)
        assert running.answer()[0] == "new"


FLASK_APP = (
    "import flask\napp = flask.Flask(__name__)\napp.add_url_rule('/', view_func=lambda: {text!r})\n"
)


def test_flask_run_survives_an_import_error_until_the_next_save_fixes_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "app.py").write_text(FLASK_APP.format(text="old"))
    command = ("-B", "-m", "carboy.compat", "-m", "flask", "run", "--debug", "-p", "0")
    with Running(cwd=tmp_path, command=command) as server:
        running = Reloading(tmp_path, server)
        assert running.answer() == ["old"]
        running.save("app.py", "import flask\napp = (\n")
        running.told(" * Restarting with ", 2)
        assert any("SyntaxError" in word for word in running.answer())
        running.save("app.py", FLASK_APP.format(text="fixed"))
        running.told(" * Restarting with ", 3)
        assert running.answer() == ["fixed"]
