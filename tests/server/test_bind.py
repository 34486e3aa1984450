from __future__ import annotations

import errno
import grp
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from carboy.server.bind import (
    Address,
    BindError,
    SocketFile,
    from_host,
    open_sockets,
    parse_bind,
    url,
)
from running import PATIENCE, Running


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("localhost:80", Address("localhost", 80)),
        (":8000", Address("", 8000)),
        ("[::1]:0", Address("::1", 0)),
        ("unix:/run/x.sock", Address(path="/run/x.sock")),
        ("unix:///run/x.sock", Address(path="/run/x.sock")),
        ("fd://3", Address(fd=3)),
        ("fd://web.socket", Address(fd_name="web.socket")),
    ],
)
def test_addresses_are_parsed(text: str, address: Address) -> None:
    assert parse_bind(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8000",
        "a:b",
        "a:99999",
        "::1:80",
        "unix:",
        "fd://",
        "fd://a:b",
        "fd://a/b",
        "http://a:1",
        "a:1\n",
    ],
)
def test_the_error_for_a_wrong_address_lists_the_forms(text: str) -> None:
    with pytest.raises(ValueError, match=r"HOST:PORT, \[IPV6\]:PORT, unix:PATH,"):
        parse_bind(text)


def test_host_and_port_may_be_separate() -> None:
    assert from_host("::1", 80) == from_host("[::1]", 80) == Address("::1", 80)
    assert from_host("unix:///a", 0) == Address(path="/a")
    with pytest.raises(ValueError, match="65535"):
        from_host("x", 65536)


def test_all_addresses_are_opened_or_none() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BindError, match=f"Port {port} is in use by .*{os.getpid()}"):
            open_sockets([Address("127.0.0.1", 0), Address("127.0.0.1", port)], 10)


def test_an_address_of_another_machine_is_explained() -> None:
    with pytest.raises(BindError, match=r"no address '192\.0\.2\.1'\. Use 127\.0\.0\.1"):
        open_sockets([Address("192.0.2.1", 0)], 10)


def test_the_url_can_be_clicked_on() -> None:
    (sock,) = open_sockets([Address("0.0.0.0", 0)], 10)
    with sock:
        assert url(sock) == f"http://127.0.0.1:{sock.getsockname()[1]}/"


HELLO = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
"""
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "hello.py").write_text(HELLO)
    return tmp_path


def ask(sock: socket.socket) -> bytes:
    sock.settimeout(PATIENCE)
    sock.sendall(REQUEST)
    answer = b""
    while data := sock.recv(65536):
        answer += data
    return answer


def test_several_addresses_are_served_at_once(folder: Path) -> None:
    args = ("-b", "127.0.0.1:0", "-b", "[::1]:0", "-b", "unix:s", "--socket-mode", "600")
    with Running("run", "hello", *args, cwd=folder) as server:
        server.line("unix:")
        assert server.get()[1] == b"hello"
        port = int(server.line("[::1]").split("]:")[1].split("/")[0])
        with socket.create_connection(("::1", port)) as client:
            assert ask(client).endswith(b"hello")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(folder / "s"))
            assert ask(client).endswith(b"hello")
        assert (folder / "s").stat().st_mode & 0o777 == 0o600
        assert server.stop() == 0
        assert not (folder / "s").exists()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_curl_talks_to_a_unix_socket(folder: Path, workers: str) -> None:
    with Running("run", "hello", "-b", "unix:s", "-w", workers, cwd=folder) as server:
        server.line("unix:")
        command = ["curl", "-sS", "--unix-socket", str(folder / "s"), "http://x/"]
        assert subprocess.run(command, capture_output=True, check=True).stdout == b"hello"
        assert server.stop() == 0
        assert not (folder / "s").exists()


@pytest.mark.parametrize("form", [("--fd", "{}"), ("-b", "fd://{}")])
def test_an_inherited_descriptor_is_served(folder: Path, form: tuple[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fd = listener.fileno()
        args = ("run", "hello", form[0], form[1].format(fd))
        with Running(*args, cwd=folder, pass_fds=[fd]) as server:
            assert server.address() == listener.getsockname()
            assert server.get()[1] == b"hello"
            assert server.stop() == 0


SYSTEMD = """
import os, sys
os.environ["LISTEN_PID"] = str(os.getpid())
os.environ["LISTEN_FDS"] = "1"
os.dup2(int(sys.argv[1]), 3)
os.execv(sys.executable, [sys.executable, "-m", "carboy", "run", *sys.argv[2:]])
"""


def test_a_socket_of_systemd_is_served_and_its_variables_are_not_inherited(folder: Path) -> None:
    (folder / "env.py").write_text(
        HELLO.replace("hello", "%s").replace('b"%s"', "repr(os.environ.get('LISTEN_FDS')).encode()")
        .replace("\ndef", "import os\ndef", 1)
    )  # fmt: skip
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fd = listener.fileno()
        command = ("-c", SYSTEMD, str(fd), "env")
        with Running(cwd=folder, command=command, pass_fds=[fd]) as server:
            assert server.address() == listener.getsockname()
            assert server.get()[1] == b"None"
            assert server.stop() == 0


NAMED = SYSTEMD.replace(
    'os.environ["LISTEN_FDS"] = "1"',
    'os.environ["LISTEN_FDS"] = "2"\nos.environ["LISTEN_FDNAMES"] = "web:other"',
).replace("os.dup2(int(sys.argv[1]), 3)", "os.dup2(int(sys.argv[1]), 3)\nos.dup2(3, 4)")


def test_a_socket_of_systemd_is_chosen_by_its_name(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fd = listener.fileno()
        command = ("-c", NAMED, str(fd), "hello", "--bind", "fd://web", "--bind", "127.0.0.1:0")
        with Running(cwd=folder, command=command, pass_fds=[fd]) as server:
            server.line(f"127.0.0.1:{listener.getsockname()[1]}")
            assert server.get()[1] == b"hello"
            assert server.stop() == 0
        command = ("-c", NAMED, str(fd), "hello", "--bind", "fd://wbe")
        with Running(cwd=folder, command=command, pass_fds=[fd]) as server:
            assert server.wait() == 1
            assert "'wbe' from systemd. Those that it has passed are web, other." in server.text()


def test_the_error_for_a_used_port_names_the_process_and_the_option(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with Running("run", "hello", "-p", str(port), cwd=folder) as server:
            assert server.wait() == 1
            (line,) = server.err
            assert f"Port {port} is in use by" in line
            assert f"pid {os.getpid()}" in line
            assert "--port" in line


def test_a_descriptor_that_is_not_a_socket_is_one_line(folder: Path) -> None:
    with Running("run", "hello", "--fd", "0", cwd=folder) as server:
        assert server.wait() == 1
        assert len(server.err) == 1
        assert "Descriptor 0" in server.err[0]


def test_the_umask_applies_to_the_application(folder: Path) -> None:
    (folder / "mask.py").write_text(
        HELLO.replace('b"hello"', "oct(os.umask(0)).encode()").replace("\ndef", "import os\ndef", 1)
    )
    with Running("run", "mask", "-p", "0", "--umask", "027", cwd=folder) as server:
        assert server.get()[1] == b"0o27"
        assert server.stop(signal.SIGTERM) == 0


CONNECTS = """
import os, socket, sys
path, group = sys.argv[1], int(sys.argv[2])
os.setgroups([])
os.setgid(group)
os.setuid(65534)
client = socket.socket(socket.AF_UNIX)
try:
    client.connect(path)
