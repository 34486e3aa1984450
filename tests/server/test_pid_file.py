"""--pid-file, --chdir and --worker-tmp-dir."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from carboy.server.pid_file import PidFile, read, started_at
from running import Running

APP = """
import os, tempfile

def app(environ, start_response):
    body = f"VERSION {os.getcwd()} {tempfile.gettempdir()}"
    if environ["PATH_INFO"] == "/files":
        links = []
        for fd in os.listdir("/proc/self/fd"):
            try:
                links.append(os.readlink(f"/proc/self/fd/{fd}"))
            except OSError:
                pass
        body = " ".join(links)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body.encode()]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "service.py").write_text(APP)
    return tmp_path


def started(folder: Path, *args: str) -> Running:
    return Running("run", "service", "-p", "0", *args, cwd=folder)


@pytest.mark.parametrize("how", [(), ("--no-supervisor",)])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_the_file_has_the_pid_of_the_server_until_its_end(
    folder: Path, how: tuple[str, ...], number: int
) -> None:
    with started(folder, "--pid-file", "web.pid", *how) as server:
        server.get()
        assert (folder / "web.pid").read_text() == f"{server.pid}\n"
        server.stop(number)
    assert sorted(each.name for each in folder.glob("*web.pid*")) == []


def test_a_second_server_is_refused(folder: Path) -> None:
    with started(folder, "--pid-file", "web.pid") as server:
        server.get()
        with started(folder, "--pid-file", "web.pid") as second:
            assert second.wait() == 1
            assert f"A server is running already: {folder}/web.pid" in second.text()
            assert "or use another --pid-file." in second.text()
        assert read(folder / "web.pid") == server.pid
        assert server.stop() == 0


@pytest.mark.parametrize("text", ["", "4194303\n", "not a number", "-1", "9" * 30])
def test_a_file_that_was_left_behind_is_replaced(folder: Path, text: str) -> None:
    (folder / "web.pid").write_text(text)
    with started(folder, "--pid-file", "web.pid") as server:
        server.get()
        assert read(folder / "web.pid") == server.pid
        assert server.stop() == 0


def test_a_number_that_another_process_has_got_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "web.pid"
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        path.write_text(str(process.pid))
        with pytest.raises(ValueError, match="A server is running already"):
            PidFile(path).write()
        began = started_at(process.pid)
        assert began is not None
        os.utime(path, (began - 60, began - 60))  # the process is younger than the file
        file = PidFile(path)
        file.write()
        assert read(path) == os.getpid()
        file.remove()
        assert not path.exists()
    finally:
        process.communicate(b"\n")


def test_a_file_that_another_server_has_written_is_not_removed(tmp_path: Path) -> None:
    file = PidFile(tmp_path / "web.pid")
    file.write()
    (tmp_path / "web.pid").write_text("1\n")
    file.remove()
    assert (tmp_path / "web.pid").read_text() == "1\n"


def test_a_link_beside_the_file_is_not_followed(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("of root")
    (tmp_path / f".pid.{os.getpid()}").symlink_to(other)
    file = PidFile(tmp_path / "pid")
    file.write()
    assert other.read_text() == "of root"
    assert read(tmp_path / "pid") == os.getpid()
    file.remove()
    assert not (tmp_path / "pid").exists()


def test_a_file_that_cannot_be_written_is_an_error(folder: Path) -> None:
    with started(folder, "--pid-file", "missing/web.pid") as server:
        assert server.wait() == 1
        assert "--pid-file" in server.text() and "cannot be written" in server.text()


# --- the current folder


@pytest.mark.parametrize("how", [(), ("--no-supervisor",)])
def test_chdir_holds_after_a_reload(tmp_path: Path, how: tuple[str, ...]) -> None:
    folder = tmp_path / "src"
    folder.mkdir()
    (folder / "service.py").write_text(APP.replace("VERSION", "one"))
    with started(tmp_path, "--chdir", "src", *how) as server:
        assert server.get()[1].startswith(f"one {folder} ".encode())
        (folder / "service.py").write_text(APP.replace("VERSION", "two"))
        server.send(signal.SIGHUP)
        # The old worker may still answer after the first answer of the new one.
        while (answer := server.get()[1]).startswith(b"one"):
            pass
        assert answer.startswith(f"two {folder} ".encode())
        assert server.stop() == 0


def test_a_folder_that_does_not_exist_is_a_usage_error(folder: Path) -> None:
    with started(folder, "--chdir", "missing") as server:
        assert server.wait() == 2
        assert "There is no folder missing" in server.text()


# --- temporary files


@pytest.mark.parametrize("how", [(), ("--no-supervisor",)])
def test_large_bodies_are_written_to_the_folder_for_temporary_files(
    folder: Path, how: tuple[str, ...]
) -> None:
    (folder / "spool").mkdir()
    with started(folder, "--worker-tmp-dir", "spool", "--spool-limit", "1k", *how) as server:
        assert server.get()[1].decode().split()[-1] == str(folder / "spool")
        connection = server.connect()
        connection.request("POST", "/files", body=b"x" * 100_000)
        assert f"{folder}/spool/" in connection.getresponse().read().decode()
        connection.close()
        assert server.stop() == 0


def test_a_folder_for_temporary_files_has_to_exist(folder: Path) -> None:
    with started(folder, "--worker-tmp-dir", "missing") as server:
        assert server.wait() == 1
        assert "--worker-tmp-dir missing is not a folder" in server.text()
