"""The servers of `carboy explain --from-start`, and how each of them is started.

Runs in the process that is recorded. Each function calls the start function of its server as a
user would, and returns when the server has stopped. Servers are imported when they are started, so
that the recording shows it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from carboy import __main__ as command_line
from carboy import __version__
from carboy.cli import locate
from carboy.cli.run import FROM_CLI

HOST = "127.0.0.1"
SCRIPT = "script"  # a file that starts its server itself
TARGET = f"{__name__}:application"  # what gunicorn loads in its worker


class Loading:
    """The application that a user has named. It is loaded once, when a server needs it."""

    name = ""
    as_flask = False  # Carboy has the names flask and werkzeug
    mounts: Sequence[str] = ()  # values of --mount
    loaded: Any = None

    @classmethod
    def load(cls) -> Any:
        """The application. Raises what `locate.load` raises."""
        if cls.loaded is None:
            os.environ[FROM_CLI] = "true"  # so that app.run() in the module does nothing
            try:
                cls.loaded = cls._load()
            finally:
                del os.environ[FROM_CLI]
        return cls.loaded

    @classmethod
    def _load(cls) -> Any:
        if not cls.mounts:
            return locate.load(cls.name)
        from carboy.cli import mounts

        wanted = [mounts.MountType().convert(each, None, None) for each in cls.mounts]
        return mounts.load(cls.name, "auto", wanted)


def __getattr__(name: str) -> Any:
    if name == "application":
        return Loading.load()
    raise AttributeError(name)


def start_carboy(port: int) -> None:
    """Serve with `carboy run`, without a supervisor, so that one process does everything."""
    sys.argv = ["carboy", "run", *filter(None, [Loading.name])]
    sys.argv += [f"--host={HOST}", f"--port={port}"]
    sys.argv += [f"--mount={each}" for each in Loading.mounts]
    sys.argv += ["--no-supervisor", *(["--flask"] if Loading.as_flask else [])]
    # A recorded view takes longer than the 2 ms after which another thread would take over.
    sys.argv.append("--watch-interval=5")
    # The threads that answer questions and report once a second would be recorded as well.
    sys.argv.append("--admin=none")
    command_line.main()


def start_flask(port: int) -> None:
    """Serve with the `flask run` command."""
    sys.argv = ["flask", "--app", Loading.name, "run", f"--host={HOST}", f"--port={port}"]
    from flask.cli import main

    main()


def start_script(port: int) -> None:
    """Not called: Python runs the file of the application."""
    raise AssertionError


def start_werkzeug(port: int) -> None:
    """Serve with `run()` of a Flask application, and another one with `run_simple`."""
    app = Loading.load()
    run = getattr(type(app), "run", None)
    if getattr(run, "__module__", "").startswith("flask."):
        app.run(HOST, port)
        return
    from werkzeug.serving import run_simple

    run_simple(HOST, port, app)


def start_wsgiref(port: int) -> None:
    """Serve with the server of the standard library."""
    app = Loading.load()
    from wsgiref.simple_server import make_server

    with make_server(HOST, port, app) as server:
        server.serve_forever()


def start_gunicorn(port: int) -> None:
    """Serve with the `gunicorn` command and one worker."""
    sys.argv = ["gunicorn", f"--bind={HOST}:{port}", "--workers=1", TARGET]
    from gunicorn.app.wsgiapp import run
    from gunicorn.config import KNOWN_SETTINGS

    # Another gunicorn of this user may have its control socket at the same path.
    if any(setting.name == "control_socket_disable" for setting in KNOWN_SETTINGS):
        sys.argv.insert(1, "--no-control-socket")
    run()


def start_waitress(port: int) -> None:
    """Serve with `waitress.serve`."""
    app = Loading.load()
    from waitress import serve

    serve(app, host=HOST, port=port)


@dataclass(frozen=True, slots=True)
class Server:
    """A server that can be recorded."""

    start: Callable[[int], None]
    package: str  # the distribution to install; "" if Python has it
    stop: signal.Signals = signal.SIGINT  # ends it as Ctrl+C does


SERVERS = {
    "carboy": Server(start_carboy, ""),
    "flask": Server(start_flask, "flask"),
    "werkzeug": Server(start_werkzeug, "werkzeug"),
    "wsgiref": Server(start_wsgiref, ""),
    "gunicorn": Server(start_gunicorn, "gunicorn", signal.SIGTERM),
    "waitress": Server(start_waitress, "waitress"),
    SCRIPT: Server(start_script, ""),
}


def version_of(server: Server) -> str | None:
    """The installed version of a server, or None; Python's for one without a package."""
    if server is SERVERS["carboy"]:
        return __version__
    if server is SERVERS[SCRIPT]:
        return ""
    if not server.package:
        return sys.version.split()[0]
    try:
        return metadata.version(server.package)
    except metadata.PackageNotFoundError:
        return None
