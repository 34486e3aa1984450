"""The servers, each started on one core as its documentation says."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from bench import commands, rivals
from bench.commands import HOST, Arguments, carboy_command
from bench.work import Kind, Work

COMPILED = "-compiled"  # the end of the names of servers with the compiled functions
SPEEDUPS = rivals.ROOT / "src" / "carboy" / "_speedups"
START_SECONDS = 20.0
STOP_SECONDS = 5.0


class ServerFailed(Exception):
    """A server did not start, or sent a wrong response. The text contains its output."""


@dataclass(frozen=True)
class Server:
    """A server with one of the applications."""

    name: str
    label: str
    application: str  # in bench.apps; "plain" takes the callable of the work
    arguments: Arguments
    needs: tuple[str, ...] = ()  # modules in bench/.env
    scheme: str = "http"
    programs: tuple[str, ...] = ()  # of the system

    @property
    def ours(self) -> bool:
        return self.name.startswith("carboy")

    def target(self, work: Work) -> str:
        """The application, as `module:name`."""
        if work.kind is Kind.PROCESS:
            return f"bench.apps.hello_{'carboy' if self.ours else 'flask'}:app"
        if self.application == "plain":
            return f"bench.apps.plain:{work.plain}"
        if self.application == "rows":
            return "bench.apps.rows:app"
        if self.application == "asgi":
            return f"bench.apps.asgi:{work.asgi}"
        return f"bench.apps.on_{self.application}:app"

    def command(self, work: Work, port: int) -> list[str]:
        return self.arguments(self.target(work), port, work.threads)

    def absent(self) -> str | None:
        """Why this server cannot be measured here, or None."""
        for program in self.programs:
            if shutil.which(program) is None:
                return f"{program} is not installed (Debian: apt-get install {program})"
        if self.programs:
            return None
        if not self.ours:
            return rivals.missing(self.needs)
        if not carboy_command().exists():
            return f"{carboy_command()} does not exist. Run pip install -e ."
        if self.name.endswith(COMPILED) and not any(SPEEDUPS.glob("head.*.so")):
            return "the compiled functions are not built (make speedups)"
        if "flask" in self.application and find_spec("flask") is None:
            return "Flask is not installed beside Carboy (make test installs it)"
        return None


ON_PLAIN = (
    Server("carboy-wsgi", "Carboy, plain WSGI", "plain", commands.carboy),
    Server(
        "freastal-wsgi", "freastal", "plain", commands.called("freastal", "serve"), ("freastal",)
    ),
    Server("fastpysgi-wsgi", "fastpysgi", "plain", commands.called("fastpysgi"), ("fastpysgi",)),
    Server("peregrine", "peregrine", "plain", commands.peregrine, ("peregrine",)),
    Server("m0serve", "m0serve", "plain", commands.m0serve, ("m0serve",)),
    Server("bjoern", "bjoern", "plain", commands.called("bjoern"), ("bjoern",)),
    Server("granian", "granian", "plain", commands.granian, ("granian",)),
    Server("gunicorn", "gunicorn gthread", "plain", commands.gunicorn, ("gunicorn",)),
    Server("gunicorn-sync", "gunicorn sync", "plain", commands.gunicorn_sync, ("gunicorn",)),
    Server("carboy-tls", "Carboy, HTTPS", "plain", commands.carboy_tls, scheme="https"),
    Server(
        "gunicorn-tls",
        "gunicorn gthread, HTTPS",
        "plain",
        commands.gunicorn_tls,
        ("gunicorn",),
        "https",
    ),
    Server("granian-tls", "granian, HTTPS", "plain", commands.granian_tls, ("granian",), "https"),
    Server("waitress", "waitress", "plain", commands.waitress, ("waitress",)),
    Server("cheroot", "cheroot", "plain", commands.cheroot, ("cheroot",)),
)

# Each is measured without and with TLS. Name, label, arguments for a scheme, modules, programs.
STATIC = tuple(
    Server(f"{name}{suffix}", f"{label}{over}", "plain", of(scheme), needs, scheme, programs)
    for scheme, suffix, over in (("http", "", ""), ("https", "-tls", ", HTTPS"))
    for name, label, of, needs, programs in (
        ("carboy-static", "Carboy --static", commands.carboy_static, (), ()),
        ("granian-static", "granian, static", commands.granian_static, ("granian",), ()),
        ("nginx", "nginx", commands.front("nginx"), (), ("nginx",)),
        ("caddy", "Caddy", commands.front("caddy"), (), ("caddy",)),
    )
)

TLS_ONLY = (
    Server("h2corn-tls", "h2corn, HTTPS", "asgi", commands.h2corn_tls, ("h2corn",), "https"),
    Server("hypercorn-tls", "hypercorn, HTTPS", "asgi", commands.hypercorn_tls,
           ("hypercorn", "uvloop"), "https"),
)  # fmt: skip

ON_FRAMEWORKS = (
    Server("carboy", "Carboy", "carboy", commands.carboy),
    Server("carboy-lane", "Carboy, WSGI lane", "carboy_wsgi", commands.carboy),
    Server("carboy-page", "Carboy", "page", commands.carboy_logged),
    Server("carboy-flask-page", "Flask on Carboy", "page_flask", commands.carboy_logged),
    Server("flask-page-gunicorn", "Flask on gunicorn", "page_flask", commands.gunicorn_logged,
           ("flask", "gunicorn")),
    Server("flask-page-fastpysgi", "Flask on fastpysgi, which has no access log", "page_flask",
           commands.called("fastpysgi"), ("flask", "fastpysgi")),
    Server("carboy-rows", "Carboy", "rows", commands.more(commands.carboy, "--flask")),
    Server("carboy-flask-rows", "Flask on Carboy", "rows", commands.carboy),
    Server("flask-rows-gunicorn", "Flask on gunicorn", "rows", commands.gunicorn,
           ("flask_sqlalchemy", "gunicorn")),
    Server("flask-rows-fastpysgi", "Flask on fastpysgi", "rows", commands.called("fastpysgi"),
           ("flask_sqlalchemy", "fastpysgi")),
    *(
        Server(f"{name}-two", label, application, commands.more(of, "--workers", "2"), needs)
        for name, label, application, of, needs in (
            ("carboy", "Carboy", "carboy", commands.carboy, ()),
            ("carboy-wsgi", "Carboy, plain WSGI", "plain", commands.carboy, ()),
            ("granian", "granian", "plain", commands.granian, ("granian",)),
            ("gunicorn", "gunicorn gthread", "plain", commands.gunicorn, ("gunicorn",)),
        )
    ),
    Server("carboy-flask", "Flask on Carboy", "flask", commands.carboy),
    Server("flask-run", "flask run", "flask", commands.flask_run, ("flask",)),
    Server("flask-gunicorn", "Flask on gunicorn", "flask", commands.gunicorn,
           ("flask", "gunicorn")),
    Server("flask-granian", "Flask on granian", "flask", commands.granian, ("flask", "granian")),
    Server("flask-bjoern", "Flask on bjoern", "flask", commands.called("bjoern"),
           ("flask", "bjoern")),
    Server("flask-fastpysgi", "Flask on fastpysgi", "flask", commands.called("fastpysgi"),
           ("flask", "fastpysgi")),
    Server("falcon-freastal", "Falcon on freastal", "falcon",
           commands.called("freastal", "serve"), ("falcon", "freastal")),
    Server("falcon-bjoern", "Falcon on bjoern", "falcon", commands.called("bjoern"),
           ("falcon", "bjoern")),
    Server("blacksheep-uvicorn", "BlackSheep on uvicorn", "blacksheep", commands.uvicorn,
           ("blacksheep", "uvicorn", "uvloop")),
)  # fmt: skip


@dataclass(frozen=True)
class AsgiServer:
    """A server of ASGI applications, which is measured with several of them."""

    name: str
    label: str
    arguments: Arguments
    needs: tuple[str, ...]

    def with_callable(self) -> Server:
        """The server with the callables of apps/asgi.py."""
        return Server(
            self.name + ("-asgi" if self.name in ASGI_AND_WSGI else ""),
            self.label + (" (ASGI)" if self.name in LABELLED else ""),
            "asgi",
            self.arguments,
            self.needs,
        )

    def with_framework(self, label: str, application: str, *needs: str) -> Server:
        """The server with a framework, such as "FastAPI on uvicorn"."""
        ours = self.name == "carboy"
        return Server(
            f"carboy-{application}" if ours else f"{application}-{self.name}",
            f"{label} on {self.label}",
            application,
            self.arguments,
            (*self.needs, *needs),
        )


ASGI_AND_WSGI = ("carboy", "granian", "peregrine", "m0serve")
"""The names that stand for the WSGI servers alone."""
LABELLED = ("carboy", "uvicorn", "granian", "peregrine", "m0serve")

UVICORN = ("uvicorn", "uvloop", "httptools")
ASGI = {
    server.name: server
    for server in (
        AsgiServer("carboy", "Carboy", commands.carboy, ()),
        AsgiServer("uvicorn", "uvicorn", commands.uvicorn, UVICORN),
        AsgiServer("uvicorn-websockets", "uvicorn, websockets", commands.uvicorn_with("websockets"),
                   (*UVICORN, "websockets")),
        AsgiServer("uvicorn-wsproto", "uvicorn, wsproto", commands.uvicorn_with("wsproto"),
                   (*UVICORN, "wsproto")),
        AsgiServer("granian", "granian", commands.granian_asgi, ("granian",)),
        AsgiServer("hypercorn", "hypercorn", commands.hypercorn, ("hypercorn", "uvloop")),
        AsgiServer("daphne", "Daphne", commands.daphne, ("daphne",)),
        AsgiServer("fastpysgi", "fastpysgi", commands.called("fastpysgi"), ("fastpysgi",)),
        AsgiServer("peregrine", "peregrine", commands.peregrine, ("peregrine",)),
        AsgiServer("m0serve", "m0serve", commands.m0serve, ("m0serve",)),
        AsgiServer("freastal", "freastal", commands.called("freastal", "serve_asgi"),
                   ("freastal",)),
    )
}  # fmt: skip
WITHOUT_WEBSOCKET = ("fastpysgi", "freastal", "peregrine", "m0serve")

ON_ASGI = (
    *(server.with_callable() for server in ASGI.values()),
    *(
        server.with_framework("FastAPI", "fastapi", "fastapi", "python_multipart")
        for server in ASGI.values()
        if not server.name.startswith("uvicorn-")
    ),
)

REALTIME = (
    Server("carboy-realtime", "Carboy", "realtime", commands.carboy),
    *(
        server.with_framework("Starlette", "starlette", "starlette")
        for server in ASGI.values()
        if server.name not in WITHOUT_WEBSOCKET
    ),
)

SERVERS = {
    server.name: server
    for server in (
        *ON_PLAIN,
        *STATIC,
        *TLS_ONLY,
        *ON_FRAMEWORKS,
        *ON_ASGI,
        *REALTIME,
    )
}


def compiled(server: Server) -> Server:
    """The same server of Carboy, with the compiled functions (docs/speed.md)."""
    return replace(
        server,
        name=f"{server.name}{COMPILED}",
        label=f"{server.label}, compiled",
        arguments=commands.compiled(server.arguments),
    )


WITH_COMPILED = (
    "carboy-wsgi",
    "carboy-tls",
    "carboy",
    "carboy-asgi",
    "carboy-lane",
    "carboy-page",
    "carboy-rows",
)
"""The servers that are measured with the compiled functions as well."""
SERVERS |= {each.name: each for each in (compiled(SERVERS[name]) for name in WITH_COMPILED)}


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
    scheme: str = "http"


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
            yield Running(port, process.pid, server.scheme)
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
