"""Which process holds an address, as far as Linux's /proc tells."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
LISTEN = "0A"  # TCP_LISTEN in the "st" column of /proc/net/tcp


class Holder(NamedTuple):
    """A process and what it calls itself."""

    pid: int
    name: str


def holder_of_port(port: int, proc: Path = PROC) -> Holder | None:
    """The process that listens on a TCP port; None if nobody may know (or nobody does)."""
    inodes = {
        columns[9]
        for table in ("tcp", "tcp6")
        for columns in _rows(proc / "net" / table)
        if len(columns) > 9 and columns[3] == LISTEN and columns[1].endswith(f":{port:04X}")
    }
    return _owner(inodes, proc)


def holder_of_path(path: str, proc: Path = PROC) -> Holder | None:
    """The process that listens on a unix socket."""
    wanted = str(Path(path).absolute())
    inodes = {
        columns[6]
        for columns in _rows(proc / "net" / "unix")
        if len(columns) > 7 and columns[7] in (path, wanted)
    }
    return _owner(inodes, proc)


def _rows(table: Path) -> Iterator[list[str]]:
    try:
        lines = table.read_text("utf-8", "replace").splitlines()[1:]
    except OSError:
        return
    for line in lines:
        yield line.split()


def _owner(inodes: set[str], proc: Path) -> Holder | None:
    wanted = {f"socket:[{inode}]" for inode in inodes}
    if not wanted:
        return None
    pids = sorted(int(entry.name) for entry in proc.iterdir() if entry.name.isdecimal())
    for pid in pids:
        if any(link in wanted for link in _links(proc / str(pid) / "fd")):
            return Holder(pid, _name(proc / str(pid)))
    return None


def _links(folder: Path) -> Iterator[str]:
    try:
        entries = list(folder.iterdir())
    except OSError:  # another user's, or gone
        return
    for entry in entries:
        try:
            yield str(entry.readlink())
        except OSError:
            continue


def _name(folder: Path) -> str:
    try:
        words = (folder / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    except OSError:
        return "unknown"
    line = " ".join(Path(word).name if "/" in word else word for word in words if word)
    shown = "".join(c if c.isprintable() else "?" for c in line)
    return shown if len(shown) <= 60 else shown[:59] + "…"
