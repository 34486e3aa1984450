"""The stacks of a process's threads, written by the process itself or without its help.

`log_own` runs in Python: threads have names, and the requests are those of the engine. It is
for a process that still runs Python code.

`ask` is for a process that does not, because compiled code holds the interpreter lock.
faulthandler's signal handler is C code and needs no lock. It reads the frames of threads while
these may run, which can end a healthy process with SIGSEGV, so only a process that will be killed
anyway is asked.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from carboy.server.logs.error_log import ERROR_LOGGER
from carboy.server.signals import start_thread
from carboy.thread_frames import thread_frames

if TYPE_CHECKING:
    from carboy.server.engine import Engine

log = logging.getLogger(ERROR_LOGGER)

# Neither the system nor libraries use this signal. Where it does not exist there are no stacks.
ASK: int | None = getattr(signal, "SIGRTMAX", None)


# --- a process's own stacks


def log_own(engine: Engine | None, why: str = "Report requested by SIGUSR2") -> None:
    """Log the requests in flight and the stacks of all threads; returns at once.

    Called by a signal handler. The logging itself is for another thread: the interrupted code
    may hold one of the locks of logging, and the main thread has to handle the next signal.
    """
    try:
        start_thread(_log, engine, why)
    except RuntimeError:  # no thread can be made
        faulthandler.dump_traceback(all_threads=True)


def _log(engine: Engine | None, why: str) -> None:
    requests = [] if engine is None else engine.in_flight()
    lines = [f"{line} (for {seconds:.1f} s)" for line, seconds in requests]
    count = "1 request" if len(lines) == 1 else f"{len(lines)} requests"
    title = f"{why}: {count} in flight, {threading.active_count()} threads."
    log.warning("%s", "\n".join([title, *lines, *own_stacks()]))


def own_stacks() -> list[str]:
    """The stack of every thread except the calling one, innermost call last."""
    names = {each.ident: each.name for each in threading.enumerate()}
    found = []
    for ident, frame in thread_frames().items():
        if ident != threading.get_ident():
            found.append(f"Thread {names.get(ident, 'without a name')} ({ident}):")
            found += [text.rstrip("\n") for text in traceback.format_stack(frame)]
    return found


# --- another process's stacks


def write_to(fd: int) -> None:
    """Have this process write its stacks to `fd` when it is asked for them or crashes."""
    if ASK is not None:
        faulthandler.register(ASK, file=fd, all_threads=True, chain=False)
    if not faulthandler.is_enabled():  # the user may have chosen another place for crashes
        faulthandler.enable(file=fd)


def ask(pid: int) -> None:
    """Have another process write its stacks; it must have called `write_to`."""
    if ASK is not None:
        try:
            os.kill(pid, ASK)
        except ProcessLookupError:
            pass


def is_stopped(pid: int) -> bool:
    """Whether a process has been stopped by a signal (SIGSTOP), where the system shows that."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] in ("T", "t")
