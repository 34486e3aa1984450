"""`make_server` and the servers that it returns, under Werkzeug's names."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from types import FrameType, TracebackType
from typing import Any

from carboy.gateway import for_application, with_middleware
from carboy.gateway.callables import is_asgi
from carboy.gateway.interface import Gateway, StartFailed
from carboy.net.tls import wrapper
from carboy.net.tls_alpn import offer
from carboy.net.tls_server import TlsServer, tls_of
from carboy.protocol.limits import Limits
from carboy.server import bind as binding
from carboy.server.admin.unsupervised import Unsupervised
from carboy.server.bind import Address, BindError, from_host
from carboy.server.engine import Engine
from carboy.server.gateways import in_front
from carboy.server.http2.choice import Http2Choice
from carboy.server.listening import ListenerPolicy, Wrap
from carboy.server.logs import Logs
from carboy.server.logs.facts import Record
from carboy.server.processes.plan import Plan
from carboy.server.processes.worker import Worker
from carboy.server.serve import Silent, supervisor_for
from carboy.server.settings import Settings
from carboy.server.signals import STOP, Handlers, in_main_thread
from carboy.server.trust import UNTOUCHED
from carboy.serving.addresses import UNIX, get_interface_ip
from carboy.serving.gateway import WerkzeugGateway
from carboy.serving.handler import HandlerGateway, WSGIRequestHandler
from carboy.serving.log import LoggerAccess
from carboy.serving.standard_hooks import StandardHooks
from carboy.werkzeug_log import LOGGER, _log

__all__ = [
    "LISTEN_QUEUE",
    "BaseWSGIServer",
    "ForkingWSGIServer",
    "ThreadedWSGIServer",
    "can_fork",
    "make_server",
]

LISTEN_QUEUE = 128
EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}

can_fork = hasattr(os, "fork")


def make_server(
    host: str,
    port: int,
    app: Any,
    threaded: bool = False,
    processes: int = 1,
    request_handler: type[WSGIRequestHandler] | None = None,
    passthrough_errors: bool = False,
    ssl_context: Any = None,
    fd: int | None = None,
) -> BaseWSGIServer:
    """A server that listens. Call `serve_forever` to serve, in this thread or another one.

    It answers one request at a time; with `threaded`, many at a time by the crew; with
    `processes`, one at a time in each process. Both together are a ValueError. `ssl_context` is an
    ssl.SSLContext, (certificate file, key file) or "adhoc". `fd` is a listening socket to
    duplicate; the caller keeps the original.
    """
    if threaded and processes > 1:
        raise ValueError(
            "Cannot have a multi-thread and multi-process server here. Choose threaded or"
            " processes, or use carboy.server.serve(app, workers=…, threads=…), which has"
            " both."
        )
    more = (request_handler, passthrough_errors, ssl_context)
    if threaded:
        return ThreadedWSGIServer(host, port, app, *more, fd=fd)
    if processes > 1:
        return ForkingWSGIServer(host, port, app, processes, *more, fd=fd)
    return BaseWSGIServer(host, port, app, *more, fd=fd)


class BaseWSGIServer(StandardHooks):
    """A listening socket and an application that answers one request at a time.

    `serve_forever` blocks. `shutdown`, called from another thread, ends it and waits for its end.
    """

    multithread = False
    multiprocess = False
    request_queue_size = LISTEN_QUEUE
    processes = 1

    def __init__(
        self,
        host: str,
        port: int,
        app: Any,
        handler: type[WSGIRequestHandler] | None = None,
        passthrough_errors: bool = False,
        ssl_context: Any = None,
        fd: int | None = None,
    ) -> None:
        # set by the caller
        self.app = servable(app, handler)
        self.host = host
        self.passthrough_errors = passthrough_errors
        self.RequestHandlerClass = handler
        # A thread that calls shutdown() waits for the end. As in Werkzeug, the application decides
        # which proxies it trusts.
        self.settings = Settings(
            idle_grace=0.0,
            trust=UNTOUCHED,
            http2=http2_for(handler),
            limits=Limits(underscore_fields=handler is not None),  # the handler leaves them out
        )
        if not self.multithread:
            self.settings = replace(self.settings, threads=1)
        _, self.ssl_context = self._own = tls_of(ssl_context, self.settings.http2.protocols())
        self.access_log = True
        self.access_log_format = LOGGER
        self.access_log_skip: str | None = None
        self.trace: Callable[[], object] | None = None  # before each unit of work of the engine
        self.operation: Unsupervised | None = None  # `carboy status` and the other commands
        self.timeout: float | None = None  # of handle_request, in seconds
        self._server_version = "Carboy"
        # of the socket
        port = int(port)
        self._address = from_host(host, port)
        self.socket = self._open(fd)
        self.address_family = self.socket.family
        self.server_address = self.socket.getsockname()
        inet = isinstance(self.server_address, tuple)
        self.port: int = self.server_address[1] if inet else port
        self.server_port = self.port
        self.server_name = host
        # of one serve_forever
        self._lock = threading.Lock()
        self._stop: Callable[[bool], object] | None = None
        self._stop_asked = False
        self._escaped: BaseException | None = None
        self._done = threading.Event()
        self._done.set()
        if fd is None:
            self._run_hooks()

    def _open(self, fd: int | None) -> socket.socket:
        address = self._address
        if fd is not None:
            # As in Werkzeug, the descriptor is duplicated and the caller's own stays open.
            with socket.socket(fileno=fd) as theirs:
                address = Address(fd=theirs.dup().detach())
                theirs.detach()
        try:
            return binding.open_sockets([address], self.settings.backlog)[0]
        except BindError as problem:  # as in Werkzeug, a line and the end of the process
            sys.stderr.write(f"{problem}\n")
            raise SystemExit(1) from None

    def fileno(self) -> int:
        """The listening descriptor; -1 after closing."""
        return self.socket.fileno()

    def serve_forever(self, poll_interval: float = 0.5) -> None:
        """Serve until `shutdown`, or Ctrl+C or SIGTERM in the main thread; then close the socket.

        `poll_interval` is accepted for compatibility and not used. With `passthrough_errors` and
        one request at a time, an exception of the application ends serving and is raised here.
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
        self._raise_escaped()

    def handle_request(self) -> None:
        """Serve until a request was answered or `timeout` seconds have passed."""
        self._serve(after_answer=self._end, timeout=self.timeout)
        self._raise_escaped()

    def shutdown(self) -> None:
        """End serve_forever. Returns when running requests have finished.

        That is after the graceful timeout at the latest. As in the standard library, a thread that
        runs serve_forever itself must not call this: it would wait for its own end.
        """
        with self._lock:
            self._stop_asked = True
        self._end()
        self._done.wait()

    def server_close(self) -> None:
        """Close the listening socket and remove the file of a unix socket."""
        binding.remove_files([self.socket])
        self.socket.close()

    def __enter__(self) -> BaseWSGIServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.server_close()

    # --- log lines

    def log(self, type: str, message: str, *args: Any) -> None:
        """Log a line on the logger `werkzeug`; `type` is the name of the level."""
        _log(type, message, *args)

    def log_startup(self) -> None:
        """Log the addresses where the server listens, as URLs for a browser."""
        if self.host.startswith(UNIX):
            _log("info", " * Running on %s", self.host)
            return
        lines = []
        host = self.host
        if host in EVERY_ADDRESS:
            lines.append(f" * Running on all addresses ({host})")
            lines.append(f" * Running on {self._url(EVERY_ADDRESS[host])}")
            host = get_interface_ip(self.address_family)
        lines.append(f" * Running on {self._url(host)}")
        _log("info", "%s", "\n".join(lines))

    def _url(self, host: str) -> str:
        scheme = "http" if self.ssl_context is None else "https"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log the exception that is being handled; raise it with `passthrough_errors`."""
        if self.passthrough_errors:
            raise  # noqa: PLE0704 - called in an except block
        _log("error", "Error on request:\n%s", traceback.format_exc())

    # --- serving

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
            access_log=self.access_log and self.RequestHandlerClass is None,
            access_log_format=self.access_log_format,
            access_log_skip=self.access_log_skip,
            make_access_log=LoggerAccess if self.access_log_format == LOGGER else None,
            tls=self._watched_tls(),
            wrap=self._wrap(),
            gateway=self._gateway,
            trace=self.trace,
        )

    def _watched_tls(self) -> TlsServer | None:
        """The TLS whose files are watched; None if another `ssl_context` was assigned."""
        server, context = self._own
        return server if self.ssl_context is context else None

    def _wrap(self) -> Wrap | None:
        if self.ssl_context is not None and self.ssl_context is not self._own[1]:
            offer(self.ssl_context, self.settings.http2.protocols())
        return wrapper(self.ssl_context)

    def _gateway(self, app: Any) -> Gateway:
        inner: Gateway
        if self.RequestHandlerClass is not None:
            inner = HandlerGateway(self.RequestHandlerClass, self)
        else:
            inner = for_application(app)
        alone = not self.multithread and self.processes == 1
        return WerkzeugGateway(inner, self._escape if self.passthrough_errors and alone else None)

    def _start(self, gateway: Any) -> Callable[[float], object]:
        """Start an ASGI application; returns the function that ends it."""
        try:
            getattr(gateway, "start", lambda: None)()
        except StartFailed as problem:
            sys.stderr.write(f"Error: {problem}\n")
            raise SystemExit(1) from None
        stop: Callable[[float], object] = getattr(gateway, "stop", lambda seconds: None)
        return stop

    def _escape(self, error: BaseException) -> None:
        self._escaped = error
        self._end()

    def _raise_escaped(self) -> None:
        error, self._escaped = self._escaped, None
        if error is not None:
            raise error

    def _serve(
        self, after_answer: Callable[[], object] | None = None, timeout: float | None = None
    ) -> None:
        plan = self._plan()
        logs = Logs(plan)
        logs.attach()
        try:
            operation = self.operation
            access = logs.access if operation is None else operation.counted(logs.access)
            access = _and_then(access, after_answer)
            gateway = in_front(self._gateway(self.app), self.settings)
            end = self._start(gateway)
            engine = Engine(
                gateway, [self.socket], self.settings, access, wrap=plan.tls or plan.wrap,
                trace=plan.trace,
            )  # fmt: skip
            # Between two calls of handle_request, clients wait in the listener's queue.
            policy = ListenerPolicy.CLOSE if after_answer is None else ListenerPolicy.KEEP
            stop = functools.partial(engine.stop, listeners=policy)
            try:
                if plan.tls is not None:
                    plan.tls.watch()
                operated = self._operated(engine, gateway)
                timer = _stopped_after(timeout, stop)
                with self._running(stop), Handlers(self._handlers(stop)), operated, timer:
                    engine.run()
            finally:
                if plan.tls is not None:
                    plan.tls.stop()
                end(engine.stopping.seconds_left())
        finally:
            logs.close()

    def _operated(self, engine: Engine, gateway: Gateway) -> AbstractContextManager[None]:
        if self.operation is None:
            return contextlib.nullcontext()
        return self.operation.running(engine, gateway, self.app)

    def _handlers(self, end: Callable[[], object]) -> dict[signal.Signals, Any]:
        """Handlers that make the first signal graceful; the second one ends the process."""
        if not in_main_thread():
            return {}
        before = {number: signal.getsignal(number) for number in STOP}
        usual = (signal.default_int_handler, signal.SIG_DFL)

        def stop(number: int, frame: FrameType | None) -> None:
            signal.signal(number, before[signal.Signals(number)])
            end()

        return {number: stop for number in STOP if before[number] in usual}

    def _serve_in_processes(self) -> None:
        supervisor = supervisor_for(Worker(self._plan(), [self.socket], lambda: self.app, Silent()))
        with self._running(supervisor.stop):
            supervisor.run()

    @contextlib.contextmanager
    def _running(self, stop: Callable[[bool], object]) -> Any:
        with self._lock:
            self._stop = stop
            self._done.clear()
            if self._stop_asked:  # shutdown was called before this thread served
                stop(True)
        try:
            yield
        finally:
            with self._lock:
                self._stop, self._stop_asked = None, False
            self._done.set()


@contextlib.contextmanager
def _stopped_after(seconds: float | None, stop: Callable[[bool], object]) -> Iterator[None]:
    """Stop the engine of the block when its time is over. It may be over before the engine runs."""
    if seconds is None:
        yield
        return
    timer = threading.Timer(seconds, stop, (True,))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def http2_for(handler: Any) -> Http2Choice:
    """HTTP/2 as `carboy run` has it. A `request_handler` is written for requests of HTTP/1.1."""
    return Http2Choice() if handler is None else Http2Choice(http2=False)


def servable(app: Any, handler: Any = None) -> Any:
    """The application as these servers take it. Raises TypeError for something else.

    They answer a request as WSGI does, so an ASGI application gets a thread for each request.
    """
    if handler is not None and is_asgi(app):
        raise TypeError("A request_handler is for WSGI applications. Leave it out for ASGI.")
    return with_middleware(app, lambda wsgi, own: wsgi)


class ThreadedWSGIServer(BaseWSGIServer):
    """A server that answers many requests at a time, in threads."""

    multithread = True
    daemon_threads = True


class ForkingWSGIServer(BaseWSGIServer):
    """A server of several processes; each answers one request at a time."""

    multiprocess = True

    def __init__(
        self,
        host: str,
        port: int,
        app: Any,
        processes: int = 40,
        handler: type[WSGIRequestHandler] | None = None,
        passthrough_errors: bool = False,
        ssl_context: Any = None,
        fd: int | None = None,
    ) -> None:
        if not can_fork:
            raise ValueError(
                "Your platform does not support forking. Use threaded=True instead of processes."
            )
        super().__init__(host, port, app, handler, passthrough_errors, ssl_context, fd)
        self.processes = self.max_children = processes


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
