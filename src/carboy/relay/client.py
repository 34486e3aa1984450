"""Connections to a relay: one for requests of any thread, one for the messages that come.

    Requests       publish, history and subscribers; each waits for its answer
    Subscription   a thread that reads messages and gives them to a Handler, and connects again

Which thread touches what of a Subscription:

    its thread     the socket's receiving side; the handler's calls; connecting
    any thread     with the lock: `_sock`, to send on it

Frames that are sent while there is no connection, or on one that has just ended, are lost. So the
handler keeps a state of its own. It changes the state and calls `send` with one lock, and holds the
same lock in `connected`, where it sends all of the state. So a frame is part of that state, or is
sent after it.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable
from typing import Protocol

from carboy.late import random
from carboy.relay.frames import Fields, Frame, FrameError, FrameReader, frame
from carboy.relay.place import RelayError
from carboy.user_sockets import connect

log = logging.getLogger("carboy.error")

READ = 256 * 1024
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0  # seconds between two attempts to connect


class Requests:
    """Requests that wait for their answers, on one connection. For any thread, and after a fork."""

    def __init__(self, path: Callable[[], str]) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._sock: socket.socket | None = None
        self._reader = FrameReader()
        self._frames: list[Frame] = []
        self._process = os.getpid()

    def ask(self, fields: Fields, data: bytes = b"", timeout: float = 5.0) -> list[Frame]:
        """The answer: one frame, and those that it announces. Raises RelayError.

        A connection that has ended since the last request is replaced by a new one. A request
        whose answer does not come may have been carried out.
        """
        if self._process != os.getpid():  # the lock and the connection are the parent's
            self.__init__(self._path)  # type: ignore[misc]
        request = frame(fields, data)
        with self._lock:
            try:
                return self._ask_again(request, timeout)
            except TimeoutError:
                self._close()
                raise RelayError(
                    f"The relay of channels has not answered within {timeout:g} s. The server is"
                    " busy or stopped (SIGSTOP); try again."
                ) from None
            except (OSError, FrameError) as problem:
                self._close()
                reason = str(problem).rstrip(".")
                raise RelayError(
                    f"The relay of channels at {self._path()} cannot be reached: {reason}."
                    " Start the server first, or look at its log."
                ) from None

    def _ask_again(self, request: bytes, timeout: float) -> list[Frame]:
        kept = self._sock is not None
        try:
            return self._ask(request, timeout)
        except TimeoutError:
            raise
        except OSError:
            if not kept or self._frames:
                raise
            self._close()  # the server has been restarted since
            return self._ask(request, timeout)

    def _ask(self, request: bytes, timeout: float) -> list[Frame]:
        sock = self._sock
        if sock is None:
            sock = self._sock = connect(self._path(), timeout)
        sock.settimeout(timeout)
        sock.sendall(request)
        answer = [self._next(sock)]
        for _ in range(answer[0][0].get("count", 0) if "replay" in answer[0][0] else 0):
            answer.append(self._next(sock))
        if "error" in answer[0][0]:
            raise RelayRefusal(answer[0][0]["error"])
        return answer

    def _next(self, sock: socket.socket) -> Frame:
        while not self._frames:
            received = sock.recv(READ)
            if not received:
                raise ConnectionResetError("The relay has closed the connection.")
            self._frames = self._reader.feed(received)
        return self._frames.pop(0)

    def _close(self) -> None:
        if self._sock is not None:
            self._sock.close()
        self._sock = None
        self._reader = FrameReader()
        self._frames = []

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._close()


class RelayRefusal(Exception):
    """The relay refuses a request; the text is for the user."""


class Handler(Protocol):
    """The user of a Subscription. Called by its thread."""

    def connected(self, send: Callable[[bytes], None]) -> None:
        """There is a new connection, and `send` sends the first frames on it.

        `Subscription.send` uses the new connection when this has returned.
        """
        ...

    def frame(self, fields: Fields, data: bytes) -> None:
        """A frame has come."""
        ...

    def disconnected(self) -> None:
        """The connection has ended."""
        ...


class Subscription:
    """A connection that receives, kept up by a thread of its own until `stop`."""

    def __init__(self, path: Callable[[], str], handler: Handler) -> None:
        self._path = path
        self._handler = handler
        self._lock = threading.Lock()
        self._sock: socket.socket | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="carboy-channels", daemon=True)

    def start(self) -> None:
        """Begin to connect."""
        self._thread.start()

    def send(self, data: bytes) -> None:
        """Send frames; without a connection, they are left out (see the module's docstring)."""
        with self._lock:
            if self._sock is not None:
                try:
                    self._sock.sendall(data)
                except OSError:
                    pass  # the thread notices it

    def stop(self, timeout: float) -> None:
        """End the connection and the thread."""
        self._stopping.set()
        with self._lock:
            if self._sock is not None:
                try:
                    self._sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(timeout)

    def _run(self) -> None:
        pause = FIRST_PAUSE
        logged = False
        while not self._stopping.is_set():
            try:
                sock = connect(self._path(), None)
            except (OSError, RelayError) as problem:
                if not logged and pause > FIRST_PAUSE:
                    logged = True
                    log.error("The relay of channels cannot be reached: %s.", problem)
                self._stopping.wait(pause * random.uniform(0.5, 1.0))
                pause = min(2 * pause, LONGEST_PAUSE)
                continue
            if logged:
                log.info("The relay of channels can be reached again.")
            pause, logged = FIRST_PAUSE, False
            self._serve(sock)

    def _serve(self, sock: socket.socket) -> None:
        reader = FrameReader()
        try:
            self._handler.connected(lambda data: self._begin(sock, data))
            while received := sock.recv(READ):
                for fields, data in reader.feed(received):
                    self._handler.frame(fields, data)
        except OSError:
            pass
        except FrameError as problem:
            log.error("The relay of channels sent nonsense: %s.", problem)
        finally:
            with self._lock:
                self._sock = None
            sock.close()
            self._handler.disconnected()

    def _begin(self, sock: socket.socket, data: bytes) -> None:
        with self._lock:
            if self._stopping.is_set():
                raise ConnectionAbortedError
            sock.sendall(data)
            self._sock = sock
