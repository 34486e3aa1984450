"""File descriptors: the three that every program has, and how many a server may use."""

from __future__ import annotations

import os

try:
    import resource
except ImportError:  # Windows
    LIMITED = False
else:
    LIMITED = True

# Highest value that the soft limit is raised to: enough for any common setting of `connections`,
# while programs that loop over all possible descriptors, as some old ones do, stay quick.
ENOUGH = 65_536
# Descriptors that connections leave to everything else: log files, temporary files of bodies,
# files being sent, the application's databases. At most; of a small limit it is a quarter.
RESERVE = 256


def open_standard() -> None:
    """Open descriptors 0, 1 and 2 on /dev/null if they are closed.

    Otherwise a connection would get the number, and what the application prints would be sent to a
    client. Call it before any other descriptor is opened.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            fd = os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
            os.set_inheritable(fd, True)


def raise_limit(connections: int) -> None:
    """Raise the soft limit on open files as far as is useful and the hard limit allows.

    The soft limit is low by tradition (1024), for programs that use select(2).
    """
    if not LIMITED:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(ENOUGH, connections + 2 * RESERVE)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):
        pass  # macOS has a further limit of its own; the limit stays as it is


def room_for(connections: int) -> int:
    """The lower of `connections` and the number that the limit on open files allows, at least 1."""
    if not LIMITED:
        return connections
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return connections
    return max(1, min(connections, soft - _open_now() - min(RESERVE, soft // 4)))


def _open_now() -> int:
    try:
        return len(os.listdir("/dev/fd"))  # noqa: PTH208 - names only
    except OSError:
        return 32
