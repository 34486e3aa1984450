"""The request that `carboy explain` sends, from a client in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from carboy import __version__
from carboy.cli import explain_client

# Sent unless the user gives others, so that views that read them work as with a browser.
ORDINARY = (
    ("User-Agent", f"carboy-explain/{__version__}"),
    ("Accept", "*/*"),
    ("Accept-Language", "en"),
)
WITH_BODY = {"PATCH", "POST", "PUT"}  # methods whose request has a body, be it empty
LOOK = 0.1  # seconds between looks at whether the server still runs

Fields = list[tuple[str, str]]  # each a line of the request


class NoAnswer(Exception):
    """There was no response; the text says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The response. `sent` and `received` are the first bytes of the connection, as Latin-1, if the
    server was started for the request."""

    status: str
    size: int  # bytes of the body
    sent: str = ""
    received: str = ""
    sent_size: int = 0  # bytes of the connection, also those that are not kept
    received_size: int = 0


class Question:
    """The request to send."""

    def __init__(self, method: str, path: str, fields: Fields, body: bytes | None) -> None:
        self.method = method
        self.path = path
        self.given = fields
        self.fields = [*_missing(ORDINARY, fields), *fields]
        self.body = body

    def sent_fields(self, port: int) -> Fields:
        """All fields of the request, in the order in which they are sent."""
        added = [("Host", f"127.0.0.1:{port}"), ("Accept-Encoding", "identity")]
        is_chunked = any(name.lower() == "transfer-encoding" for name, _ in self.fields)
        if not is_chunked and (self.body is not None or self.method in WITH_BODY):
            added.append(("Content-Length", str(len(self.body or b""))))
        return [*_missing(added, self.fields), *self.fields]

    def ask(
        self, port: int, patience: float, server: subprocess.Popen[bytes] | None = None
    ) -> Answer:
        """Send the request; returns the response, cut off after `patience`.

        If the process of the server is given, the client waits until the server listens, and
        until the server has closed the connection.
        """
        # In its own session, so that Ctrl+C reaches only this process, which ends the other.
        child = subprocess.Popen(
            [sys.executable, "-I", explain_client.__file__],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            encoding="utf-8", start_new_session=True,
        )  # fmt: skip
        try:
            document = self._document(port, patience if server else 0)
            output, problem = _communicate(child, document, patience, server)
        except subprocess.TimeoutExpired:
            child.kill()
            status = child.communicate()[0].strip()
            if status:
                return Answer(f"{status}, cut off after {patience:g} s", 0)
            raise NoAnswer(f"There was no response within {patience:g} s.") from None
        finally:
            child.kill()
        if child.returncode:
            raise NoAnswer(f"There was no response: {problem.strip()}.")
        status, size, *connection = output.splitlines()
        return Answer(status, int(size), *json.loads(connection[0] if connection else "[]"))

    def _document(self, port: int, start: float) -> str:
        body = None if self.body is None else self.body.decode("latin-1")
        return json.dumps(
            {"port": port, "method": self.method, "path": self.path,
             "fields": self.sent_fields(port), "body": body, "start": start}
        )  # fmt: skip


def _missing(fields: Iterable[tuple[str, str]], given: Fields) -> Iterator[tuple[str, str]]:
    """The fields that are not among the given ones."""
    names = {name.lower() for name, _ in given}
    return (field for field in fields if field[0].lower() not in names)


def _communicate(
    child: subprocess.Popen[str],
    document: str,
    patience: float,
    server: subprocess.Popen[bytes] | None,
) -> tuple[str, str]:
    """Output and errors of the client, which is killed if the server ends."""
    if server is None:
        return child.communicate(document, patience)
    end = time.monotonic() + patience
    # communicate() would not write the rest of a large document after its first timeout.
    assert child.stdin is not None
    with child.stdin:
        child.stdin.write(document)
    child.stdin = None
    while True:
        try:
            return child.communicate(None, LOOK)
        except subprocess.TimeoutExpired:
            if time.monotonic() > end:
                raise
            if server.poll() is not None:
                child.kill()
