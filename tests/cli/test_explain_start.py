"""`carboy explain --from-start` with each server, as real processes on real sockets."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from running import PATIENCE, Running, await_gone, free_port
from started import PLAIN, THEIRS, TO_HELLO, assert_in_order, explain, steps_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "theirs.py").write_text(THEIRS)
    (tmp_path / "plain.py").write_text(PLAIN)
    return tmp_path


def test_a_script_is_recorded_with_its_own_arguments_and_its_reloader(folder: Path) -> None:
    port = free_port()
    source = THEIRS.replace("app.run(port=1)", f"app.run(port={port}, debug=True)")
    (folder / "theirs.py").write_text(source)
    text = explain(folder, "theirs.py", *TO_HELLO, "--server=script")
    assert f"; script on 127.0.0.1:{port}, " in text.splitlines()[0]
    assert text.splitlines()[0].endswith(" recorded in 2 processes")
    steps = steps_of(text)
    assert_in_order(
        steps,
        [("<module>", ""), ("Flask.run", "<module>"), ("run_simple", "Flask.run"),
         ("socket.bind", "TCPServer.server_bind"), ("socket.listen", ""), ("Flask.run", "<module>"),
         ("BaseServer.serve_forever", ""), ("socket._accept", ""), ("hello", ""),
         ("socket.sendall", "")],
    )  # fmt: skip
    (first, again) = [step for step in steps if step.name == "Flask.run"]
    assert first.title.startswith("Your program theirs.py calls Flask.run  [process ")
    assert first.title != again.title  # another process
    assert source.splitlines()[first.line - 1].startswith("app.run(")


def test_a_script_that_starts_no_server_is_reported(folder: Path) -> None:
    text = explain(folder, "plain.py", "GET", "/", "--server=script", code=1)
    assert "Error: plain.py ended and started no server.\n" in text


def test_a_script_must_be_a_file(folder: Path) -> None:
    text = explain(folder, "plain:app", "GET", "/", "--server=script", code=2)
    assert "plain:app is not a file. --server script requires one, such as app.py." in text


def test_a_stream_that_fails_is_explained_with_what_was_sent(folder: Path) -> None:
    text = explain(folder, "plain:fails", "GET", "/")
    first = text.splitlines()[0]
    assert first.startswith(
        "GET / → 200 OK, the server closed the connection before the end, 3 bytes"
    )
    assert "      out: an exception, ValueError: midway\n" in text
    assert text.partition("\nThe bytes of the response\n")[2].count("one") == 1


def test_with_flask_carboy_has_the_names_on_another_server(folder: Path) -> None:
    text = explain(folder, "theirs", *TO_HELLO, "--flask", "--server=wsgiref", "--cold")
    assert_in_order(
        steps_of(text), [("Carboy.__init__", "<module>"), ("hello", ""), ("socket.sendall", "")]
    )
    assert "flask/" not in text


def test_carboy_is_the_server_unless_another_one_is_named(folder: Path) -> None:
    text = explain(folder, "plain", "GET", "/")
    assert "; carboy " in text
    assert "Your app runs" in text


def test_any_wsgi_application_is_served_by_werkzeug(folder: Path) -> None:
    steps = steps_of(explain(folder, "plain.py:app", "GET", "/", "--server=werkzeug"))
    assert_in_order(steps, [("run_simple", "start_werkzeug"), ("app", "")])


def test_a_view_that_raises_is_explained(folder: Path) -> None:
    text = explain(folder, "theirs", "GET", "/fail", "--server=wsgiref")
    assert "→ 500 INTERNAL SERVER ERROR" in text
    assert (
        "  The view 'fail' runs\n"
        "      fail  theirs.py:10-12\n"
        "      called by Flask.dispatch_request, "
    ) in re.sub(r"\d+\. ", " ", text)
    assert "      out: an exception, ZeroDivisionError: division by zero\n" in text
    assert_in_order(
        steps_of(text), [("fail", ""), ("Flask.handle_exception", ""), ("socket.sendall", "")]
    )


def test_a_body_is_sent_and_a_secret_is_not_shown(folder: Path) -> None:
    text = explain(
        folder, "plain", "POST", "/?token=hunter2", "-d", "password=hunter2", "--server=wsgiref"
    )
    assert text.startswith("POST /?token=… → 200 OK")
    assert "hunter2" not in text


def test_threads_that_do_not_end_do_not_keep_the_recording(folder: Path) -> None:
    text = explain(folder, "plain:keeps", "GET", "/", "--server=werkzeug")
    assert "The listening socket is closed" in text


def test_a_compiled_function_is_a_step(folder: Path) -> None:
    pytest.importorskip("markupsafe._speedups")
    (folder / "compiled.py").write_text(
        "from markupsafe._speedups import _escape_inner\n"
        + PLAIN.replace('return [b"ok"]', 'return [b"ok" + _escape_inner("").encode()]')
    )
    text = explain(folder, "compiled", "GET", "/", "--server=wsgiref", "--depth=40")
    (step,) = [step for step in steps_of(text) if "_escape_inner" in step.name]
    assert step.title == "Your app calls markupsafe._speedups._escape_inner"
    assert step.where == "in C, so its source cannot be shown"
    assert (step.caller, step.file) == ("app", "compiled.py")
    assert f"_escape_inner [{step.number}]" in text


def test_two_versions_of_an_application_are_compared(folder: Path) -> None:
    other = folder / "other"
    other.mkdir()
    (other / "plain.py").write_text(PLAIN.replace("def app(", "def more(): pass\n\ndef app("))
    text = explain(folder, "plain", "GET", "/", "--server=wsgiref", "--compare", str(other))
    assert f"; wsgiref in {other.resolve()} on 127.0.0.1:" in text.splitlines()[1]
    assert re.search(r"app  plain\.py:4-6 +│ +\d+\. app  plain\.py:6-8", text)


def test_a_checkout_of_carboy_that_cannot_record_is_refused(folder: Path) -> None:
    (folder / "old/src/carboy").mkdir(parents=True)
    text = explain(folder, "plain", "GET", "/", "--server=wsgiref", "--compare=old", code=2)
    assert "The Carboy in old cannot record a server. Use a later commit." in text


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("plain", "--report", "x.md", "--compare=wsgiref"), "--compare cannot be combined with"),
        (("plain", "--html", "x", "--compare=wsgiref"), "--html cannot be combined with"),
        (("plain", "--server=wsgiref", "--compare=apache"), "'apache' is not a folder, a file of "),
        (("plain", "--server=apache"), "'apache' is not one of 'carboy', 'flask', 'werkzeug'"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    folder: Path, args: tuple[str, ...], said: str
) -> None:
    app, *options = args
    assert said in " ".join(explain(folder, app, "GET", "/", *options, code=2).split())


def test_an_application_that_cannot_be_loaded_is_explained(folder: Path) -> None:
    text = explain(folder, "missing", "GET", "/", "--server=wsgiref", code=1)
    assert "The server ended before it responded." in text
    assert "There is no module 'missing'" in text


def test_a_server_that_ends_shows_its_last_lines(folder: Path) -> None:
    text = explain(folder, "plain:ends", "GET", "/", "--server=wsgiref", code=1)
    assert text.startswith("GET / → the server closed the connection without a response, 0 bytes;")
    assert re.search(r"Your ends runs\n.+\n.+\n      still running when the process ended\n", text)
    assert "\nError: There was no response: the server closed the connection" in text
    assert text.endswith("The server ended with exit code 3.\nlast words\n")


def test_ctrl_c_ends_the_server_and_its_workers(folder: Path) -> None:
    pytest.importorskip("gunicorn")
    args = ("explain", "plain:hangs", "GET", "/", "--from-start", "--server=gunicorn")
    with Running(*args, cwd=folder) as command:
        end = time.monotonic() + PATIENCE
        while not (folder / "pid").exists():
            assert time.monotonic() < end, command.text()
            time.sleep(0.02)
        assert command.stop(signal.SIGINT) == 1
        (line,) = command.err
        assert line.startswith("Error: There was no response: stopped by Ctrl+C. The application ")
        assert re.search(r"was running hangs, \S+plain\.py:\d+\.", line)
        assert "Your hangs runs" in command.text()
        await_gone(int((folder / "pid").read_text()))


def test_a_view_that_hangs_ends_after_the_timeout(folder: Path) -> None:
    text = explain(folder, "plain:hangs", "GET", "/", "--server=wsgiref", "--timeout=4", code=1)
    assert "There was no response within 4 s." in text
    await_gone(int((folder / "pid").read_text()))


def test_a_server_that_is_not_installed_is_named_with_its_package(folder: Path) -> None:
    script = (
        "import sys\n"
        "from importlib import metadata\n"
        "from carboy.cli import explain_servers\n"
        "def version(name): raise metadata.PackageNotFoundError(name)\n"
        "explain_servers.metadata.version = version\n"
        "sys.argv = 'carboy explain plain GET / --from-start --server=waitress'.split()\n"
        "from carboy.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert (
        done.stderr == "Error: waitress is not installed. Install it with `pip install waitress`.\n"
    )


@pytest.mark.parametrize(
    ("option", "needed"), [("--server", "--from-start or --follow"), ("--compare", "--from-start")]
)
def test_an_option_for_servers_requires_from_start(folder: Path, option: str, needed: str) -> None:
    said = explain(folder, "plain", "GET", "/", f"{option}=wsgiref", code=2, how=())
    assert f"{option} requires {needed}." in said
