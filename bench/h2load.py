"""The client for HTTP/2: h2load of nghttp2."""

from __future__ import annotations

import re
import resource
import subprocess
import tempfile
from pathlib import Path

from bench.commands import HOST
from bench.load import Load, busy_share
from bench.servers import ServerFailed, pinned

CONNECTIONS = 10
STREAMS = 10

_total = re.compile(r"requests: (\d+) total, .* (\d+) succeeded, (\d+) failed, (\d+) errored")
_protocol = re.compile(r"Application protocol: (\S+)")


def h2load(port: int, path: str, core: int, seconds: float, scheme: str) -> Load:
    """Run h2load on `core` for `seconds` (rounded). Raises ServerFailed."""
    whole = max(1, round(seconds))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch) / "log"  # microseconds at the start, status and duration of each
        command = ["h2load", f"-c{CONNECTIONS}", f"-m{STREAMS}", f"-D{whole}", f"--log-file={log}"]
        done = subprocess.run(
            pinned(core, [*command, f"{scheme}://{HOST}:{port}{path}"]),
            capture_output=True,
            text=True,
            timeout=whole + 30,
            check=False,
        )
        if done.returncode:
            raise ServerFailed(f"h2load failed: {done.stderr.strip() or done.stdout.strip()}")
        said = done.stdout
        busy = busy_share(before, whole)
        protocol, totals = _protocol.search(said), _total.search(said)
        if protocol is None or protocol[1] != "h2" or totals is None:
            raise ServerFailed(f"HTTP/2 was not spoken: {said.strip()[-300:]}")
        durations = sorted(int(line.split("\t")[2]) for line in log.read_text().splitlines())
    if not durations:
        raise ServerFailed("No request was answered.")
    _, succeeded, failed, errored = map(int, totals.groups())
    return Load(
        requests=succeeded,
        seconds=whole,
        p50_ms=durations[len(durations) // 2] / 1000,
        p99_ms=durations[len(durations) * 99 // 100] / 1000,
        refused=failed,
        broken=errored,
        busy=busy,
    )
