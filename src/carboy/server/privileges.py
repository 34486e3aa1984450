"""--user and --group: another user after the sockets are open, without a way back.

Ports below 1024, keys of certificates and log files are opened as root, or given to the user,
before the change. Nothing that comes after it, such as the application, runs as root.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from carboy.server.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """A user and a group by number. `name` and `home` are "" for a number without an entry."""

    uid: int
    gid: int
    name: str = ""
    home: str = ""

    def shown(self) -> str:
        """The user, for messages."""
        return self.name or str(self.uid)


def identity(user: str | None, group: str | None) -> Identity | None:
    """The identity that was asked for; None without one.

    Raises ValueError for a user or group that does not exist, or that this process cannot become.
    """
    if user is None and group is None:
        return None
    if not hasattr(os, "setresuid"):
        raise ValueError("This system does not support --user and --group. Leave them out.")
    found = _user(user)
    if group is not None:
        found = Identity(found.uid, _group(group), found.name, found.home)
    if found.gid < 0:
        raise ValueError(f"The user {user} has no entry in /etc/passwd. Add --group.")
    if os.geteuid() != 0 and (found.uid, found.gid) != (os.geteuid(), os.getegid()):
        raise ValueError(
            f"Only root can become the user {found.shown()} with the group"
            f" {_group_name(found.gid)}. Start the server as root, or leave out --user and --group."
        )
    return found


def _user(text: str | None) -> Identity:
    import pwd

    try:
        if text is None:
            entry = pwd.getpwuid(os.getuid())
        elif text.isdecimal():
            entry = pwd.getpwuid(int(text))
        else:
            entry = pwd.getpwnam(text)
    except KeyError:
        if text is not None and not text.isdecimal():
            raise ValueError(
                f"This machine has no user {text!r}. Make one, for example:"
                f" useradd --system {text}."
            ) from None
        return Identity(os.getuid() if text is None else int(text), -1)
    return Identity(entry.pw_uid, entry.pw_gid, entry.pw_name, entry.pw_dir)


def _group(text: str) -> int:
    import grp

    if text.isdecimal():
        return int(text)
    try:
        return grp.getgrnam(text).gr_gid
    except KeyError:
        raise ValueError(
            f"This machine has no group {text!r}. Make one, for example: groupadd --system {text}."
        ) from None


def _group_name(number: int) -> str:
    import grp

    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def give(folder: Path, to: Identity) -> None:
    """Give a folder, with all that is in it, to the user.

    The user may have owned the folder before, and so may have put links to files of others there.
    Links are not followed, not even by a folder that becomes a link meanwhile, and a file with
    another name elsewhere keeps its owner.
    """
    os.chown(folder, to.uid, to.gid, follow_symlinks=False)
    for _, folders, files, inside in os.fwalk(folder, follow_symlinks=False):
        for name in folders + files:
            found = os.stat(name, dir_fd=inside, follow_symlinks=False)
            if stat.S_ISDIR(found.st_mode) or found.st_nlink == 1:
                os.chown(name, to.uid, to.gid, dir_fd=inside, follow_symlinks=False)


def give_log_file(path: Path, to: Identity) -> None:
    """Make a log file, and give it to the user, so that it can be opened again later.

    Devices and pipes, such as /dev/stdout, stay as they are, and so does a file with another name
    elsewhere.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o640)
    try:
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
            os.fchown(descriptor, to.uid, to.gid)
    finally:
        os.close(descriptor)


def become(to: Identity) -> None:
    """Become the user for good: the groups first, because only root may change them.

    HOME, USER and LOGNAME are then those of the user. Raises PermissionError if root could be
    regained.
    """
    if os.geteuid() != 0:
        return  # `identity` has checked that this is the user already
    if to.name:
        os.initgroups(to.name, to.gid)
    else:
        os.setgroups([to.gid])
    os.setresgid(to.gid, to.gid, to.gid)
    os.setresuid(to.uid, to.uid, to.uid)
    if to.uid != 0 and _can_return():
        raise PermissionError("The process could become root again, so it does not serve.")
    if to.uid == 0:
        return
    os.environ |= {"HOME": to.home or "/", "USER": to.shown(), "LOGNAME": to.shown()}
    for name in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        os.environ.pop(name, None)  # folders of the user before


def _can_return() -> bool:
    try:
        os.setuid(0)
    except PermissionError:
        return False
    return True


def unreadable(files: Iterable[str | Path]) -> list[str]:
    """Those of the files that this process cannot read."""
    return [str(file) for file in files if not os.access(file, os.R_OK)]
