from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carboy.protocol.events import RequestHead
from carboy.server.logs.access_log import AccessLog
from carboy.server.logs.atoms import escape
from carboy.server.logs.facts import Record, ncsa_time
from carboy.server.logs.formats import (
    FORMATS,
    Common,
    Json,
    Pretty,
    duration,
    formatter,
    size,
)
from carboy.server.logs.output import Output
from carboy.server.logs.writer import Writer
from live_engine import eventually
from running import PATIENCE, Running, die_with_parent

BLOCK = b'Host: x\r\nReferer: http://a/\r\nUser-Agent: curl "x"\r\n'


def record(target: str = "/a?b=1", status: int = 200, sent: int = 12) -> Record:
    path, _, query = target.partition("?")
    head = RequestHead("GET", target, path, query, 1, "x", BLOCK)
    return (1700000000.25, "192.0.2.7", head, "", status, sent, 0.0123456, None)


def refused(line: str) -> Record:
    return (1700000000.25, "192.0.2.7", None, line, 400, 30, 0.0, None)


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    ncsa_time.cache_clear()
    yield
    monkeypatch.undo()
    time.tzset()
    ncsa_time.cache_clear()


def test_common_is_ncsa_format_with_the_time_taken(utc: object) -> None:
    assert Common()(record()) == (
        '192.0.2.7 - - [14/Nov/2023:22:13:20 +0000] "GET /a?b=1 HTTP/1.1" 200 12 0.012346\n'
    )


def test_no_content_is_a_dash() -> None:
    assert '" 304 - ' in Common()(record(status=304, sent=0))


def test_combined_has_referer_and_user_agent_with_quotes_escaped() -> None:
    assert r'200 12 "http://a/" "curl \"x\"" 0.012346' in Common(combined=True)(record())


def test_a_request_refused_without_a_head_is_logged() -> None:
    assert r'"GET / HTTP/9.\x1b[2J" 400' in Common()(refused("GET / HTTP/9.\x1b[2J"))
    assert '"-" 400' in Common()(refused(""))


@given(st.binary())
def test_the_bytes_of_a_request_line_are_escaped(raw: bytes) -> None:
    escaped = escape(raw.decode("latin-1"))
    assert (
        re.sub(
            rb"\\(?:x([0-9a-f]{2})|(.))",
            lambda found: bytes.fromhex(found[1].decode()) if found[1] else found[2],
            escaped.encode("ascii"),
        )
        == raw
    )


def test_a_raw_utf_8_target_is_logged_byte_for_byte() -> None:
    line = Common()(refused(b"GET /caf\xc3\xa9\xff HTTP/1.1".decode("latin-1")))
    assert r'"GET /caf\xc3\xa9\xff HTTP/1.1"' in line


@given(st.text(st.characters(max_codepoint=255)))
def test_no_byte_of_a_client_can_end_a_field_or_a_line(text: str) -> None:
    for render in (Common(), Common(True), Pretty(False), Json()):
        line = render(refused(text))
        assert line.endswith("\n") and line.count("\n") == 1
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", line)
    escaped = escape(text)
    assert re.fullmatch(r'(?:[ !#-\[\]-~]|\\["\\]|\\x[0-9a-f]{2})*', escaped)


def test_json_is_one_object_on_a_line_with_numbers_as_numbers() -> None:
    line = json.loads(Json()(record()))
    assert line["time"] == "2023-11-14T22:13:20.250000Z"
    assert (line["status"], line["bytes"], line["seconds"]) == (200, 12, 0.012346)
    assert (line["method"], line["path"], line["query"]) == ("GET", "/a", "b=1")
    assert line["user_agent"] == 'curl "x"'
    assert json.loads(Json()(refused("\x00")))["request"] == "\x00"


def test_pretty_is_readable_and_coloured_by_status() -> None:
    assert Pretty(False)(record()).split()[1:] == (
        ["200", "GET", "/a?b=1", "12.3", "ms", "12", "B", "192.0.2.7"]
    )
    assert "\x1b[1;31m500\x1b[0m" in Pretty(True)(record(status=500))


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.000085, "85 µs"), (0.0123, "12.3 ms"), (2.05, "2.05 s")]
)
def test_durations_are_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(512, "512 B"), (1536, "1.5 KiB"), (3 * 1024**2, "3.0 MiB")]
)
def test_sizes_are_for_people(count: int, text: str) -> None:
    assert size(count) == text


def test_auto_is_common_for_files_and_pretty_for_terminals(tmp_path: Path) -> None:
    with open(tmp_path / "log", "w") as file:
        assert isinstance(formatter("auto", Output(file.fileno())), Common)
    master, slave = os.openpty()
    assert isinstance(formatter("auto", Output(slave)), Pretty)
    os.close(master)
    os.close(slave)


def test_the_error_for_an_unknown_format_lists_the_formats(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=", ".join(FORMATS)):
        formatter("apache", Output(1))


def test_a_file_that_was_moved_away_is_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, moved = tmp_path / "access", tmp_path / "access.1"
    monkeypatch.setattr("carboy.server.logs.output.CHECK_INTERVAL", 0)
    writer = Writer()
    log = AccessLog(writer, "common", str(path))
    log(record("/before"))
    eventually(lambda: "/before" in path.read_text())
    path.rename(moved)
    log(record("/after"))
    writer.close()
    log.close()
    assert "/before" in moved.read_text() and "/after" not in moved.read_text()
    assert "/after" in path.read_text()


