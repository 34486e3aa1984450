"""The client of the course: sends the bytes that a learner types, over a real socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

from carboy.cli.learn.recorder import Recorder
from carboy.dev.learn.recording import Recording

HOST = "127.0.0.1"


class Client:
    """At most one open connection to the exercise server.

    `received` is called, on another thread, with the bytes that came, and with b"" at the end.
    """

    def __init__(self, port: int, recorder: Recorder, received: Callable[[bytes], object]) -> None:
        self._port = port
        self._recorder = recorder
        self._received = received
        self._socket: socket.socket | None = None
        self._own_port = 0
        self._sent = 0
        self._others: set[socket.socket] = set()  # of send_at_once, without a response yet

    @property
    def is_open(self) -> bool:
        """Whether there is a connection."""
        return self._socket is not None

    @property
    def recording(self) -> Recording | None:
        """The server's record of the connection; None until the server has accepted it."""
        return self._recorder.of_port(self._own_port) if self._socket is not None else None

    @property
    def waits_for_others(self) -> bool:
        """Whether a connection of `send_at_once` has not got its response."""
        return bool(self._others)

    @property
    def is_between_requests(self) -> bool:
        """Whether the next byte begins a request, as far as the server has come."""
        if self._socket is None:
            return True
        recording = self.recording
        return not self.waits_for_server and recording is not None and recording.is_between_requests

    @property
    def waits_for_server(self) -> bool:
        """Whether the server has not read all bytes yet, or the view has not answered yet."""
        recording = self.recording
        if self._socket is None:
            return False
        if recording is None:
            return True
        return (
            recording.closed is None
            and not recording.is_refused
            and (
                recording.received < self._sent or recording.is_reading or recording.waits_for_view
            )
        )

    def send(self, data: bytes, on_new: bool = False) -> None:
        """Send bytes on the open connection, or on a new one. Raises OSError."""
        if on_new:
            self.hang_up()
        if self._socket is None:
            self._socket = socket.create_connection((HOST, self._port))
            self._own_port = int(self._socket.getsockname()[1])
            self._sent = 0
            reader = threading.Thread(target=self._read, args=(self._socket,), daemon=True)
            reader.start()
        self._sent += len(data)
        self._socket.sendall(data)

    def send_at_once(self, data: bytes, times: int) -> None:
        """Send the same bytes on several new connections at the same time. Raises OSError."""
        sockets = [socket.create_connection((HOST, self._port)) for _ in range(times)]
        self._others.update(sockets)
        for each in sockets:
            each.sendall(data)
        for each in sockets:
            threading.Thread(target=self._read, args=(each,), daemon=True).start()

    def hang_up(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            sock, self._socket = self._socket, None
            _shut(sock)

    def _read(self, sock: socket.socket) -> None:
        with sock:
            while True:
                try:
                    data = sock.recv(1 << 16)
                except OSError:
                    break
                if not data:
                    break
                self._received(data)
                if sock in self._others and self._is_over(sock):
                    break
        self._others.discard(sock)
        if sock is self._socket:
            self._socket = None
            self._received(b"")

    def _is_over(self, sock: socket.socket) -> bool:
        try:
            recording = self._recorder.of_port(int(sock.getsockname()[1]))
        except OSError:
            return True
        return recording is not None and recording.is_between_requests


def _shut(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # the server has closed it
    sock.close()
