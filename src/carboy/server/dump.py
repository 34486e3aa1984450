"""What a process is doing right now, in its error log: for SIGUSR2.

For a worker whose interpreter lock is held see server/stacks.py; here threads have names, and the
requests are those of the engine.
"""

from __future__ import annotations

import faulthandler
import logging
import sys
import threading
import traceback
from typing import TYPE_CHECKING

from carboy.server.log import ERROR_LOGGER

if TYPE_CHECKING:
    from carboy.server.engine import Engine

log = logging.getLogger(ERROR_LOGGER)


def dump(engine: Engine | None) -> None:
    """Log the requests in flight and the stacks of all threads; returns at once.

    Called by a signal handler. The logging itself is for another thread: somebody may hold one
    of its locks, and the main thread has to hear the next signal.
    """
    try:
        threading.Thread(target=_log, args=(engine,), name="carboy-dump", daemon=True).start()
    except RuntimeError:  # no thread can be made
        faulthandler.dump_traceback(all_threads=True)


def _log(engine: Engine | None) -> None:
    requests = [] if engine is None else engine.in_flight()
    lines = [f"{line} (for {seconds:.1f} s)" for line, seconds in requests]
    asked = (
        f"Asked by SIGUSR2: {len(lines)} requests in flight, {threading.active_count()} threads."
    )
    log.warning("%s", "\n".join([asked, *lines, *stacks()]))


def stacks() -> list[str]:
    """The stack of every thread but the calling one, innermost call last."""
    names = {each.ident: each.name for each in threading.enumerate()}
    found = []
    for ident, frame in sys._current_frames().items():
        if ident != threading.get_ident():
            found.append(f"Thread {names.get(ident, 'without a name')} ({ident}):")
            found += [text.rstrip("\n") for text in traceback.format_stack(frame)]
    return found
