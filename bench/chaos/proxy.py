"""nginx in front of a server, configured as in docs/serving.md."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from bench.chaos.client import Address
from bench.chaos.waits import until
from bench.commands import HOST
from bench.servers import ServerFailed

CONFIGURATION = """
daemon off;
{user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream app {{ server {host}:{port}; keepalive 32; }}
    server {{
        listen {host}:{front};
        client_max_body_size 100m;
        location / {{
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $remote_addr;
        }}
    }}
}}
"""


def absent() -> str | None:
    """Why nginx cannot be run here, or None."""
    return None if _program() else "nginx is not installed (Debian: apt-get install nginx)"


def _program() -> str | None:
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


@contextlib.contextmanager
def in_front_of(address: Address, folder: Path) -> Iterator[Address]:
    """Run nginx in front of `address`; yields the address of nginx."""
    with socket.create_server((HOST, 0)) as free:
        front: int = free.getsockname()[1]
    file = folder / "nginx.conf"
    host, port = address
    user = "user root;" if os.geteuid() == 0 else ""  # so that it can read its folder
    file.write_text(
        CONFIGURATION.format(user=user, folder=folder, host=host, port=port, front=front)
    )
    program = _program()
    assert program is not None
    running = subprocess.Popen(
        [program, "-c", str(file), "-e", str(folder / "nginx.log")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        if not until(lambda: listens((HOST, front)), 10):
            raise ServerFailed(f"nginx does not listen; see {folder / 'nginx.log'}")
        yield HOST, front
    finally:
        running.terminate()
        running.wait()


def listens(address: Address) -> bool:
    """Whether the address accepts a connection now."""
    try:
        socket.create_connection(address, 1).close()
    except OSError:
        return False
    return True
