"""Redis and NATS servers for tests, which can be stopped and started again at the same address."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chromium import program
from running import PATIENCE, die_with_parent


class RedisServer:
    """A redis-server on a unix socket, without a port that another program could take first."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.path = folder / "redis"
        self.options = options
        self.process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.path}"

    def start(self) -> None:
        self.process = process = subprocess.Popen(
            [
                program("redis-server"), "--port", "0", "--unixsocket", str(self.path),
                "--dir", str(self.folder), *(self.options or ("--save", "")),
            ],
            stdout=subprocess.PIPE, text=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one call into the kernel
        )  # fmt: skip
        assert process.stdout is not None
        seen = []
        for line in process.stdout:
            seen.append(line)
            if "accept connections" in line and str(self.path) in line:
                return
        raise AssertionError("redis-server did not start:\n" + "".join(seen))

    def stop(self) -> None:
        """End the server at once, as a crash does; what its file has stays."""
        _stop(self.process)
        self.process = None


class NatsServer:
    """A nats-server on a port that it has chosen itself, and keeps after a restart."""

    def __init__(self, folder: Path, *, jetstream: bool = True) -> None:
        self.folder = folder
        self.jetstream = jetstream
        self.port = -1
        self.process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        config = self.folder / "nats.conf"
        store = json.dumps(str(self.folder / "jetstream"))
        config.write_text(f"jetstream {{ store_dir: {store} }}\n" if self.jetstream else "")
        self.process = process = subprocess.Popen(
            [program("nats-server"), "-a", "127.0.0.1", "-p", str(self.port), "-c", str(config)],
            stderr=subprocess.PIPE, text=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one call into the kernel
        )  # fmt: skip
        assert process.stderr is not None
        seen = []
        for line in process.stderr:
            seen.append(line)
            if "Listening for client connections on" in line:
                self.port = int(line.strip().rpartition(":")[2])
            if "Server is ready" in line:
                return
        raise AssertionError("nats-server did not start:\n" + "".join(seen))

    def stop(self) -> None:
        _stop(self.process)
        self.process = None


def _stop(process: Any) -> None:
    if process is not None:
        process.kill()
        process.wait(PATIENCE)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


@contextmanager
def redis_server(*options: str) -> Iterator[RedisServer]:
    with tempfile.TemporaryDirectory(prefix="carboy-redis-") as folder:
        server = RedisServer(Path(folder), *options)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def nats_server(*, jetstream: bool = True) -> Iterator[NatsServer]:
    with tempfile.TemporaryDirectory(prefix="carboy-nats-") as folder:
        server = NatsServer(Path(folder), jetstream=jetstream)
        server.start()
        try:
            yield server
        finally:
            server.stop()
