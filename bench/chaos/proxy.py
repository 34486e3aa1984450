"""nginx or HAProxy in front of servers, configured as in docs/behind-a-proxy.md."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.chaos.client import Address
from bench.chaos.waits import until
from bench.commands import HOST
from bench.servers import ServerFailed

NGINX = """
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
    upstream app {{ {servers} keepalive 32; }}
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

HAPROXY = """
global
    nbthread 1
defaults
    mode {mode}
    timeout connect 2s
    timeout client 75s
    timeout server 75s
    timeout http-request 10s
frontend web
    bind {host}:{front}
    default_backend app
backend app
{checks}
{servers}
"""

# As Kubernetes does, the balancer asks each server whether it is ready. A service of Kubernetes
# passes on connections, an ingress passes on requests.
CHECKS = "option httpchk GET /readyz\n    default-server check inter 500ms fall 2 rise 1"


@dataclass(frozen=True)
class Proxy:
    """A program that runs in front of a server."""

    name: str
    program: str  # its name, and that of its package in Debian
    configuration: str
    server: str  # the line of one server
    arguments: Callable[[str, str], list[str]]  # from the file of its configuration and its log

    def absent(self) -> str | None:
        """Why the proxy cannot be run here, or None."""
        missing = f"{self.program} is not installed (Debian: apt-get install {self.program})"
        return None if self._path() else missing

    def _path(self) -> str | None:
        return shutil.which(self.program) or shutil.which(self.program, path="/usr/sbin")

    @contextlib.contextmanager
    def in_front_of(self, addresses: Sequence[Address], folder: Path) -> Iterator[Address]:
        """Run the proxy in front of the servers; yields the address of the proxy."""
        front = _free_port()
        file, log = folder / f"{self.name}.conf", folder / f"{self.name}.log"
        lines = [
            self.server.format(number=number, host=host, port=port)
            for number, (host, port) in enumerate(addresses)
        ]
        user = "user root;" if os.geteuid() == 0 else ""  # so that nginx can read its folder
        file.write_text(
            self.configuration.format(
                user=user, folder=folder, host=HOST, front=front, servers="\n".join(lines)
            )
        )
        program = self._path()
        if program is None:
            raise ServerFailed(f"{self.absent()}.")
        with log.open("wb") as output:
            running = subprocess.Popen(
                [program, *self.arguments(str(file), str(log))],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            if not until(lambda: listens((HOST, front)), 10):
                raise ServerFailed(f"{self.name} does not listen; see {log}")
            yield HOST, front
        finally:
            running.terminate()
            running.wait()


NGINX_SERVER = "server {host}:{port};"
HAPROXY_SERVER = "    server app{number} {host}:{port}"


def _nginx(file: str, log: str) -> list[str]:
    return ["-c", file, "-e", log]


def _arguments(file: str, log: str) -> list[str]:
    return ["-db", "-f", file]


def _haproxy(mode: str, checks: str = "") -> str:
    return HAPROXY.replace("{mode}", mode).replace("{checks}", f"    {checks}")


PROXIES = {
    proxy.name: proxy
    for proxy in (
        Proxy("nginx", "nginx", NGINX, NGINX_SERVER, _nginx),
        Proxy("haproxy", "haproxy", _haproxy("http"), HAPROXY_SERVER, _arguments),
        Proxy("ingress", "haproxy", _haproxy("http", CHECKS), HAPROXY_SERVER, _arguments),
        Proxy("service", "haproxy", _haproxy("tcp", CHECKS), HAPROXY_SERVER, _arguments),
    )
}


def listens(address: Address) -> bool:
    """Whether the address accepts a connection now."""
    try:
        socket.create_connection(address, 1).close()
    except OSError:
        return False
    return True


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as free:
        port: int = free.getsockname()[1]
    return port
