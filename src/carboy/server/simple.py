"""Serving under Werkzeug's names: `run_simple`, `make_server` and the object it returns."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterable
from types import FrameType, TracebackType
from typing import Any, NoReturn

from carboy.gateway import for_application
from carboy.server import bind as binding
from carboy.server.access_log import Record
from carboy.server.bind import Address, BindError, from_host
from carboy.server.engine import Engine
from carboy.server.serve import Silent, start, supervisor_for
from carboy.server.settings import Settings
from carboy.server.signals import Handlers, in_main_thread
from carboy.server.supervisor import CannotFork
from carboy.server.worker import Logs, Plan, Worker

# Of a server in a thread of a test or a script; whoever shuts it down waits this long at most.
GRACE = 5.0


def settings_for(threaded: bool, processes: int) -> Settings:
    """What `threaded` and `processes` mean here; ValueError for both (as Werkzeug has it).

    Neither: one request at a time. Threaded: the crew. Processes: that many, each serial.
    """
    if threaded and processes > 1:
        raise ValueError(
            "threaded=True and processes > 1 exclude each other here: choose one, or use"
            " carboy.server.serve(app, workers=…, threads=…), which has both."
        )
    return Settings() if threaded else Settings(threads=1)


# parameter: (values that mean "not wanted", what to do instead)
LATER: dict[str, tuple[tuple[Any, ...], str]] = {
    "use_reloader": ((False, None), "start it again by hand, or send SIGHUP to `carboy run`"),
    "use_debugger": ((False, None), "errors are logged with their traceback"),
    "ssl_context": ((None,), "put a proxy that speaks TLS in front"),
    "static_files": ((None, {}), "use the application's static folder"),
    "request_handler": ((None,), "Carboy has no handler classes; options of serve() set limits"),
    "passthrough_errors": ((False, None), "errors of the application are logged and answered 500"),
}


def is_running_from_reloader() -> bool:
    """Whether a reloader has started this process."""
    return os.environ.get("WERKZEUG_RUN_MAIN") == "true"


def refuse_what_is_not_there(**given: Any) -> None:
    """NotImplementedError for a wanted parameter that Carboy cannot honour yet."""
    for name, value in given.items():
        unwanted, instead = LATER[name]
        if value not in unwanted:
            raise NotImplementedError(f"{name} is not available in Carboy yet: {instead}.")


def run_simple(
    hostname: str,
    port: int,
    application: Any,
    use_reloader: bool = False,
    use_debugger: bool = False,
    use_evalex: bool = True,
    extra_files: Iterable[str] | None = None,
    exclude_patterns: Iterable[str] | None = None,
    reloader_interval: int = 1,
    reloader_type: str = "auto",
    threaded: bool = False,
    processes: int = 1,
    request_handler: type | None = None,
    static_files: dict[str, str | tuple[str, str]] | None = None,
    passthrough_errors: bool = False,
    ssl_context: Any = None,
) -> None:
    """Serve until Ctrl+C or SIGTERM. `hostname` may be unix://PATH; port 0 takes a free one.

    An address that cannot be had is explained on standard error, and the process exits with 1.
    NotImplementedError for the tools of the developer that do not exist yet.
    """
    if not isinstance(port, int):
        raise TypeError(f"port has to be a number, not {port!r}.")
    settings = settings_for(threaded, processes)
    refuse_what_is_not_there(
        use_reloader=use_reloader,
        use_debugger=use_debugger,
        request_handler=request_handler,
        static_files=static_files,
        passthrough_errors=passthrough_errors,
        ssl_context=ssl_context,
    )
    plan = Plan(
        addresses=(from_host(hostname, port),),
        workers=max(1, processes),
        settings=settings,
        access_log_file="stderr",
    )
    with _explained():
        code = start(plan, lambda: application)
    if code:
        sys.exit(code)


def make_server(
    host: str,
    port: int,
    app: Any,
    threaded: bool = False,
    processes: int = 1,
    request_handler: type | None = None,
    passthrough_errors: bool = False,
    ssl_context: Any = None,
    fd: int | None = None,
) -> Server:
    """A bound server that serves when told to, also in a thread. Parameters as of run_simple;
    `fd` is a listening socket to take over, which stays the caller's own to close."""
    settings = settings_for(threaded, processes)
    refuse_what_is_not_there(
        request_handler=request_handler,
        passthrough_errors=passthrough_errors,
        ssl_context=ssl_context,
    )
    return Server(host, int(port), app, settings, max(1, processes), fd)


