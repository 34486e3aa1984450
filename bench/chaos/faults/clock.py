"""The clock of the server jumps, as after a wrong setting or a long sleep of a virtual machine.

libfaketime changes the time of day in all processes of the server, and leaves the monotonic clock
alone, as a real jump does.
"""

from __future__ import annotations

import http.client
import os
import subprocess
import time
from email.utils import parsedate_to_datetime
from functools import cache, partial
from pathlib import Path

from bench.chaos import questions
from bench.chaos.client import PATIENCE
from bench.chaos.fault import Fault, Scene
from bench.chaos.servers import Served

JUMPS = (3_600, -3_600, -86_400 * 365, 86_400 * 365 * 5, 0)  # seconds from the real time
STAY = 1.5  # seconds between two jumps
NEAR = 3.0  # seconds by which a Date may differ
LIBRARY = "faketime/libfaketime.so.1"
FILE = "clock"


@cache
def library() -> Path | None:
    """The file of libfaketime, if it is installed."""
    folders = [Path("/usr/lib"), *Path("/usr/lib").glob("*-linux-*")]
    return next((each / LIBRARY for each in folders if (each / LIBRARY).exists()), None)


def absent() -> str | None:
    found = library()
    return None if found else "libfaketime is not installed (Debian: apt-get install libfaketime)"


def with_clock(served: Served) -> None:
    """Start the server with a clock whose difference to the real one is in a file."""
    file = served.folder / FILE
    file.write_text("+0\n")
    served.variables |= {
        "LD_PRELOAD": str(library()),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_FORCE_MONOTONIC_FIX": "0",
    }


def jump(scene: Scene) -> None:
    """Set the clock forth and back; responses have to have its time, and nothing else happens."""
    before = scene.served.workers()
    file = scene.served.folder / FILE
    for number in scene.every(STAY):
        difference = JUMPS[number % len(JUMPS)]
        new = file.with_suffix(".new")
        new.write_text(f"{difference:+d}\n")
        os.replace(new, file)
        scene.until(partial(follows, scene, difference), 5, "Date does not follow")
    if scene.served.workers() != before:
        scene.miss("workers were replaced")
    if scene.ledger.refused:
        scene.miss(f"{scene.ledger.refused} requests were refused")


def follows(scene: Scene, difference: int) -> bool:
    """Whether the Date of a response is the real time plus `difference` seconds."""
    connection = http.client.HTTPConnection(*scene.address, timeout=PATIENCE)
    try:
        connection.request("GET", "/")
        response = connection.getresponse()
        response.read()
    except OSError:
        return False
    finally:
        connection.close()
    said = parsedate_to_datetime(response.getheader("Date", "")).timestamp()
    return abs(said - time.time() - difference) < NEAR


def works() -> bool:
    """Whether programs can be started with the library."""
    found = library()
    if found is None:
        return False
    command = ["env", f"LD_PRELOAD={found}", "FAKETIME=+0", "true"]
    return subprocess.run(command, check=False).returncode == 0


FAULTS = [
    Fault(
        "clock",
        "the clock of the server jumps by an hour, back, by a year and by five years",
        jump,
        prepare=with_clock,
        # Under libfaketime, time.sleep of gunicorn fails, and granian has the real time.
        servers=("carboy",),
        source=questions.posts,
        seconds=len(JUMPS) * STAY,
        missing=absent,
    ),
]