except PermissionError:
    sys.exit("not allowed")
"""
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
OTHERS, PROXY = 65534, 33


@pytest.fixture
def public(folder: Path) -> Iterator[Path]:
    """A folder that every user may enter, with the application in it."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        (place / "hello.py").write_text(HELLO)
        yield place


@as_root
@pytest.mark.parametrize(
    ("options", "may"),
    [
        ((), {PROXY: False, OTHERS: False}),
        (("--socket-mode", "666"), {PROXY: True, OTHERS: True}),
        (("--socket-group", str(PROXY)), {PROXY: True, OTHERS: False}),
        (("--socket-group", str(PROXY), "--socket-mode", "600"), {PROXY: False, OTHERS: False}),
    ],
)
def test_mode_and_group_decide_which_users_may_connect(
    public: Path, options: tuple[str, ...], may: dict[int, bool]
) -> None:
    args = ("run", "hello", "-b", "unix:s", "--umask", "022", *options)
    with Running(*args, cwd=public) as server:
        line = server.line("unix:")
        mode = next((each for each in options if each in ("666", "600")), "660")
        assert f"s (permissions {mode}, group " in line
        for group, allowed in may.items():
            command = [sys.executable, "-c", CONNECTS, str(public / "s"), str(group)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert (done.returncode == 0) is allowed, done.stderr
        assert server.stop() == 0


def test_a_group_is_found_by_name(tmp_path: Path) -> None:
    name = grp.getgrgid(os.getgid()).gr_name
    (sock,) = open_sockets([Address(path=str(tmp_path / "s"))], 1, SocketFile(group=name))
    with sock:
        status = (tmp_path / "s").stat()
        assert (status.st_gid, status.st_mode & 0o777) == (os.getgid(), 0o660)


@pytest.mark.parametrize(("umask", "bits"), [(0o022, 0o660), (0o027, 0o660), (0o077, 0o600)])
def test_the_user_and_the_group_may_connect_by_default(umask: int, bits: int) -> None:
    before = os.umask(umask)
    try:
        assert SocketFile().bits() == bits
        assert SocketFile(group="www-data").bits() == 0o660
        assert SocketFile(0o666).bits() == 0o666
    finally:
        os.umask(before)


def test_an_unknown_group_is_named_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(BindError, match="no group 'nosuch'"):
        open_sockets([Address(path=str(tmp_path / "s"))], 1, SocketFile(group="nosuch"))
    assert not (tmp_path / "s").exists()


def test_a_group_that_the_user_is_not_in_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: str, user: int, group: int) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "chown", refused)
    with pytest.raises(BindError, match=r"usermod -aG 7 USER"):
        open_sockets([Address(path=str(tmp_path / "s"))], 1, SocketFile(group="7"))
    assert not (tmp_path / "s").exists()
