"""Events through nginx, which buffers responses."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import carboy
from live_engine import eventually, served

NGINX = shutil.which("nginx")
CONFIGURATION = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen unix:{folder}/nginx.sock;
        location / {{
            proxy_pass http://127.0.0.1:{port};
            proxy_http_version 1.1;
            proxy_buffering on;
            proxy_buffers 8 64k;
        }}
    }}
}}
"""


@contextmanager
def nginx(folder: Path, port: int) -> Iterator[str]:
    """The path of a unix socket where nginx passes requests on to `port`."""
    assert NGINX is not None
    file = folder / "nginx.conf"
    file.write_text(CONFIGURATION.format(folder=folder, port=port))
    process = subprocess.Popen([NGINX, "-c", str(file), "-e", str(folder / "start.log")])
    try:
        path = str(folder / "nginx.sock")
        eventually(lambda: answers(path))
        yield path
    finally:
        process.terminate()
        process.wait(60)


def answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.connect(path)
        except OSError:
            return False
        return True


def read_up_to(file: Any, wanted: bytes) -> None:
    lines = [b""]
    while lines[-1] != wanted:
        lines.append(file.readline())
        assert lines[-1], f"the stream ended after {lines}"


@pytest.mark.skipif(NGINX is None, reason="needs nginx")
def test_each_event_passes_a_proxy_that_buffers(tmp_path: Path) -> None:
    go, closed = threading.Event(), threading.Event()
    app = carboy.Flask("events")

    @app.get("/events")
    def view() -> Any:
        async def events() -> AsyncIterator[str]:
            try:
                yield "first"
                while not go.is_set():
                    await asyncio.sleep(0.01)
                yield "second"
                await asyncio.sleep(60)
            finally:
                closed.set()

        return carboy.sse(events())

    with served(app) as live, nginx(tmp_path, live.port) as path:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(60)
            sock.connect(path)
            sock.sendall(b"GET /events HTTP/1.1\r\nHost: example.test\r\n\r\n")
            file = sock.makefile("rb")
            read_up_to(file, b"data: first\n")
            go.set()
            read_up_to(file, b"data: second\n")
            file.close()
        assert closed.wait(60)  # nginx closes its connection when the client has left
