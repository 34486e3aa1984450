"""A client that compares each response byte for byte and records the outcome."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from dataclasses import dataclass

from bench.chaos.ledger import Ledger, Loss, Outcome
from bench.chaos.questions import Question

Address = tuple[str, int]
PATIENCE = 10.0
"""Seconds after which a request without a response is lost."""


class Cut(Exception):
    """The connection ended before the response was complete."""


class Wrong(Exception):
    """The response is not the expected one; the text shows the difference."""


@dataclass(frozen=True)
class Answer:
    """A complete response."""

    status: int
    fields: dict[bytes, bytes]
    body: bytes
    keep: bool


class Client:
    """A client with at most one connection, which stays open as long as the server keeps it."""

    def __init__(
        self, address: Address, ledger: Ledger, *, keep: bool = True, patience: float = PATIENCE
    ) -> None:
        self.address = address
        self.ledger = ledger
        self.keep = keep
        self.patience = patience
        self._socket: socket.socket | None = None
        self._received = b""

    def ask(self, question: Question) -> Outcome:
        """Send one request, on the open connection if there is one, and check its response."""
        self.ledger.asked()
        sent = time.monotonic()
        try:
            connection = self._connected()
        except TimeoutError:
            return self._lost(sent, "not connected in time")
        except OSError:
            self.ledger.was_refused()
            return Outcome.REFUSED
        try:
            answer = self._exchange(connection, question)
            if not (answer.keep and self.keep):
                self.close()
        except TimeoutError:
            return self._lost(sent, "no response in time")
        except Cut as error:
            return self._lost(sent, str(error), cut=True)
        except OSError as error:
            return self._lost(sent, f"connection failed: {type(error).__name__}", cut=True)
        except Wrong as error:
            return self._lost(sent, f"wrong: {error}")
        if answer.status == 503:
            self.ledger.was_refused()
            return Outcome.REFUSED
        if answer.status != question.status:
            return self._lost(sent, f"wrong: status {answer.status}")
        if question.body is not None and answer.body != question.body:
            return self._lost(sent, "wrong: different body")
        self.ledger.was_right(time.monotonic() - sent)
        return Outcome.RIGHT

    def fetch(self, question: Question) -> str:
        """The body of a response with unknown text; "" if there is none."""
        self.ledger.asked()
        sent = time.monotonic()
        try:
            answer = self._exchange(self._connected(), question)
        except (OSError, Cut, Wrong) as error:
            self._lost(sent, str(error))
            return ""
        self.ledger.was_right(time.monotonic() - sent)
        if not (answer.keep and self.keep):
            self.close()
        return answer.body.decode() if answer.status == 200 else ""

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self._received = b""

    def _connected(self) -> socket.socket:
        """The open connection, unless the server has closed it; all HTTP clients check this."""
        if self._socket is not None and select.select([self._socket], [], [], 0)[0]:
            self.close()
        if self._socket is None:
            self._socket = socket.create_connection(self.address, self.patience)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._socket

    def _exchange(self, connection: socket.socket, question: Question) -> Answer:
        connection.settimeout(self.patience)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            send(connection, question)  # an early response may have been received
        end = time.monotonic() + self.patience
        head, _, self._received = self._until(connection, b"\r\n\r\n", end)
        status, fields = parse_head(head)
        keep = fields.get(b"connection", b"").lower() != b"close"
        if b"chunked" in fields.get(b"transfer-encoding", b""):
            body = self._chunks(connection, end)
        elif b"content-length" in fields:
            body = self._exactly(connection, int(fields[b"content-length"]), end)
        else:
            body, keep = self._rest(connection, end), False
        if self._received:
            raise Wrong("bytes after the response")
        return Answer(status, fields, body, keep)

    def _more(self, connection: socket.socket, end: float) -> bool:
        connection.settimeout(max(0.01, end - time.monotonic()))
        received = connection.recv(262_144)
        self._received += received
        return bool(received)

    def _until(self, connection: socket.socket, mark: bytes, end: float) -> tuple[bytes, ...]:
        while mark not in self._received:
            if not self._more(connection, end):
                raise Cut(
                    "connection closed within the response"
                    if self._received
                    else "connection closed without a response"
                )
        return self._received.partition(mark)

    def _exactly(self, connection: socket.socket, many: int, end: float) -> bytes:
        while len(self._received) < many:
            if not self._more(connection, end):
                raise Cut("connection closed within the response")
        body, self._received = self._received[:many], self._received[many:]
        return body

    def _chunks(self, connection: socket.socket, end: float) -> bytes:
        body = b""
        while True:
            size, _, self._received = self._until(connection, b"\r\n", end)
            chunk = self._exactly(connection, int(size, 16) + 2, end)
            if int(size, 16) == 0:
                return body
            body += chunk[:-2]

    def _rest(self, connection: socket.socket, end: float) -> bytes:
        while self._more(connection, end):
            pass
        body, self._received = self._received, b""
        return body

    def _lost(self, sent: float, how: str, cut: bool = False) -> Outcome:
        self.close()
        self.ledger.was_lost(Loss(sent, time.monotonic(), how, cut))
        return Outcome.LOST


def send(connection: socket.socket, question: Question) -> None:
    """Send a request, as a whole or in two halves."""
    half = len(question.request) // 2 if question.pause else 0
    if half:
        connection.sendall(question.request[:half])
        time.sleep(question.pause)
    connection.sendall(question.request[half:])


def parse_head(head: bytes) -> tuple[int, dict[bytes, bytes]]:
    """The status and the fields, with names in lower case. Raises Wrong."""
    line, *rest = head.split(b"\r\n")
    parts = line.split(b" ", 2)
    if len(parts) < 2 or not parts[0].startswith(b"HTTP/1.") or not parts[1].isdigit():
        raise Wrong(f"{line[:40]!r} is not a status line")
    pairs = (one.partition(b":") for one in rest)
    return int(parts[1]), {name.lower(): value.strip() for name, _, value in pairs}