def test_a_record_that_cannot_be_formatted_does_not_fail_the_request(tmp_path: Path) -> None:
    writer = Writer()
    log = AccessLog(writer, "common", str(tmp_path / "access"))
    log((None, None))
    log(record("/next"))
    writer.close()
    log.close()
    lines = (tmp_path / "access").read_text().splitlines()
    assert "could not be written" in lines[0] and "/next" in lines[1]


HELLO = """
def app(environ, start_response):
    if environ["PATH_INFO"] == "/error":
        1 / 0
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "hello.py").write_text(HELLO)
    return tmp_path


def test_every_request_is_a_line_on_standard_output(folder: Path) -> None:
    with Running("run", "hello", "-p", "0", cwd=folder) as server:
        server.get("/x?y")
        assert '"GET /x?y HTTP/1.1" 200 5 ' in server.line("/x?y")
        assert server.stop() == 0
        assert "/x?y" in "".join(server.out)


def test_lines_are_written_before_the_process_ends(folder: Path) -> None:
    with Running("run", "hello", "-p", "0", "--access-log-format", "json", cwd=folder) as server:
        connection = server.connect()
        for number in range(200):
            connection.request("GET", f"/{number}")
            connection.getresponse().read()
        connection.close()
        assert server.stop() == 0
        paths = [json.loads(line)["path"] for line in server.out]
        assert paths == [f"/{number}" for number in range(200)]


def test_a_refused_request_is_a_line(folder: Path) -> None:
    with Running("run", "hello", "-p", "0", cwd=folder) as server:
        connection = server.connect()
        connection.connect()
        connection.sock.sendall(b"GET /\x1b[2J HTTP/1.1\r\n\r\n")
        assert connection.sock.recv(1000).startswith(b"HTTP/1.1 400 ")
        connection.close()
        line = server.line('" 400 ')
        assert "\x1b" not in line


def test_one_option_turns_it_off(folder: Path) -> None:
    with Running("run", "hello", "-p", "0", "--no-access-log", cwd=folder) as server:
        server.get("/")
        assert server.stop() == 0
        assert server.out == []


def test_an_error_is_logged_with_traceback_and_request_line(folder: Path) -> None:
    with Running("run", "hello", "-p", "0", cwd=folder) as server:
        assert server.get("/error")[0] == 500
        server.line("ZeroDivisionError")
        assert "GET /error" in "".join(server.err)
        assert "Traceback" in "".join(server.err)
        assert '"GET /error HTTP/1.1" 500' in server.line('" 500 ')


def full_pipe() -> tuple[int, int]:
    """A full pipe that is not read."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"x" * 4096)
    os.set_blocking(writer, True)
    return reader, writer


@contextlib.contextmanager
def carboy(folder: Path, **options: object) -> Iterator[socket.socket]:
    """A client of a server on an inherited socket, whose output does not name the address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fd = listener.fileno()
        command = [sys.executable, "-m", "carboy", "run", "hello", "--fd", str(fd)]
        options.setdefault("preexec_fn", die_with_parent)
        process = subprocess.Popen(command, cwd=folder, pass_fds=[fd], **options)
        try:
            with socket.create_connection(listener.getsockname(), PATIENCE) as client:
                yield client
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
            process.wait(PATIENCE)


def ask(client: socket.socket, path: bytes) -> bytes:
    client.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    return client.recv(65536)


def test_readers_that_stop_reading_do_not_stop_the_server(folder: Path) -> None:
    pipes = full_pipe(), full_pipe()
    try:
        with carboy(folder, stdout=pipes[0][1], stderr=pipes[1][1]) as client:
            for path in (b"/", b"/error") * 50:
                assert ask(client, path).startswith(b"HTTP/1.1 ")
    finally:
        for fd in (*pipes[0], *pipes[1]):
            os.close(fd)


def test_an_output_whose_reader_is_gone_does_not_end_the_process(folder: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        with carboy(folder, stdout=writer, stderr=writer) as client:
            for path in (b"/", b"/error") * 3:
                assert ask(client, path).startswith(b"HTTP/1.1 ")
    finally:
        os.close(writer)


def test_lines_never_go_to_a_client_with_the_number_of_a_closed_output(
    folder: Path,
) -> None:
    def close_outputs() -> None:
        os.close(1)
        os.close(2)

    with carboy(folder, preexec_fn=close_outputs) as client:
        for path in (b"/", b"/error") * 10:
            answer = ask(client, path)
            assert answer.startswith(b"HTTP/1.1 ") and answer.count(b"HTTP/1.1") == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_does_not_end_the_process(folder: Path) -> None:
    args = ("run", "hello", "-p", "0", "--access-log-file", "/dev/full")
    with Running(*args, cwd=folder) as server:
        assert server.get("/")[0] == 200
        assert "No space left" in server.line("1 log line was lost")  # reported at once …
        for _ in range(3):
            assert server.get("/error")[0] == 500
        assert server.stop() == 0
        lost = [line for line in server.err if "lost" in line]
        assert sum(int(line.split()[1]) for line in lost) == 4  # … and counted to the end


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_log_file_that_cannot_be_opened_is_one_line_of_error(folder: Path, workers: str) -> None:
    args = ("run", "hello", "-p", "0", "-w", workers, "--access-log-file", "nowhere/a.log")
    with Running(*args, cwd=folder) as server:
        assert server.wait() == 1
        assert "nowhere/a.log: No such file or directory" in server.text()
        assert "Traceback" not in server.text()
