"""The servers, each started on one core as its documentation says."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from bench import rivals
from bench.work import Kind, Work

HOST = "127.0.0.1"
START_SECONDS = 20.0
STOP_SECONDS = 5.0
GUNICORN_THREADS = 4


class ServerFailed(Exception):
    """A server did not start, or sent a wrong response. The text contains its output."""


@dataclass(frozen=True)
class Server:
    """A server with one of the applications."""

    name: str
    label: str
    application: str  # in bench.apps; "plain" takes the callable of the work
    arguments: Callable[[str, int, int | None], list[str]]
    needs: tuple[str, ...] = ()  # modules in bench/.env

    @property
    def ours(self) -> bool:
        return self.name.startswith("carboy")

    def target(self, work: Work) -> str:
        """The application, as `module:name`."""
        if work.kind is Kind.PROCESS:
            return f"bench.apps.hello_{'carboy' if self.ours else 'flask'}:app"
        if self.application == "plain":
            return f"bench.apps.plain:{work.plain}"
        if self.application == "asgi":
            return "bench.apps.asgi:hello"
        return f"bench.apps.on_{self.application}:app"

    def command(self, work: Work, port: int) -> list[str]:
        return self.arguments(self.target(work), port, work.threads)

    def absent(self) -> str | None:
        """Why this server cannot be measured here, or None."""
        if not self.ours:
            return rivals.missing(self.needs)
        if not carboy_command().exists():
            return f"{carboy_command()} does not exist. Run pip install -e ."
        if "flask" in self.application and find_spec("flask") is None:
            return "Flask is not installed beside Carboy (make test installs it)"
        return None


def carboy_command() -> Path:
    return Path(sys.executable).parent / "carboy"


def _carboy(target: str, port: int, threads: int | None) -> list[str]:
    chosen = ["--threads", str(threads)] if threads else []
    return [str(carboy_command()), "run", target, "--port", str(port), "--no-access-log", *chosen]


def _tool(name: str) -> str:
    return str(rivals.ENVIRONMENT / "bin" / name)


def _called(module: str) -> Callable[[str, int, int | None], list[str]]:
    """Arguments for a server without a command, with `module.run(app, host, port)`."""

    def arguments(target: str, port: int, threads: int | None) -> list[str]:
        where, name = target.split(":")
        code = f"import {module}; from {where} import {name} as app; "
        return [str(rivals.PYTHON), "-c", f"{code}{module}.run(app, {HOST!r}, {port})"]

    return arguments


def _granian(target: str, port: int, threads: int | None) -> list[str]:
    chosen = ["--blocking-threads", str(threads)] if threads else []
    address = ["--host", HOST, "--port", str(port)]
    return [_tool("granian"), "--interface", "wsgi", *address, "--no-log", *chosen, target]


def _gunicorn(target: str, port: int, threads: int | None) -> list[str]:
    many = str(threads or GUNICORN_THREADS)
    kind = ["-k", "gthread", "--threads", many]
    return [_tool("gunicorn"), "-b", f"{HOST}:{port}", *kind, "--no-control-socket", target]


def _gunicorn_sync(target: str, port: int, threads: int | None) -> list[str]:
    return [_tool("gunicorn"), "-b", f"{HOST}:{port}", "-k", "sync", "--no-control-socket", target]


def _uvicorn(target: str, port: int, threads: int | None) -> list[str]:
    quiet = ["--no-access-log", "--log-level", "warning"]
    return [_tool("uvicorn"), "--host", HOST, "--port", str(port), *quiet, target]


def _waitress(target: str, port: int, threads: int | None) -> list[str]:
    return [_tool("waitress-serve"), f"--listen={HOST}:{port}", target]


def _cheroot(target: str, port: int, threads: int | None) -> list[str]:
    return [_tool("cheroot"), "--bind", f"{HOST}:{port}", target]


def _flask_run(target: str, port: int, threads: int | None) -> list[str]:
    return [_tool("flask"), "--app", target, "run", "--host", HOST, "--port", str(port)]


SERVERS = {
    server.name: server
    for server in (
        Server("carboy", "Carboy", "carboy", _carboy),
        Server("carboy-wsgi", "Carboy, plain WSGI", "plain", _carboy),
        Server("carboy-lane", "Carboy, WSGI lane", "carboy_wsgi", _carboy),
        Server("carboy-page", "Carboy", "page", _carboy),
        Server("carboy-flask-page", "Flask on Carboy", "page_flask", _carboy),
        Server(
            "flask-page-gunicorn",
            "Flask on gunicorn",
            "page_flask",
            _gunicorn,
            ("flask", "gunicorn"),
        ),
        Server("carboy-flask", "Flask on Carboy", "flask", _carboy),
        Server("fastwsgi", "fastwsgi", "plain", _called("fastwsgi"), ("fastwsgi",)),
        Server("bjoern", "bjoern", "plain", _called("bjoern"), ("bjoern",)),
        Server("granian", "granian", "plain", _granian, ("granian",)),
        Server("gunicorn", "gunicorn gthread", "plain", _gunicorn, ("gunicorn",)),
        Server("gunicorn-sync", "gunicorn sync", "plain", _gunicorn_sync, ("gunicorn",)),
        Server("waitress", "waitress", "plain", _waitress, ("waitress",)),
        Server("cheroot", "cheroot", "plain", _cheroot, ("cheroot",)),
        Server("uvicorn", "uvicorn (ASGI)", "asgi", _uvicorn, ("uvicorn", "uvloop", "httptools")),
        Server("flask-run", "flask run", "flask", _flask_run, ("flask",)),
        Server("flask-gunicorn", "Flask on gunicorn", "flask", _gunicorn, ("flask", "gunicorn")),
        Server("flask-granian", "Flask on granian", "flask", _granian, ("flask", "granian")),
        Server("flask-bjoern", "Flask on bjoern", "flask", _called("bjoern"), ("flask", "bjoern")),
        Server(
            "falcon-bjoern", "Falcon on bjoern", "falcon", _called("bjoern"), ("falcon", "bjoern")
        ),
        Server(
            "fastapi-uvicorn",
            "FastAPI on uvicorn",
            "fastapi",
            _uvicorn,
            ("fastapi", "uvicorn", "uvloop", "python_multipart"),
        ),
        Server(
            "blacksheep-uvicorn",
            "BlackSheep on uvicorn",
            "blacksheep",
            _uvicorn,
            ("blacksheep", "uvicorn", "uvloop"),
        ),
    )
}


def before(server: Server, checkout: Path) -> Server:
    """The same server, with Carboy from another checkout."""

    def arguments(target: str, port: int, threads: int | None) -> list[str]:
        path = os.pathsep.join([str(checkout / "src"), str(rivals.ROOT)])
        return ["env", f"PYTHONPATH={path}", *server.arguments(target, port, threads)]

    return replace(
        server, name=f"{server.name}-before", label=f"{server.label}, before", arguments=arguments
    )


@dataclass(frozen=True)
class Running:
    """The port and the process of a started server."""

    port: int
    pid: int


@contextlib.contextmanager
def running(server: Server, work: Work, core: int, folder: Path) -> Iterator[Running]:
    """Start `server` on `core`, wait until it listens, and stop it afterwards."""
    port = _free_port()
    environment = _environment(work, folder)
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            pinned(core, server.command(work, port)),
            cwd=rivals.ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            if not _listens(process, port):
                raise ServerFailed(f"{server.label} does not listen.")
            yield Running(port, process.pid)
        except ServerFailed as error:
            output.seek(0)
            said = output.read().decode(errors="replace").strip()[-600:]
            raise ServerFailed(f"{error} Its output: {said or 'none'}") from error
        finally:
            _stop(process)


def pinned(core: int, command: list[str]) -> list[str]:
    """`command` with all its children on one core."""
    return ["taskset", "--cpu-list", str(core), *command]


def _environment(work: Work, folder: Path) -> Mapping[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(rivals.ROOT),
        "PYTHONWARNINGS": "ignore",
        "BENCH_STATIC": str(folder),
        "BENCH_ROUTES": str(work.routes),
    }


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as free:
        port: int = free.getsockname()[1]
    return port


def _listens(process: subprocess.Popen[bytes], port: int) -> bool:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection((HOST, port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return True
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Send SIGTERM, then SIGKILL to the whole session."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