class Server:
    """A listening socket and an application, with the names that Werkzeug's server has.

    `serve_forever` blocks; `shutdown`, from another thread, ends it and waits until it has.
    """

    ssl_context: Any = None
    passthrough_errors = False

    def __init__(
        self,
        host: str,
        port: int,
        app: Any,
        settings: Settings,
        processes: int = 1,
        fd: int | None = None,
    ) -> None:
        # set by the caller, for life
        self.app = app
        self.host = host
        self.settings = settings
        self.processes = processes
        self.access_log = True
        self.timeout: float | None = None  # of handle_request, in seconds
        # of the socket
        self._address = from_host(host, port)
        self.socket = self._open(fd)
        self.address_family = self.socket.family
        self.server_address = self.socket.getsockname()
        inet = isinstance(self.server_address, tuple)
        self.port: int = self.server_address[1] if inet else port
        self.server_port = self.port
        self.server_name = host
        self.multithread = settings.threads > 1
        self.multiprocess = processes > 1
        # of one serve_forever
        self._lock = threading.Lock()
        self._stop: Callable[[bool], object] | None = None
        self._stop_asked = False
        self._done = threading.Event()
        self._done.set()

    def _open(self, fd: int | None) -> socket.socket:
        with _explained():
            if fd is None:
                return binding.open_sockets([self._address], self.settings.backlog)[0]
            # Like Werkzeug: the descriptor is duplicated, the caller's own stays open.
            with socket.socket(fileno=fd) as theirs:
                copy = theirs.dup()
                theirs.detach()
            number = copy.detach()
            return binding.open_sockets([Address(fd=number)], self.settings.backlog)[0]

    def fileno(self) -> int:
        """The listening descriptor; -1 once closed."""
        return self.socket.fileno()

    def serve_forever(self, poll_interval: float = 0.5) -> None:
        """Serve until `shutdown`, or Ctrl+C in the main thread; closes the socket.

        `poll_interval` is taken for compatibility: nothing here polls.
        """
        try:
            if self.processes > 1:
                self._serve_in_processes()
            else:
                self._serve()
        except KeyboardInterrupt:
            pass
        finally:
            self.server_close()

    def handle_request(self) -> None:
        """Serve until one request was answered, or `timeout` seconds have passed."""
        timer: threading.Timer | None = None
        if self.timeout is not None:
            timer = threading.Timer(self.timeout, self._end)
            timer.start()
        try:
            self._serve(after_answer=self._end)
        finally:
            if timer is not None:
                timer.cancel()

    def shutdown(self) -> None:
        """End serve_forever: running requests finish, then it returns, and so does this."""
        with self._lock:
            self._stop_asked = True
        self._end()
        self._done.wait()

    def server_close(self) -> None:
        """Close the listening socket and remove the file of a unix socket."""
        if self.socket.fileno() >= 0:
            binding.remove_files([self.socket], [self._address])
        self.socket.close()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.server_close()

    def _end(self) -> None:
        with self._lock:
            stop = self._stop
        if stop is not None:
            stop(True)

    def _plan(self) -> Plan:
        return Plan(
            addresses=(self._address,),
            workers=self.processes,
            settings=self.settings,
            access_log=self.access_log,
            access_log_file="stderr",
        )

    def _serve(self, after_answer: Callable[[], object] | None = None) -> None:
        logs = Logs(self._plan())
        try:
            access = _and_then(logs.access, after_answer)
            engine = Engine(for_application(self.app), [self.socket], self.settings, access)
            with self._running(engine.stop), Handlers(self._handlers(engine)):
                engine.run()
        finally:
            logs.close()

    def _handlers(self, engine: Engine) -> dict[signal.Signals, Any]:
        """Ctrl+C is graceful once, where it would otherwise raise KeyboardInterrupt."""
        default = signal.default_int_handler
        if not in_main_thread() or signal.getsignal(signal.SIGINT) is not default:
            return {}

        def interrupted(number: int, frame: FrameType | None) -> None:
            signal.signal(signal.SIGINT, default)
            engine.stop()

        return {signal.SIGINT: interrupted}

    def _serve_in_processes(self) -> None:
        supervisor = supervisor_for(Worker(self._plan(), [self.socket], lambda: self.app, Silent()))
        with self._running(supervisor.stop):
            supervisor.run()

    @contextlib.contextmanager
    def _running(self, stop: Callable[[bool], object]) -> Any:
        with self._lock:
            self._stop = stop
            self._done.clear()
            if self._stop_asked:  # shutdown was quicker than the thread that serves
                stop(True)
        try:
            yield
        finally:
            with self._lock:
                self._stop, self._stop_asked = None, False
            self._done.set()


def _and_then(
    first: Callable[[Record], None] | None, then: Callable[[], object] | None
) -> Callable[[Record], None] | None:
    if then is None:
        return first

    def both(record: Record) -> None:
        if first is not None:
            first(record)
        then()

    return both


@contextlib.contextmanager
def _explained() -> Any:
    """An address that cannot be had ends the process with a line, as Werkzeug does."""
    try:
        yield
    except BindError as problem:
        _exit(problem)
    except CannotFork as problem:
        raise ValueError(str(problem)) from None


def _exit(problem: BindError) -> NoReturn:
    sys.stderr.write(f"{problem}\n")
    raise SystemExit(1) from None
