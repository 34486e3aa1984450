"""`carboy dev` without fork: a change of files restarts the child process.

It needs only what Windows has as well: no signals between processes, and no pipes to wait for. So
the child watches the files itself, and asks for its successor with an exit code.

parent ── the listening socket, and its state in CARBOY_DEV ──▶ child: serves the application
       ◀─ exit code 3: start another child ──
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import click

from carboy.cli.config import Environment
from carboy.cli.dev.file_changes import FileChangeHandler
from carboy.cli.dev.operating import operation_of, refuse_reload
from carboy.cli.dev.serving import development_settings
from carboy.cli.dev.terminal import Terminal
from carboy.cli.dev.tools import LOADING, Tools
from carboy.cli.dev.worker import load_or_error_app, used_by
from carboy.cli.mounts import shown
from carboy.dev.live import Broadcaster
from carboy.dev.reload.loops import ReloaderLoop, ensure_echo_on, exit_for_another
from carboy.net.tls_server import tls_of
from carboy.server.signals import Handlers, hold
from carboy.serving import development
from carboy.serving.wsgi_server import ThreadedWSGIServer

PASSED = "CARBOY_DEV"
POLL_INTERVAL = 1.0  # seconds between checks for new imports and for the end of the parent
GRACEFUL = 1.0  # seconds for requests of the old code to finish; the new code waits for them


def passed() -> dict[str, Any]:
    """The state that the parent passed to this process; empty in the parent itself."""
    found: dict[str, Any] = json.loads(os.environ.get(PASSED, "{}"))
    return found if development.is_running_from_reloader() else {}


class ChildStarter(ReloaderLoop):
    """Starts each child with the environment variables of the current dotenv files."""

    def __init__(
        self, environment: Environment, sockets: Sequence[socket.socket], state: dict[str, Any]
    ) -> None:
        super().__init__()
        self.environment = environment
        self.sockets = sockets
        self.state = state
        self.starts = 0

    def log_restart(self) -> None:
        self._enter()
        self.environment.restore()
        self.starts += 1
        state = {"starts": self.starts, "began": time.time(), "parent": os.getpid()}
        os.environ[PASSED] = json.dumps(self.state | state)
        development.pass_on(self.sockets[0])

    def run_child(self, command: list[str], env: dict[str, str]) -> int:
        hold(True)  # the child inherits it: Ctrl+C waits until its interpreter has started
        with subprocess.Popen(command, env=env, close_fds=False) as child:
            try:
                hold(False)
                return child.wait()
            except BaseException:
                child.kill()
                raise

    def _enter(self) -> None:
        """Change to the project's folder, which may have been deleted; wait until it is there."""
        folder = self.environment.folder
        told = False
        while True:
            try:
                os.chdir(folder)
            except FileNotFoundError:
                if not told:
                    click.echo(f"The folder {folder} does not exist. Waiting for it.", err=True)
                told = True
                time.sleep(POLL_INTERVAL)
            else:
                return


def keep(starter: ChildStarter, stopped: Callable[[], object]) -> None:
    """Run the parent, which ends with the exit code of its last child."""
    with Handlers({signal.SIGTERM: signal.default_int_handler}):
        try:
            if code := starter.restart_with_reloader():
                sys.exit(code)
        except KeyboardInterrupt:
            pass
        stopped()


@dataclass(slots=True)
class Child:
    """Serves the application until its files change."""

    name: str
    tools: Tools
    handler: FileChangeHandler
    terminal: Terminal
    options: dict[str, Any]

    def serve(self, host: str, port: int, fd: int | None) -> None:
        """Serve on the listening socket `fd`, or on the one that the parent passed."""
        given = passed()
        again = RestartRequest(self.terminal)
        if given:
            self.handler.supervisor = again
            self.handler.changes.start()  # before files are read
        began = given.get("began", time.time())
        first = given.get("starts", 1) == 1
        try:
            self.tools.watch_packages()
            mounted = self.options["mount"]
            app, failure = load_or_error_app(self.name, first, mounted, self.options["reload"])
        except LOADING as problem:
            raise click.ClickException(str(problem)) from None
        again.broadcaster = broadcaster = Broadcaster(f"{os.getpid()}-{time.time_ns()}", failure)
        server = self._server(host, port, self.tools.around(app, broadcaster), fd)
        operation = server.operation = operation_of(
            shown(self.name, mounted), server, again.restart if given else refuse_reload
        )

        def ready() -> None:
            broken = failure.title if failure else ""
            self.terminal.ready(first, (), time.time() - began, broken)

        if given:
            self._follow(server, again, lambda: self.handler.report(used_by(app)), ready)
        else:
            ready()
            server.serve_forever()
            self.terminal.stopped()
        operation.remove_files()

    def _server(self, host: str, port: int, app: Any, fd: int | None) -> ThreadedWSGIServer:
        fd = development.passed_on() if passed() else fd
        certificate = self.options["cert"]
        settings = development_settings(self.options, GRACEFUL)
        tls = tls_of(certificate, settings.http2.protocols())[1]
        server = ThreadedWSGIServer(host, port, app, ssl_context=tls, fd=fd)
        server.access_log_format = "pretty"
        server.access_log_skip = "/__carboy__/"
        server.trace = self.tools.trace if self.tools.requests else None
        server.settings = settings
        self.terminal.sockets = [server.socket]
        return server

    def _follow(
        self,
        server: ThreadedWSGIServer,
        again: RestartRequest,
        report: Callable[[], object],
        ready: Callable[[], object],
    ) -> None:
        ensure_echo_on()
        report()  # before a page is served, because the files that it uses may change at once
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        with Handlers({signal.SIGTERM: signal.default_int_handler}):
            try:
                thread.start()
                ready()
                again.wait(report)
            except KeyboardInterrupt:
                return
        again.broadcaster.close()
        server.shutdown()
        exit_for_another()


class RestartRequest:
    """Asks the parent for another child, and tells browsers about other changes.

    It has the methods of DevelopmentSupervisor that FileChangeHandler calls.
    """

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.broadcaster = Broadcaster("")  # replaced by the one that browsers are connected to
        self._asked = threading.Event()

    def replace(self, why: Sequence[str], forget: bool = False) -> None:
        self.terminal.saved(why)
        self._asked.set()

    def restart(self) -> None:
        """Load the application again, as `carboy reload` asks for."""
        self._asked.set()

    def tell(self, message: dict[str, Any]) -> None:
        self.broadcaster.publish(message["publish"], message["paths"])

    def wait(self, report: Callable[[], object]) -> None:
        """Wait until a restart is requested; report when more modules are imported."""
        parent, modules = passed()["parent"], 0
        while True:
            if len(sys.modules) != modules:
                modules = len(sys.modules)
                report()
            if self._asked.wait(POLL_INTERVAL):
                return
            if sys.platform != "win32" and os.getppid() != parent:
                sys.exit(1)  # the parent was killed
