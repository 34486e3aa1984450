"""`carboy run --check-config`: all problems at once, and a running server is not disturbed."""

from __future__ import annotations

import errno
import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from carboy.cli.configuration import places
from carboy.net.listener import listen_tcp, listen_unix
from carboy.server.admin.place import TOKEN
from carboy.server.admin.settings import AdminSettings
from carboy.server.bind import Address, parse_bind
from certificates import Authority
from running import Running

APP = """
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"hello"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def check(folder: Path, *args: str, **env: str) -> tuple[int, dict[str, Any]]:
    with Running("run", "--check-config", "--json", *args, cwd=folder, env=env) as running:
        code = running.wait()
        assert running.out, running.text()
        return code, json.loads("".join(running.out))


def texts(found: dict[str, Any]) -> str:
    return "\n".join(each["text"] for each in found["problems"])


def test_a_correct_configuration_has_exit_code_0(folder: Path) -> None:
    with Running("run", "--check-config", "--port", "0", cwd=folder) as running:
        assert running.wait() == 0
        assert "".join(running.out) == "The configuration is correct, and app.py loads.\n"


def test_all_problems_are_shown_at_once(folder: Path) -> None:
    (folder / "pyproject.toml").write_text('[tool.carboy]\nworkrs = 2\nthreads = "many"\n')
    (folder / "app.py").write_text("import missing_module_x\n")
    code, found = check(
        folder,
        *("--bind", "nonsense", "--bind", "unix:/missing/x.sock", "--umask", "999"),
        *("--static", "/a=nowhere", "--client-ca", "ca.pem", "--access-log-file", "missing/log"),
        *("--socket-group", "no-such-group", "--server-header", "\n"),
        *("--with", "no-such-program"),
    )
    assert code == 1
    for part in (
        "Did you mean 'workers'?",
        "'many' is not a whole number",
        "missing_module_x",
        "'nonsense' is not an address",
        "missing/x.sock",
        "'999' is not a mode",
        "nowhere is not a folder",
        "--client-ca requires --cert",
        "--access-log-file missing/log cannot be used",
        "no group 'no-such-group'",
        "server_header may only contain",
        "there is no program 'no-such-program'",
    ):
        assert part in texts(found), part


def test_a_variable_of_a_platform_that_cannot_be_used_is_a_problem(folder: Path) -> None:
    code, found = check(folder, "--access-log-file", "missing/log", PORT="x")
    assert (code, len(found["problems"])) == (1, 2)
    assert "The variable PORT" in texts(found)


def test_the_module_of_hooks_is_loaded(folder: Path) -> None:
    code, found = check(folder, "--port", "0", "--hooks", "missing_hooks")
    assert code == 1
    assert "The module of --hooks cannot be used" in texts(found)


def test_without_an_application_there_is_a_problem(tmp_path: Path) -> None:
    code, found = check(tmp_path, "--port", "0")
    assert (code, [each["about"] for each in found["problems"]]) == (1, ["app"])


def test_what_the_application_prints_does_not_disturb_the_json(folder: Path) -> None:
    (folder / "app.py").write_text('print("loading")\nimport os\nos.system("echo hi")\n' + APP)
    code, found = check(folder, "--port", "0")
    assert (code, found["ok"], found["app"]) == (0, True, "app.py")


def test_an_application_that_ends_its_process_is_a_problem(folder: Path) -> None:
    (folder / "app.py").write_text("import os\nos._exit(3)\n")
    code, found = check(folder, "--port", "0")
    assert code == 1
    assert "The process that loaded the application" in texts(found)


def test_an_application_that_does_not_load_in_time_is_a_problem(folder: Path) -> None:
    (folder / "app.py").write_text("import threading\nthreading.Event().wait()\n")
    code, found = check(folder, "--port", "0", "--start-timeout", "0.1")
    assert code == 1
    assert "has not been loaded within 0.1 s" in texts(found)


def test_an_address_that_another_program_uses_is_a_problem(folder: Path) -> None:
    with listen_tcp("127.0.0.1", 0) as taken, listen_unix(str(folder / "x.sock")) as other:
        port = taken.getsockname()[1]
        code, found = check(folder, "--port", str(port), "--bind", f"unix:{folder}/x.sock")
        assert code == 1
        assert f"Port {port} is in use by another program" in texts(found)
        assert f"{folder}/x.sock is in use by another program" in texts(found)
        other.settimeout(0.0)
        with pytest.raises(BlockingIOError):
            other.accept()  # no client has connected


def test_a_file_that_is_not_a_socket_is_a_problem(folder: Path) -> None:
    code, found = check(folder, "--bind", "unix:app.py")
    assert code == 1
    assert "exists and is not a socket" in texts(found)


def test_a_path_that_is_too_long_for_a_socket_is_a_problem(folder: Path) -> None:
    code, found = check(folder, "--bind", f"unix:{'x' * 120}")
    assert code == 1
    assert "the path of a unix socket may have 107. Use a shorter path." in texts(found)


def test_a_running_server_of_the_same_folder_is_a_notice(folder: Path) -> None:
    with Running("run", "--port", "0", cwd=folder, fresh=True) as server:
        port = server.address()[1]
        code, found = check(folder, "--port", str(port))
        assert (code, found["problems"]) == (0, [])
        assert "a Carboy server of this folder" in found["notices"][0]["text"]
        assert server.get()[1] == b"hello"


def test_nothing_is_written(folder: Path) -> None:
    before = sorted(folder.iterdir())
    code, _ = check(folder, "--bind", "unix:x.sock", "--access-log-file", "access.log")
    assert code == 0
    assert sorted(each for each in folder.iterdir() if each.name != "__pycache__") == before


def test_a_certificate_that_has_expired_is_a_problem(folder: Path) -> None:
    authority = Authority()
    authority.sign("old.example", begins=-9, days=-1).write(folder, "old")
    authority.sign("one.example").write(folder, "one")
    pair = ("--cert", "old.pem", "--key", "old-key.pem")
    code, found = check(folder, "--port", "0", *pair)
    assert code == 1
    assert "expired on" in texts(found)
    code, found = check(folder, "--port", "0", "--cert", "one.pem", "--key", "old-key.pem")
    assert code == 1
    assert "one.pem" in texts(found)


def test_a_certificate_that_is_valid_is_not_a_problem(folder: Path) -> None:
    Authority().sign("one.example").write(folder, "one")
    code, found = check(folder, "--port", "0", "--cert", "one.pem", "--key", "one-key.pem")
    assert (code, found["problems"], found["notices"]) == (0, [], [])


def test_options_that_exclude_each_other_are_a_problem(folder: Path) -> None:
    code, found = check(folder, "--port", "0", "--no-supervisor", "-w", "2")
    assert (code, texts(found)) == (1, "--no-supervisor requires --workers 1.")


def test_debug_mode_on_a_public_address_is_a_problem(folder: Path) -> None:
    code, found = check(folder, "--host", "0.0.0.0", "--port", "0", "--debug")
    assert code == 1
    assert "Debug mode is for this machine only" in texts(found)


def test_a_pyproject_file_that_is_not_toml_is_a_problem(folder: Path) -> None:
    (folder / "pyproject.toml").write_text("[tool.carboy\n")
    code, found = check(folder, "--port", "0")
    assert code == 1
    assert "pyproject.toml cannot be read" in texts(found)


def test_an_inherited_descriptor_is_looked_at_without_changing_it(folder: Path) -> None:
    with socket.socket() as plain, listen_tcp("127.0.0.1", 0) as listening:
        listening.setblocking(True)
        found = list(places.check_addresses(_addresses(plain, listening), places.SocketFile()))
        assert [each.text.split(".")[0] for each in found] == [
            f"Descriptor {plain.fileno()} is not a listening stream socket"
        ]
        assert os.get_blocking(listening.fileno())


def _addresses(*sockets: socket.socket) -> list[places.Address]:
    return [places.Address(fd=each.fileno()) for each in sockets]


def test_users_and_groups_have_to_exist() -> None:
    found = places.check_names({"user": "no-such-user", "group": "root", "socket_group": "0"})
    assert [each.about for each in found] == ["user"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_files_have_to_be_writable(tmp_path: Path) -> None:
    (tmp_path / "log").touch(mode=0o444)
    found = places.check_files({"access_log_file": str(tmp_path / "log")})
    assert ["cannot be written" in each.text for each in found] == [True]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_a_user_without_an_entry_needs_a_group() -> None:
    found = places.check_names({"user": "47110815"})
    assert [each.about for each in found] == ["user"]
    assert not list(places.check_names({"user": "47110815", "group": "0"}))


def test_the_places_of_the_admin_server_are_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN, "x" * 32)
    with listen_tcp("127.0.0.1", 0) as taken:
        wanted = (f"127.0.0.1:{taken.getsockname()[1]}", "127.0.0.1:0", str(tmp_path / "no/admin"))
        found = [each.text for each in places.check_admin(AdminSettings(admin=wanted))]
    assert len(found) == 2 and "is in use by" in found[0]
    assert found[1].endswith("No such file or directory. Choose another one.")
    monkeypatch.setenv(TOKEN, "weak")
    (weak,) = places.check_admin(AdminSettings(admin=("127.0.0.1:0",)))
    assert "must have at least 16 visible ASCII characters" in weak.text


def test_an_admin_path_that_is_too_long_is_a_problem() -> None:
    (found,) = places.check_admin(AdminSettings(admin=("/" + "x" * 107,)))
    assert found.text.endswith("The path has 108 bytes, and the path of a unix socket may have"
                               " 107. Use a shorter path.")  # fmt: skip


@pytest.mark.parametrize(
    ("binds", "admin", "conflicts"),
    [
        (("127.0.0.1:80", "[::1]:80"), (), 0),
        (("127.0.0.1:0", "127.0.0.1:0"), (), 0),
        (("127.0.0.1:80", ":80"), (), 1),
        (("unix:/a", "unix:/a"), ("/a",), 3),
        (("127.0.0.1:80",), ("127.0.0.1:80",), 1),
        (("127.0.0.1:80",), ("127.0.0.1:81", "none.sock/x"), 0),
    ],
)
def test_a_place_that_is_used_twice_is_a_problem(
    binds: tuple[str, ...], admin: tuple[str, ...], conflicts: int
) -> None:
    addresses = [parse_bind(each) for each in binds]
    found = list(places.check_conflicts(addresses, AdminSettings(admin=admin)))
    assert len(found) == conflicts


def test_a_port_that_only_root_may_use_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(host: str, port: int) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(places, "probe_tcp", refuse)
    (found,) = places.check_addresses([Address("127.0.0.1", 80)], places.SocketFile())
    assert found.text.startswith("This user is not allowed to listen on port 80.")


def test_a_process_id_file_of_a_server_that_runs_is_a_problem(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    file.write_text(f"{os.getppid()}\n")
    (found,) = places.check_files({"pid_file": str(file), "crash_reports": 0})
    assert found.is_error and "A server is running already" in found.text


def test_a_state_folder_that_cannot_be_made_is_a_problem_if_it_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    (found,) = places.check_files({"state": str(tmp_path / "file" / "state")})
    assert found.about == "state" and found.is_error
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "file"))
    (notice,) = places.check_files({})
    assert not notice.is_error and "there are no crash reports" in notice.text


def test_json_requires_an_action(folder: Path) -> None:
    with Running("run", "--json", cwd=folder) as running:
        assert running.wait() == 2
        assert "--json requires --print-config or --check-config." in running.text()


def test_a_mistyped_key_is_corrected_in_its_own_spelling(folder: Path) -> None:
    (folder / "pyproject.toml").write_text("[tool.carboy]\nrequest-timout = 5\nqueue_timout = 5\n")
    code, found = check(folder)
    texts = " ".join(each["text"] for each in found["problems"])
    assert code == 1
    assert "Did you mean 'request-timeout'?" in texts
    assert "Did you mean 'queue_timeout'?" in texts
