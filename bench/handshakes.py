"""The client for TLS handshakes that continue a session: `openssl s_time`, which speaks TLS 1.2."""

from __future__ import annotations

import re
import resource
import subprocess
import time

from bench import certificate
from bench.commands import HOST
from bench.load import Load, busy_share
from bench.servers import ServerFailed, pinned

_connections = re.compile(r"^(\d+) connections in ", re.MULTILINE)

_continued = re.compile(r"^r+$", re.MULTILINE)


def handshakes(port: int, core: int, seconds: float) -> Load:
    """Connect again and again for `seconds` (rounded), one connection at a time.

    Raises ServerFailed if nothing was answered, or if sessions were not continued.
    """
    whole = max(1, round(seconds))
    # Without -CAfile it would warn; -www asks for a page, so that the server has to answer.
    command = ["openssl", "s_time", "-connect", f"{HOST}:{port}", "-reuse", "-tls1_2"]
    command += ["-CAfile", certificate.files()[0], "-time", str(whole)]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(
        pinned(core, command), capture_output=True, text=True, timeout=whole + 30, check=False
    )
    took = time.monotonic() - start
    counted = _connections.search(done.stdout)
    if done.returncode or counted is None:
        raise ServerFailed(f"openssl failed: {done.stderr.strip() or done.stdout.strip()}")
    # A letter for each connection: r, it continued a session, or *, it began one.
    if not _continued.search(done.stdout):
        raise ServerFailed("The server does not continue sessions.")
    return Load(
        requests=int(counted[1]),
        seconds=took,
        p50_ms=0.0,
        p99_ms=0.0,
        refused=0,
        broken=0,
        busy=busy_share(before, took),
    )
