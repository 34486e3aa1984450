"""Redis and NATS servers for tests, which can be stopped and started again at the same address."""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chromium import program
from running import PATIENCE, die_with_parent, free_port


class Lines:
    """The output of a process. It is read all the time: a full pipe would stop the process."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._seen: list[str] = []
        self._ended = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        for line in self._stream:
            with self._changed:
                self._seen.append(line)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def until(self, part: str) -> str:
        """The first line that contains `part`, as soon as it has come."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._first(part), PATIENCE)
            found = self._first(part)
            assert found, f"the server did not start, no {part!r}:\n{''.join(self._seen)}"
            return found

    def _first(self, part: str) -> str:
        return next((line for line in self._seen if part in line), "")

    def close(self) -> None:
        """The process has ended."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "another process has the output of the server open"
        self._stream.close()


class RedisServer:
    """A redis-server on a unix socket, without a port that another program could take first."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.path = folder / "redis"
        self.options = options
        self.process: subprocess.Popen[str] | None = None
        self.lines: Lines | None = None

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
        self.lines = Lines(process.stdout)
        self.lines.until(f"accept connections at {self.path}")

    def stop(self) -> None:
        """End the server at once, as a crash does; what its file has stays."""
        _stop(self.process, self.lines)
        self.process = None


class NatsServer:
    """A nats-server on a port that it keeps after a restart."""

    def __init__(self, folder: Path, *, jetstream: bool = True, options: str = "") -> None:
        self.folder = folder
        self.jetstream = jetstream
        self.options = options
        self.port = free_port()
        self.process: subprocess.Popen[str] | None = None
        self.lines: Lines | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        config = self.folder / "nats.conf"
        store = json.dumps(str(self.folder / "jetstream"))
        jetstream = f"jetstream {{ store_dir: {store} }}\n" if self.jetstream else ""
        config.write_text(jetstream + self.options)
        self.process = process = subprocess.Popen(
            [program("nats-server"), "-a", "127.0.0.1", "-p", str(self.port), "-c", str(config)],
            stderr=subprocess.PIPE, text=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one call into the kernel
        )  # fmt: skip
        self.lines = Lines(process.stderr)
        self.lines.until("Server is ready")

    def stop(self) -> None:
        _stop(self.process, self.lines)
        self.process = None


def _stop(process: Any, lines: Lines | None) -> None:
    if process is not None:
        process.kill()
        process.wait(PATIENCE)
        if lines is not None:
            lines.close()


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
def nats_server(*, jetstream: bool = True, options: str = "") -> Iterator[NatsServer]:
    with tempfile.TemporaryDirectory(prefix="carboy-nats-") as folder:
        server = NatsServer(Path(folder), jetstream=jetstream, options=options)
        server.start()
        try:
            yield server
        finally:
            server.stop()
