"""--pid-file: the process id of the server, for scripts and for programs that watch it.

The file appears whole: it is written beside its place and then renamed. A file of a server that was
killed is replaced. Its process id may belong to another process meanwhile; then this process was
started after the file had been written.
"""

from __future__ import annotations

import os
from pathlib import Path

# Seconds by which the time of a start may be wrong: the kernel gives the time of the boot in whole
# seconds, and a clock that is set changes it.
INACCURACY = 2.0


class PidFile:
    """The file at `path`, from `write` to `remove`."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()
        self._written = False

    def check(self) -> None:
        """Raise ValueError if another server is running that has written the file."""
        pid = read(self.path)
        if pid and pid != os.getpid() and _has_written(pid, self.path):
            raise ValueError(
                f"A server is running already: {self.path} has the process id {pid}. Stop it (kill"
                f" {pid}), or use another --pid-file."
            )

    def write(self, uid: int = -1, gid: int = -1) -> None:
        """Write the process id; the file is that of `uid` and `gid`. Raises ValueError."""
        self.check()
        if read(self.path) == os.getpid():  # this program has started itself again
            self._written = True
            return
        beside = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            try:
                beside.unlink(missing_ok=True)  # not a link that another user has put there
                with beside.open("x") as file:
                    file.write(f"{os.getpid()}\n")
                beside.chmod(0o644)
                if uid >= 0:
                    os.chown(beside, uid, gid)
                beside.replace(self.path)
            except BaseException:
                beside.unlink(missing_ok=True)
                raise
        except OSError as problem:
            raise ValueError(
                f"--pid-file {self.path} cannot be written: {problem.strerror}. The folder has to"
                " exist, and the user has to be able to write to it."
            ) from None
        self._written = True

    def remove(self) -> None:
        """Remove the file, unless another server has written it meanwhile.

        A file in a folder that this user cannot write to is made empty, which means the same.
        """
        if not self._written or read(self.path) != os.getpid():
            return
        try:
            self.path.unlink()
        except OSError:
            try:
                os.truncate(self.path, 0)
            except OSError:
                pass  # the next server sees that the process has ended


def read(path: Path) -> int:
    """The process id in a file; 0 if there is none."""
    try:
        text = path.read_text().strip()
    except (OSError, ValueError):
        return 0
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def _has_written(pid: int, path: Path) -> bool:
    """Whether the process exists, and is not younger than the file."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    began = started_at(pid)
    try:
        return began is None or began <= path.stat().st_mtime + INACCURACY
    except OSError:
        return False


def started_at(pid: int) -> float | None:
    """When a process was started, in seconds since the epoch; None if the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/stat").read_text().partition("\nbtime ")[2].split(maxsplit=1)[0]
        return int(boot) + int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None
