"""Checks of addresses, files, folders, users and groups, for `carboy run --check-config`."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from carboy.acme.settings import state_folder
from carboy.cli.configuration.problems import Problem
from carboy.net.listener import AddressInUse
from carboy.net.probe import probe_descriptor, probe_tcp, probe_unix
from carboy.server.admin.listening import trouble as admin_trouble
from carboy.server.admin.settings import AdminSettings
from carboy.server.admin.token import check_token
from carboy.server.bind import Address, SocketFile, in_use, trouble
from carboy.server.logs.output import STANDARD
from carboy.server.pid_file import PidFile, read
from carboy.server.privileges import identity
from carboy.unix_path import LONGEST, PathTooLong

PID = re.compile(r"\(pid ([0-9]+)\)")
# Options that name a file to write, a folder to write in, a file to read, a folder to read
WRITTEN_FILES = ("access_log_file", "pid_file", "channels_socket")
WRITTEN_FOLDERS = ("worker_tmp_dir",)
READ_FOLDERS = ("chdir",)


def check_addresses(addresses: Iterable[Address], file: SocketFile) -> Iterator[Problem]:
    """A problem for each address on which this program could not listen."""
    for address in addresses:
        try:
            if address.fd_name is not None:
                continue  # only a service of systemd gets these
            if address.fd is not None:
                probe_descriptor(address.fd)
            elif address.path is not None:
                probe_unix(address.path)
            else:
                probe_tcp(address.host, address.port or 0)
        except ValueError as problem:
            yield Problem("bind", str(problem))
        except AddressInUse as problem:
            if is_own_server(problem.holder):
                yield Problem(
                    "bind",
                    f"{address} is in use by {problem.holder}, a Carboy server of this folder. It"
                    " can be reloaded with SIGHUP.",
                    is_error=False,
                )
            else:
                yield Problem("bind", in_use(address, problem.holder))
        except OSError as problem:
            yield Problem("bind", trouble(address, problem, file))


def check_admin(settings: AdminSettings) -> Iterator[Problem]:
    """A problem for each place of --admin where the admin server could not listen."""
    for place in settings.places():
        try:
            if place.path:
                probe_unix(place.path)
            else:
                probe_tcp(place.host, place.port)
                check_token()
        except AddressInUse as problem:
            own = is_own_server(problem.holder)
            holder = problem.holder or "another program"
            advice = "a Carboy server of this folder." if own else "Choose another --admin."
            yield Problem(
                "admin", f"--admin {place} is in use by {holder}{', ' if own else '. '}{advice}",
                is_error=not own,
            )  # fmt: skip
        except ValueError as problem:
            yield Problem("admin", f"--admin {place} has no token: {problem}")
        except OSError as problem:
            yield Problem("admin", admin_trouble(place, problem))


def check_conflicts(addresses: Sequence[Address], settings: AdminSettings) -> Iterator[Problem]:
    """A problem for each address that would be used twice, which no probe shows."""
    wanted = [("--bind", each) for each in addresses]
    wanted += [
        ("--admin", Address(each.host, None if each.path else each.port, each.path or None))
        for each in settings.places()
    ]
    for place, (option, address) in enumerate(wanted):
        for other_option, other in wanted[:place]:
            if same_place(address, other):
                yield Problem(
                    option.removeprefix("--"),
                    f"{option} {address} and {other_option} {other} are the same place. Use"
                    " different ones.",
                )


def same_place(one: Address, other: Address) -> bool:
    """Whether two sockets cannot listen on these addresses at the same time."""
    if one.port is None or other.port is None:
        return one == other
    if one.port != other.port or not one.port:
        return False  # 0: the system chooses different ports
    return one.host == other.host or bool({one.host, other.host} & {"", "::", "0.0.0.0"})


def is_own_server(holder: str | None) -> bool:
    """Whether a process, as "name (pid 123)", is a Carboy server started in this folder."""
    found = PID.search(holder or "")
    if found is None:
        return False
    process = Path("/proc") / found[1]
    try:
        words = [
            Path(word).name for word in os.fsdecode((process / "cmdline").read_bytes()).split("\0")
        ]
        return "carboy" in words and "run" in words and (process / "cwd").readlink() == Path.cwd()
    except OSError:
        return False


def check_files(values: Mapping[str, Any]) -> Iterator[Problem]:
    """A problem for each file or folder that cannot be read or written as needed."""
    for name in WRITTEN_FILES:
        path = values.get(name)
        if path and path not in STANDARD and (why := why_not_written(Path(path))):
            yield Problem(name, f"{_option(name)} {path} {why}")
    for name in WRITTEN_FOLDERS:
        path = values.get(name)
        if path and (why := why_no_files_in(Path(path))):
            yield Problem(name, f"{_option(name)} {path} {why}")
    for name in READ_FOLDERS:
        path = values.get(name)
        if path and not (Path(path).is_dir() and os.access(path, os.X_OK)):
            yield Problem(name, f"{_option(name)} {path} is not a folder that can be entered.")
    yield from check_state(values)
    if path := values.get("pid_file"):
        try:
            PidFile(path).check()
        except ValueError as problem:
            holder = f"carboy (pid {read(Path(path))})"
            yield Problem("pid_file", str(problem), is_error=not is_own_server(holder))
    if (path := values.get("channels_socket")) and len(os.fsencode(path)) > LONGEST:
        yield Problem("channels_socket", f"--channels-socket: {PathTooLong(len(path)).strerror}.")
    for text in values.get("static") or ():
        folder = Path(str(text).partition("=")[2])
        if folder.is_dir() and not os.access(folder, os.R_OK | os.X_OK):
            yield Problem("static", f"--static {text}: this user may not read {folder}.")
    yield from check_temporary_folder()


def check_state(values: Mapping[str, Any]) -> Iterator[Problem]:
    """A problem if the state folder cannot be used: certificates or crash reports would be lost."""
    if values.get("state"):
        if why := why_no_state(Path(values["state"])):
            yield Problem("state", f"--state {values['state']} {why}")
        return
    if values.get("user") or values.get("crash_reports") == 0:
        return  # the folder is that of another user, or nothing is written
    try:
        folder = state_folder()
    except RuntimeError:
        return  # this user has no home, and there are no reports
    if why := why_no_state(folder):
        text = f"The state folder {folder} {why} Without it, there are no crash reports."
        yield Problem("state", text, is_error=False)


def check_temporary_folder() -> Iterator[Problem]:
    """A problem if large request bodies cannot be written anywhere."""
    try:
        tempfile.gettempdir()
    except OSError as problem:
        yield Problem(
            "spool_limit", f"{problem.strerror}. Set TMPDIR to a folder for large bodies."
        )


def why_not_written(path: Path) -> str:
    """The reason why a file cannot be appended to; "" if it can. Nothing is created."""
    if path.is_dir():
        return "is a folder. Name a file."
    if path.exists():
        return (
            ""
            if os.access(path, os.W_OK)
            else "cannot be written by this user. Check its permissions."
        )
    return why_no_files_in(path.absolute().parent)


def why_no_files_in(folder: Path) -> str:
    """The reason why no file can be created in a folder; "" if it can."""
    if not folder.is_dir():
        return f"cannot be used: {folder} is not a folder. Create it."
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"cannot be used: this user may not create files in {folder}. Check its permissions."
    return ""


def why_no_state(folder: Path) -> str:
    """The reason why the state folder cannot be used or created; "" if it can."""
    folder = folder.absolute()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return why_no_files_in(folder)


def check_names(values: Mapping[str, Any]) -> Iterator[Problem]:
    """A problem for each user and group that this machine does not have."""
    try:
        import grp
        import pwd
    except ImportError:
        return
    lookups = {
        "user": (pwd.getpwnam, "user"),
        "group": (grp.getgrnam, "group"),
        "socket_group": (grp.getgrnam, "group"),
    }
    unknown = False
    for name, (find, kind) in lookups.items():
        wanted = str(values.get(name) or "")
        if not wanted or wanted.isdecimal():
            continue
        try:
            find(wanted)
        except KeyError:
            unknown = True
            yield Problem(
                name,
                f"This machine has no {kind} {wanted!r}. Create the {kind}, or correct"
                f" {_option(name)}.",
            )

    if not unknown:
        try:
            identity(values.get("user") or None, values.get("group") or None)
        except ValueError as problem:
            yield Problem("user" if values.get("user") else "group", str(problem))


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
