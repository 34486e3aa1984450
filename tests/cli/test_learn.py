"""`carboy learn` in a terminal, with pipes, and with other clients."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import ready_commands
from carboy.cli.learn.progress import ProgressFile
from carboy.dev.learn.course import EXERCISES
from learning import COMMAND, Terminal
from running import PATIENCE

pytestmark = pytest.mark.xdist_group("learn")

GOOD = "GET /hello?name=Ada HTTP/1.1\nHost: x\n\n"


def learn(data: Path, *args: str, typed: str = "", code: int = 0) -> str:
    env = {"PATH": "/usr/bin:/bin", "XDG_DATA_HOME": str(data)}
    done = ready_commands.run(["learn", *args], data.parent, env, typed)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return " ".join((done.stdout + done.stderr).split())


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    found = Terminal(tmp_path, "1")
    yield found
    found.close()


def test_an_exercise_is_done_with_typed_requests(tmp_path: Path) -> None:
    data = tmp_path / "data"
    wrong = "GET /hello?name=Ada\nHost: x\n\n"
    text = learn(data, "1", "--port", "0", typed=f"{wrong}{GOOD}3\n4\n/hello\n")
    assert "GET /hello?name=Ada\\r\\n refused: 400" in text
    assert "Your request line has no version." in text
    assert "✓ Your request line has the method GET" in text
    assert "→ That is not what was recorded." in text
    assert "✓ Right: 4." in text
    assert "✓ The exercise is done." in text
    assert "✓ 1 What is in a request line" in learn(data, "--list")
    assert "Your progress is deleted." in learn(data, "--reset")
    assert "0 of 10 are done." in learn(data, "--list")


def test_an_exercise_that_is_not_done_has_status_1(tmp_path: Path) -> None:
    text = learn(tmp_path, "1", "--port", "0", typed="GET /hello HTTP/1.1\nHost: x\n", code=1)
    assert "Connection 1" not in text  # the request was not complete
    assert "no query" in learn(
        tmp_path, "1", "--port", "0", typed="GET /hello HTTP/1.1\nHost: x\n\n", code=1
    )


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("11",), "There is no exercise '11'. Use a number from 1 to 10."),
        (("boddy",), "Did you mean body?"),
        ((), "This is not a terminal. Name an exercise"),
        (("1", "--port", "70000"), "is not a port"),
    ],
)
def test_bad_input_is_explained(tmp_path: Path, args: tuple[str, ...], said: str) -> None:
    assert said in learn(tmp_path, *args, code=2)


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = learn(tmp_path, "1", "--port", str(port), code=1)
    assert f"Port {port} is in use" in said


def test_without_a_folder_for_the_progress_there_is_one_note(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    text = learn(tmp_path / "file", "1", "--port", "0", typed=f"{GOOD}4\n/hello\n")
    assert "The exercise is done." in text
    assert text.count("Your progress is not kept.") == 1


@pytest.mark.parametrize("saved", ["{", "[]", '{"body": {"goals": [true, 99, "x", 0]}}', "\0"])
def test_the_course_begins_again_if_the_file_of_the_progress_is_damaged(
    tmp_path: Path, saved: str
) -> None:
    folder = tmp_path / "carboy"
    folder.mkdir()
    (folder / "learn.json").write_text(saved)
    assert "0 of 10 are done." in learn(tmp_path, "--list")


def test_the_progress_names_exercises_by_their_key(tmp_path: Path) -> None:
    learn(tmp_path, "request-line", "--port", "0", typed=f"{GOOD}4\n/hello\n")
    saved = json.loads((tmp_path / "carboy" / "learn.json").read_text())
    assert saved == {"request-line": {"goals": [0], "questions": [0, 1]}}


def test_requests_of_other_clients_count(terminal: Terminal) -> None:
    port = terminal.port()
    extra = b"GET /favicon.ico HTTP/1.1\r\nHost: x\r\n\r\n"
    with (
        socket.create_connection(("127.0.0.1", port)),  # a browser connects in advance
        socket.create_connection(("127.0.0.1", port)) as second,
        socket.create_connection(("127.0.0.1", port)) as third,
    ):
        second.sendall(GOOD.replace("\n", "\r\n").encode())
        third.sendall(extra)
        text = terminal.wait("? At which byte")
    assert "✓ Your request line has the method GET" in text
    assert "favicon" not in text


def test_a_session_in_a_terminal(terminal: Terminal) -> None:
    terminal.port()
    terminal.type("?\n")
    terminal.wait("hangs up")
    terminal.type("h\n")
    terminal.wait("GET /hello?name=Ada HTTP/1.1")
    terminal.type("GET /hello\\q HTTP/1.1\n")
    terminal.wait("is not an escape")
    terminal.type("GET /hello HTTP/1.1\n.\n")
    terminal.wait("The connection ended before the empty line that ends a head.")
    terminal.type(GOOD)
    terminal.wait("? At which byte")
    terminal.type("o\n")
    terminal.wait("byte by byte: http://127.0.0.1:")
    terminal.type("t\n")
    terminal.wait("Request line")
    terminal.type("\n")
    terminal.wait("Header Host")
    terminal.type("q\n4\n/hello\n")
    terminal.wait("The exercise is done.")
    terminal.type("\n")
    terminal.wait("2. What a header line is")
    terminal.type("l\n")
    terminal.wait("1 of 10 are done.")
    terminal.type("12\n")
    terminal.wait("There is no exercise '12'.")
    terminal.type("q\n")
    assert terminal.ends()[0] == 0


@pytest.mark.parametrize("typed", ["", "GET / HTTP/1.1\n"])
@pytest.mark.parametrize(("key", "status"), [("\x03", 130), ("\x04", 0)])
def test_ctrl_c_and_ctrl_d_are_quiet(terminal: Terminal, typed: str, key: str, status: int) -> None:
    terminal.port()
    terminal.type(typed)
    if key == "\x03":
        terminal.child.send_signal(signal.SIGINT)
    else:
        terminal.type(key)
    ended, text = terminal.ends()
    assert ended == status
    assert "Traceback" not in text
    assert "Abort" not in text


def test_all_exercises_are_listed(tmp_path: Path) -> None:
    text = learn(tmp_path, "--list")
    assert all(exercise.title in text for exercise in EXERCISES)


def test_an_answer_may_look_like_a_command_of_the_list(tmp_path: Path) -> None:
    text = learn(tmp_path, "1", "--port", "0", typed=f"{GOOD}2\nGET /hello\n\n", code=1)
    assert "→ That is not what was recorded." in text
    assert "has no version" in text  # a request line is not taken for an answer


def test_the_same_request_is_sent_twice_at_once(tmp_path: Path) -> None:
    typed = "twice\nGET /slow HTTP/1.1\nHost: x\n\ntwice\n"
    text = learn(tmp_path, "crew", "--port", "0", typed=typed, code=1)
    assert "Type a request first." in text
    assert "✓ The second request arrived" in text


def test_the_rest_of_a_refused_request_is_not_sent(tmp_path: Path) -> None:
    bad = "GET /a\nHost: x\n\x1b[2J: y\n\n"
    text = learn(tmp_path, "1", "--port", "0", typed=bad + GOOD, code=1)
    assert "Not sent, because the server has closed: Host: x" in text
    assert "\x1b" not in text
    assert text.count("refused") == 1
    assert "✓ Your request line has the method GET" in text


def test_output_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*COMMAND, "1", "--port", "0"], input=GOOD, text=True, stdout=full,
            stderr=subprocess.PIPE, env={"PATH": "/usr/bin:/bin", "XDG_DATA_HOME": str(tmp_path)},
            check=False, timeout=PATIENCE,
        )  # fmt: skip
    assert done.stderr == "Error: The output cannot be written: No space left on device.\n"
    assert done.returncode == 1


def test_two_courses_at_once_keep_the_progress_of_both(tmp_path: Path) -> None:
    first, second = ProgressFile(tmp_path), ProgressFile(tmp_path)
    one, two = first.read(), second.read()
    one.goals_of(EXERCISES[0]).add(0)
    assert first.write(one)
    two.goals_of(EXERCISES[1]).add(1)
    assert second.write(two)
    assert set(first.read().to_save()) == {"request-line", "headers"}
