"""The jobs of a worker, for `carboy status` and `carboy top`."""

from __future__ import annotations

from typing import Any

from carboy.net.worker_jobs import JobState, ShownJob, jobs
from carboy.server.admin.frames import innermost
from carboy.thread_frames import thread_frames

ORDER = list(JobState)
MOST = 100  # that are listed


def shown_jobs() -> dict[str, Any]:
    """The jobs that run, wait for a thread or are planned, for JSON. Times are in seconds.

    `more_jobs`: number of those that are not listed.
    """
    found = jobs().shown()
    frames = thread_frames() if any(each.thread for each in found) else {}
    found.sort(key=lambda each: (ORDER.index(each.state), -(each.age or 0.0), each.next_in or 0.0))
    listed = [_for_json(each, frames.get(each.thread or 0)) for each in found[:MOST]]
    return {"jobs": listed, "more_jobs": len(found) - len(listed)}


def _for_json(job: ShownJob, frame: Any) -> dict[str, Any]:
    return {
        "job": job.name,
        "state": job.state.value,
        "seconds": None if job.age is None else round(job.age, 3),
        "every": job.every,
        "next_in": None if job.next_in is None else round(job.next_in, 3),
        "at": innermost(frame) if job.state is JobState.RUNNING else None,
    }
