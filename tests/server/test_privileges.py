"""--user and --group: the server listens as root and serves as another user."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from carboy.server.privileges import Identity, give, give_log_file, identity
from running import Running

OTHER = "daemon"
APP = """
import os

def app(environ, start_response):
    try:
        os.setuid(0)
        way_back = True
    except PermissionError:
        way_back = False
    body = repr((os.getresuid(), os.getresgid(), os.getgroups(), way_back, os.environ["HOME"]))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body.encode()]
"""


# Becomes `python -m carboy …`, after a Python that only root can read was made readable: in a mount
# namespace of this process, its folder is shown in an empty one of the same name.
READABLE = """
mount --bind "$1" "$2" && mount -t tmpfs -o mode=755 none "$3" && mkdir -p "$1" || exit 99
mount --bind "$2" "$1" || exit 99
program="$4"; shift 4; exec "$program" "$@"
"""
BECOME = "import os, sys; os.execvp(sys.argv[1], sys.argv[1:])"


def hidden_folder() -> Path | None:
    """The folder above Python that other users cannot enter; None if there is none."""
    folders = [*reversed(Path(sys.base_prefix).parents), Path(sys.base_prefix)]
    return next((each for each in folders if not each.stat().st_mode & 0o001), None)


def readable(folder: Path) -> tuple[str, ...]:
    """The beginning of a command whose Python can be read by every user."""
    hidden = hidden_folder()
    if hidden is None:
        return (sys.executable,)
    place = folder / "python"
    place.mkdir(exist_ok=True)
    places = (sys.base_prefix, str(place), str(hidden))
    return ("unshare", "-m", "sh", "-c", READABLE, "sh", *places, sys.executable)


def can_change_user() -> bool:
    if not hasattr(os, "setresuid") or os.geteuid() != 0:
        return False
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        become = f"import os, pwd; os.setuid(pwd.getpwnam({OTHER!r}).pw_uid)"
        command = [*readable(Path(folder)), "-c", f"{become}; import carboy.server.bind"]
        try:
            done = subprocess.run(command, cwd="/", capture_output=True, check=False)
        except OSError:
            return False
        return done.returncode == 0


needs_root = pytest.mark.skipif(
    not can_change_user(), reason="needs root, and a user that can read the package"
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the user can enter."""
    path = Path(tempfile.mkdtemp(prefix="carboy-test-"))
    path.chmod(0o755)
    (path / "service.py").write_text(APP)
    yield path
    shutil.rmtree(path)


def started(folder: Path, *args: str) -> Running:
    command = (*readable(folder), "-m", "carboy", "run", "service", "-p", "0", *args)
    return Running(*command, cwd=folder, command=("-c", BECOME))


@needs_root
@pytest.mark.parametrize("how", [(), ("--no-supervisor",), ("--preload",)])
def test_no_process_of_the_server_is_root(folder: Path, how: tuple[str, ...]) -> None:
    entry = pwd.getpwnam(OTHER)
    with started(folder, "--user", OTHER, *how) as server:
        found = eval(server.get()[1])
        uid, gid = entry.pw_uid, entry.pw_gid
        assert found[:2] == ((uid,) * 3, (gid,) * 3)
        assert set(found[2]) == set(os.getgrouplist(OTHER, gid))
        assert found[3:] == (False, entry.pw_dir)
        status = Path(f"/proc/{server.pid}/status").read_text()
        assert f"Uid:\t{uid}\t{uid}\t{uid}\t{uid}\n" in status
        assert server.stop() == 0


@needs_root
def test_sockets_logs_and_the_pid_file_are_those_of_the_user(folder: Path) -> None:
    entry = pwd.getpwnam(OTHER)
    args = ("-b", f"unix:{folder}/web.sock", "--access-log-file", "access.log", "--pid-file", "pid")
    with started(folder, *args, "--user", OTHER) as server:
        assert server.get()[0] == 200
        for name in ("web.sock", "access.log", "pid"):
            assert (folder / name).stat().st_uid == entry.pw_uid, name
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(f"{folder}/web.sock")
        assert server.stop() == 0
    assert "GET / HTTP/1.1" in (folder / "access.log").read_text()
    # The user may not remove a file from this folder, and an empty one means the same.
    assert not (folder / "pid").exists() or (folder / "pid").read_text() == ""


@needs_root
def test_a_group_of_the_sockets_is_kept(folder: Path) -> None:
    sock = folder / "web.sock"
    args = ("-b", f"unix:{sock}", "--socket-group", "users", "--user", OTHER, "--group", "nogroup")
    with started(folder, *args) as server:
        import grp

        server.line("is serving")
        assert sock.stat().st_gid == grp.getgrnam("users").gr_gid
        assert eval(server.get()[1])[1] == (grp.getgrnam("nogroup").gr_gid,) * 3
        assert server.stop() == 0


@needs_root
def test_a_folder_of_state_that_the_user_cannot_enter_is_an_error(folder: Path) -> None:
    secret = folder / "secret"
    secret.mkdir(mode=0o700)
    args = ("--domain", "shop.example", "--state", str(secret / "state"), "--user", OTHER)
    with started(folder, *args, "--acme-directory", "https://127.0.0.1:9/dir") as server:
        assert server.wait() == 1
        assert "cannot write to" in server.text() and "Use --state" in server.text()


def test_a_user_or_group_that_does_not_exist_is_an_error(folder: Path) -> None:
    with pytest.raises(ValueError, match="no user 'nosuchuser'. Make one"):
        identity("nosuchuser", None)
    with pytest.raises(ValueError, match="no group 'nosuchgroup'. Make one"):
        identity(None, "nosuchgroup")
    with started(folder, "--user", "nosuchuser") as server:
        assert server.wait() == 1
        assert "no user 'nosuchuser'" in server.text() and "Traceback" not in server.text()


def test_a_number_without_an_entry_needs_a_group() -> None:
    with pytest.raises(ValueError, match="Add --group"):
        identity("123456", None)


@needs_root
def test_a_number_and_a_group_are_an_identity() -> None:
    assert identity("123456", "654321") == Identity(123456, 654321)
    assert identity(None, None) is None


@needs_root
@needs_root
def test_files_that_are_elsewhere_as_well_are_not_given_to_the_user(tmp_path: Path) -> None:
    other, state = tmp_path / "other", tmp_path / "state"
    other.write_text("of root")
    (state / "inner").mkdir(parents=True)
    (state / "inner" / "own").write_text("")
    (state / "inner" / "hard").hardlink_to(other)
    (state / "soft").symlink_to(other)
    (state / "elsewhere").symlink_to(tmp_path)
    to = Identity(pwd.getpwnam(OTHER).pw_uid, pwd.getpwnam(OTHER).pw_gid)
    give(state, to)
    (tmp_path / "log").hardlink_to(other)
    give_log_file(tmp_path / "log", to)
    assert other.stat().st_uid == tmp_path.stat().st_uid == 0
    given = [state, state / "inner", state / "inner" / "own", state / "soft"]
    assert {each.lstat().st_uid for each in given} == {to.uid}


def test_only_root_can_become_another_user(folder: Path) -> None:
    code = f"""import os, pwd
from carboy.server.privileges import identity
os.setuid(pwd.getpwnam({OTHER!r}).pw_uid)
identity("root", None)"""
    command = [*readable(folder), "-c", code]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Only root can become the user root with the group root." in done.stderr
