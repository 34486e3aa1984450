"""GET /memory: the memory of each worker, and what its Python objects are."""

from __future__ import annotations

import gc
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from carboy.late import tracemalloc
from carboy.server.admin.call import Ask, Call, Reply, Steps
from carboy.server.admin.operations import Operations
from carboy.server.admin.stacks import asked_workers
from carboy.server.machine import resident
from carboy.server.processes.messages import Message

TYPES = 20  # that are shown
LINES = 20  # of tracemalloc


def memory(call: Call, operations: Operations) -> Steps:
    """The answers of all workers, or of the one with `pid`.

    `seconds`: time limit, because all objects are looked at.
    """
    asked = asked_workers(call, operations)
    seconds = call.number("seconds", 30.0, 600.0)
    answers = yield Ask("memory", workers=tuple(asked), seconds=seconds)
    workers = [
        {"pid": each.worker, "failure": each.failure, **(each.value or {})}
        for each in answers.values()
    ]
    return Reply({"workers": workers})


def answer(message: Message) -> dict[str, Any]:
    """The memory of this process, in bytes."""
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for each in gc.get_objects():
        kind = type(each)
        name = f"{kind.__module__}.{kind.__qualname__}"
        counts[name] += 1
        sizes[name] += _size(each)
    return {
        "rss": resident(os.getpid()),
        "pss": _pss(),
        "collections": [each["collections"] for each in gc.get_stats()],
        "objects": counts.total(),
        "types": [
            {"type": name, "count": counts[name], "bytes": size}
            for name, size in sizes.most_common(TYPES)
        ],
        "traced": _traced(),
    }


def _size(value: object) -> int:
    try:
        return sys.getsizeof(value, 0)
    except Exception:  # __sizeof__ of the application
        return 0


def _pss() -> int | None:
    """Resident memory, with what processes share divided among them; None if it is not known."""
    try:
        for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return None


def _traced() -> list[dict[str, Any]]:
    """The lines that hold most memory, if the application has tracemalloc run."""
    if not tracemalloc.is_tracing():
        return []
    found = tracemalloc.take_snapshot().statistics("lineno")[:LINES]
    return [
        {"file": each.traceback[0].filename, "line": each.traceback[0].lineno, "bytes": each.size,
         "count": each.count} for each in found
    ]  # fmt: skip
