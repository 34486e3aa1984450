"""The request that `carboy explain` sends, from a client in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from carboy import __version__
from carboy.cli import explain_client
from carboy.dev.routes.matching import WEBSOCKET

# Sent unless the user gives others, so that views that read them work as with a browser.
ORDINARY = (
    ("User-Agent", f"carboy-explain/{__version__}"),
    ("Accept", "*/*"),
    ("Accept-Language", "en"),
)
WITH_BODY = {"PATCH", "POST", "PUT"}  # methods whose request has a body, be it empty
HOST = "127.0.0.1"
STOPPED = "stopped by Ctrl+C"
LOOK = 0.1  # seconds between looks at whether the server still runs

# Of a handshake for a WebSocket (RFC 6455, section 4.1). The key is the one of the RFC, so that
# two reports differ only in what is different.
HANDSHAKE = (
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
)
UPGRADE = ("upgrade", "websocket")

Fields = list[tuple[str, str]]  # each a line of the request


class NoAnswer(Exception):
    """There was no response; `answer` says why."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.failure)
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Answer:
    """The response as far as it has arrived.

    `sent` and `received` are the first bytes of the connection, as Latin-1.
    """

    status: str  # "" if there was none
    size: int  # bytes of the body
    sent: str = ""
    received: str = ""
    sent_size: int = 0  # bytes of the connection, also those that are not kept
    received_size: int = 0
    problem: str = ""  # why it is not complete
    connected: bool = False

    @property
    def text(self) -> str:
        """The status, and what is wrong with the response."""
        return ", ".join(each for each in (self.status, self.problem) if each) or "no response"

    @property
    def was_closed(self) -> bool:
        """Whether the server has closed the connection, with or without a response."""
        return self.connected and self.problem.startswith(explain_client.CLOSED)

    @property
    def failure(self) -> str:
        """A sentence that says that there was no response, or ""."""
        if self.status:
            return ""
        was = "" if self.problem.startswith("no response") else "no response: "
        return f"There was {was}{self.problem}."


class Question:
    """The request to send. Of a handshake for a WebSocket, `body` is the first message."""

    def __init__(
        self, method: str, path: str, fields: Fields, body: bytes | None, websocket: bool = False
    ) -> None:
        self.method = method
        self.path = path
        self.given = fields
        self.is_websocket = websocket or asks_for_websocket(fields)
        ordinary = (*ORDINARY, *HANDSHAKE) if self.is_websocket else ORDINARY
        self.fields = [*_missing(ordinary, fields), *fields]
        self.message = body.decode() if self.is_websocket and body is not None else None
        self.body = None if self.is_websocket else body

    @property
    def routed_as(self) -> str:
        """The method with which a rule is looked up."""
        return WEBSOCKET if self.is_websocket else self.method

    def sent_fields(self, port: int) -> Fields:
        """All fields of the request, in the order in which they are sent."""
        added = [("Host", f"{HOST}:{port}"), ("Accept-Encoding", "identity")]
        is_chunked = any(name.lower() == "transfer-encoding" for name, _ in self.fields)
        if not is_chunked and (self.body is not None or self.method in WITH_BODY):
            added.append(("Content-Length", str(len(self.body or b""))))
        return [*_missing(added, self.fields), *self.fields]

    def ask(
        self,
        port: int,
        patience: float,
        server: subprocess.Popen[bytes] | None = None,
        host: str = HOST,
    ) -> Answer:
        """Send the request; returns the response, cut off after `patience`.

        Raises NoAnswer if nothing has arrived. If the process of the server is given, the client
        waits until the server listens, and until the server has closed the connection; an answer
        is then returned in any case, even after Ctrl+C.
        """
        # In its own session, so that Ctrl+C reaches only this process, which ends the other.
        child = subprocess.Popen(
            [sys.executable, "-I", explain_client.__file__],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8",
            start_new_session=True,
        )  # fmt: skip
        try:
            document = self._document(host, port, patience, patience if server else 0)
            answer = _communicate(child, document, server)
        finally:
            child.kill()
        if server is None and not answer.status:
            raise NoAnswer(answer)
        return answer

    def _document(self, host: str, port: int, patience: float, start: float) -> str:
        body = None if self.body is None else self.body.decode("latin-1")
        return json.dumps(
            {"host": host, "port": port, "patience": patience, "method": self.method,
             "path": self.path, "fields": self.sent_fields(port), "body": body, "start": start,
             "message": self.message}
        )  # fmt: skip


def asks_for_websocket(fields: Fields) -> bool:
    """Whether the fields of a request have `Upgrade: websocket`."""
    return UPGRADE in [(name.lower(), value.lower()) for name, value in fields]


def _missing(fields: Iterable[tuple[str, str]], given: Fields) -> Iterator[tuple[str, str]]:
    """The fields that are not among the given ones."""
    names = {name.lower() for name, _ in given}
    return (field for field in fields if field[0].lower() not in names)


def _communicate(
    child: subprocess.Popen[str], document: str, server: subprocess.Popen[bytes] | None
) -> Answer:
    """The answer that the client prints. It is told to end if the server ends, or after Ctrl+C."""
    stopped = False
    # communicate() would not write the rest of a large document after its first timeout.
    assert child.stdin is not None
    with child.stdin:
        child.stdin.write(document)
    child.stdin = None
    while True:
        try:
            output = child.communicate(None, LOOK)[0]
            break
        except subprocess.TimeoutExpired:
            if server is not None and server.poll() is not None:
                child.terminate()
        except KeyboardInterrupt:
            if server is None or stopped:
                raise
            stopped = True
            child.terminate()
    answer = Answer(**json.loads(output)) if output else Answer("", 0)
    return replace(answer, problem=STOPPED) if stopped else answer
