"""Measures a server once, and takes medians of several measurements."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench import load, process, realtime, rivals
from bench.h2load import h2load
from bench.handshakes import handshakes
from bench.servers import Running, Server, ServerFailed, pinned, running
from bench.under_load import IDLE_CONNECTIONS, Bench, Figures, figures_of, loaded
from bench.work import Exchange, Kind, Work
from bench.works import static_files

PROCESS_REQUESTS = 100
MODULES = {"carboy": "carboy", "flask-run": "flask"}


def prepare(folder: Path) -> None:
    """Prepare files and limits that the works need."""
    for name, content in static_files().items():
        (folder / name).write_bytes(content)
    load.allow_files(2 * IDLE_CONNECTIONS)


def once(bench: Bench, server: Server, work: Work) -> Figures:
    """Start a server, check its response, measure it and stop it. Raises ServerFailed."""
    with tempfile.TemporaryDirectory() as scratch:
        request = Path(scratch) / "request"
        load.write_request(work.exchange, request)
        with running(server, work, bench.server_core, bench.folder) as started:
            load.probe(started.port, work.exchange, started.scheme)
            figures = MEASURES[work.kind](bench, started, work, request)
    if work.kind is Kind.PROCESS:
        figures |= _import_time(bench, server)
    return figures


def medians(rounds: list[Figures]) -> Figures:
    """The median of each figure, separately."""
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}


def _load(bench: Bench, started: Running, work: Work, request: Path) -> Figures:
    connections = work.connections or load.CONNECTIONS
    return loaded(bench, started, request, status=work.exchange.status, connections=connections)


def _http2(bench: Bench, started: Running, work: Work, request: Path) -> Figures:
    path = work.exchange.path
    h2load(started.port, path, bench.load_core, bench.warm_up, started.scheme)
    before = process.cost(started.pid)
    seen = h2load(started.port, path, bench.load_core, bench.seconds, started.scheme)
    return figures_of(seen, before, process.cost(started.pid))


def _resumed(bench: Bench, started: Running, work: Work, request: Path) -> Figures:
    handshakes(started.port, bench.load_core, bench.warm_up)
    before = process.cost(started.pid)
    seen = handshakes(started.port, bench.load_core, bench.seconds)
    return figures_of(seen, before, process.cost(started.pid))


def _beside(bench: Bench, started: Running, work: Work, request: Path) -> Figures:
    load.wrk(started.port, request, bench.load_core, bench.warm_up)
    with load.one_a_second(started.port, "/cpu") as beside:
        figures = loaded(bench, started, request, warm=False)
    if not beside.milliseconds:
        raise ServerFailed("No CPU-bound request was answered under load.")
    figures["beside_ms"] = statistics.median(beside.milliseconds)
    return figures


def _idle(bench: Bench, started: Running, work: Work, request: Path) -> Figures:
    alone = loaded(bench, started, request)
    before = process.cost(started.pid).rss_mib
    with load.idle_connections(started.port, bench.idle) as connections:
        grown = process.cost(started.pid).rss_mib - before
        figures = loaded(bench, started, request, warm=False)
        kept = load.still_open(connections)
    return {
        **figures,
        "alone_per_second": alone["requests_per_second"],
        "connection_kib": grown * 1024 / bench.idle,
        "kept": kept,
    }


def _resting(bench: Bench, started: Running, work: Work, request: Path) -> Figures:
    """Memory of an idle process that has answered some requests."""
    for _ in range(PROCESS_REQUESTS):
        load.probe(started.port, Exchange())
    return {"rss_mib": process.cost(started.pid).rss_mib}


def _import_time(bench: Bench, server: Server) -> Figures:
    """The best import time of many new interpreters, and their memory with an application."""
    python = sys.executable if server.ours else str(rivals.PYTHON)
    module = MODULES[server.name]
    code = (
        "import time; start = time.perf_counter(); "
        f"from {module} import Flask; took = time.perf_counter() - start; "
        f"from bench.apps.hello_{module} import app; client = app.test_client(); "
        "assert client.get('/').status_code == 200; "
        "print(took * 1000, open('/proc/self/status').read())"
    )
    runs = [_fresh(bench, python, code) for _ in range(bench.imports)]
    return {
        "import_ms": min(milliseconds for milliseconds, _ in runs),
        "interpreter_mib": statistics.median(mib for _, mib in runs),
    }


def _fresh(bench: Bench, python: str, code: str) -> tuple[float, float]:
    done = subprocess.run(
        pinned(bench.server_core, [python, "-c", code]),
        cwd=rivals.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ServerFailed(f"The import failed: {done.stderr.strip()[-300:]}")
    milliseconds, _, status = done.stdout.partition(" ")
    resident = re.search(r"VmRSS:\s+(\d+) kB", status)
    return float(milliseconds), int(resident[1]) / 1024 if resident else 0.0


MEASURES: dict[Kind, Callable[[Bench, Running, Work, Path], Figures]] = {
    Kind.LOAD: _load,
    Kind.HTTP2: _http2,
    Kind.BESIDE: _beside,
    Kind.IDLE: _idle,
    Kind.PROCESS: _resting,
    Kind.ECHO: realtime.echo,
    Kind.FAN_OUT: realtime.fan_out,
    Kind.SOCKETS: realtime.sockets,
    Kind.HELD: realtime.held,
    Kind.RESUMED: _resumed,
}
