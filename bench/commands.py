"""The command that starts each server, as its documentation says."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from bench import certificate, rivals

HOST = "127.0.0.1"
GUNICORN_THREADS = 4
MANY_CONNECTIONS = 20_000

Arguments = Callable[[str, int, int | None], list[str]]
"""From the application (`module:name`), the port and the number of threads to the command."""


def carboy_command() -> Path:
    return Path(sys.executable).parent / "carboy"


INTERPRETED, COMPILED = "CARBOY_NO_SPEEDUPS=1", "CARBOY_NO_SPEEDUPS=0"


def compiled(server: Arguments) -> Arguments:
    """Arguments for a server of Carboy with the compiled functions, if they are built."""

    def arguments(target: str, port: int, threads: int | None) -> list[str]:
        words = server(target, port, threads)
        return [COMPILED if word == INTERPRETED else word for word in words]

    return arguments


def carboy(target: str, port: int, threads: int | None) -> list[str]:
    chosen = ["--threads", str(threads)] if threads else []
    # The other servers have no metrics, and no access log as they are started here.
    quiet = ["--no-access-log", "--no-metrics"]
    command = ["env", INTERPRETED, str(carboy_command()), "run", target, "--port", str(port)]
    return [*command, *quiet, *chosen]


def more(server: Arguments, *options: str) -> Arguments:
    """Arguments with further options at the end."""
    return lambda target, port, threads: [*server(target, port, threads), *options]


carboy_logged = more(carboy, "--access-log", "--access-log-file", os.devnull)


def carboy_static(scheme: str) -> Arguments:
    """Arguments for Carboy with the folder of static files in front of the application."""
    return _with_folder(
        carboy_tls if scheme == "https" else carboy, "--static", "/static=$BENCH_STATIC"
    )


def granian_static(scheme: str) -> Arguments:
    return _with_folder(
        granian_tls if scheme == "https" else granian,
        "--static-path-route", "/static", "--static-path-mount", "$BENCH_STATIC",
    )  # fmt: skip


def _with_folder(server: Arguments, *options: str) -> Arguments:
    """Arguments with further options; the shell replaces the variable in the last one."""

    def arguments(target: str, port: int, threads: int | None) -> list[str]:
        *words, last = *server(target, port, threads), *options
        return ["sh", "-c", f'exec "$@" "{last}"', "sh", *words]

    return arguments


def carboy_tls(target: str, port: int, threads: int | None) -> list[str]:
    file, key = certificate.files()
    return [*carboy(target, port, threads), "--cert", file, "--key", key]


def gunicorn_tls(target: str, port: int, threads: int | None) -> list[str]:
    file, key = certificate.files()
    *command, name = gunicorn(target, port, threads)
    return [*command, "--certfile", file, "--keyfile", key, name]


def _tool(name: str) -> str:
    return str(rivals.ENVIRONMENT / "bin" / name)


def called(module: str, function: str = "run") -> Arguments:
    """Arguments for a server without a command, with `module.function(app, host, port)`."""

    def arguments(target: str, port: int, threads: int | None) -> list[str]:
        where, name = target.split(":")
        code = f"import {module}; from {where} import {name} as app; "
        return [str(rivals.PYTHON), "-c", f"{code}{module}.{function}(app, {HOST!r}, {port})"]

    return arguments


def granian(target: str, port: int, threads: int | None) -> list[str]:
    chosen = ["--blocking-threads", str(threads)] if threads else []
    address = ["--host", HOST, "--port", str(port)]
    return [_tool("granian"), "--interface", "wsgi", *address, "--no-log", *chosen, target]


def gunicorn(target: str, port: int, threads: int | None) -> list[str]:
    many = str(threads or GUNICORN_THREADS)
    kind = ["-k", "gthread", "--threads", many]
    return [_tool("gunicorn"), "-b", f"{HOST}:{port}", *kind, "--no-control-socket", target]


gunicorn_logged = more(gunicorn, "--access-logfile", os.devnull)


def peregrine(target: str, port: int, threads: int | None) -> list[str]:
    return [_tool("peregrine"), "--host", HOST, "--port", str(port), target]


def m0serve(target: str, port: int, threads: int | None) -> list[str]:
    return [_tool("m0serve"), "--host", HOST, "--port", str(port), target]


def h2corn_tls(target: str, port: int, threads: int | None) -> list[str]:
    file, key = certificate.files()
    tls = ["--certfile", file, "--keyfile", key]
    return [_tool("h2corn"), "--bind", f"{HOST}:{port}", *tls, target]


def granian_tls(target: str, port: int, threads: int | None) -> list[str]:
    file, key = certificate.files()
    *command, name = granian(target, port, threads)
    tls = ["--ssl-certificate", file, "--ssl-keyfile", key, "--ssl-protocol-min", "tls1.2"]
    return [*command, *tls, name]


def front(name: str) -> Callable[[str], Arguments]:
    """Arguments for a scheme, of nginx or Caddy, which serve only static files."""

    def of(scheme: str) -> Arguments:
        def arguments(target: str, port: int, threads: int | None) -> list[str]:
            return [sys.executable, "-m", "bench.fronts", name, str(port), scheme]

        return arguments

    return of


def hypercorn_tls(target: str, port: int, threads: int | None) -> list[str]:
    file, key = certificate.files()
    *command, name = hypercorn(target, port, threads)
    return [*command, "--certfile", file, "--keyfile", key, name]


def gunicorn_sync(target: str, port: int, threads: int | None) -> list[str]:
    return [_tool("gunicorn"), "-b", f"{HOST}:{port}", "-k", "sync", "--no-control-socket", target]


def granian_asgi(target: str, port: int, threads: int | None) -> list[str]:
    """granian keeps further connections waiting above `--backpressure`, so the limit is raised."""
    address = ["--host", HOST, "--port", str(port)]
    many = ["--backlog", str(MANY_CONNECTIONS), "--backpressure", str(MANY_CONNECTIONS)]
    return [_tool("granian"), "--interface", "asgi", *address, "--no-log", *many, target]


def uvicorn(target: str, port: int, threads: int | None) -> list[str]:
    quiet = ["--no-access-log", "--log-level", "warning"]
    return [_tool("uvicorn"), "--host", HOST, "--port", str(port), *quiet, target]


def uvicorn_with(websocket: str) -> Arguments:
    """Arguments for uvicorn with one of its implementations of WebSocket."""

    def arguments(target: str, port: int, threads: int | None) -> list[str]:
        return [*uvicorn(target, port, threads), "--ws", websocket]

    return arguments


def hypercorn(target: str, port: int, threads: int | None) -> list[str]:
    loop = ["--worker-class", "uvloop"]
    return [_tool("hypercorn"), "--bind", f"{HOST}:{port}", *loop, "--log-level", "WARNING", target]


def daphne(target: str, port: int, threads: int | None) -> list[str]:
    return [_tool("daphne"), "-b", HOST, "-p", str(port), "-v", "0", target]


def waitress(target: str, port: int, threads: int | None) -> list[str]:
    return [_tool("waitress-serve"), f"--listen={HOST}:{port}", target]


def cheroot(target: str, port: int, threads: int | None) -> list[str]:
    return [_tool("cheroot"), "--bind", f"{HOST}:{port}", target]


def flask_run(target: str, port: int, threads: int | None) -> list[str]:
    return [_tool("flask"), "--app", target, "run", "--host", HOST, "--port", str(port)]
