"""Requests to an admin server: HTTP with JSON over a unix socket or a port."""

from __future__ import annotations

import http.client
import json
import os
from typing import Any
from urllib.parse import urlencode

from carboy import user_sockets
from carboy.server.admin.place import TOKEN, Place
from carboy.server.admin.token import token_file

CONNECT = 5.0  # seconds


class AdminError(Exception):
    """The server cannot be reached, or refuses a request. The text is for the user."""


class NotRunning(AdminError):
    """Nothing answers at a place."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=CONNECT)
        self._path = path

    def connect(self) -> None:
        self.sock = user_sockets.connect(self._path, CONNECT)


class Client:
    """One admin server."""

    def __init__(self, place: Place, token: str | None = None) -> None:
        self.place = place
        self._token = token

    def get(self, path: str, patience: float = 10.0, **query: Any) -> Any:
        """The value at a path; waits `patience` seconds. Raises AdminError."""
        shown = {name: value for name, value in query.items() if value is not None}
        return self._json("GET", f"{path}?{urlencode(shown)}" if shown else path, None, patience)

    def post(self, path: str, values: dict[str, Any], patience: float = 10.0) -> Any:
        """Have something done; returns the value of the response. Raises AdminError."""
        return self._json("POST", path, json.dumps(values).encode(), patience)

    def _json(self, method: str, target: str, body: bytes | None, seconds: float) -> Any:
        status, content = self.request(method, target, body, seconds)
        try:
            value = json.loads(content)
        except ValueError:
            raise AdminError(f"{self.place} does not answer like an admin server.") from None
        if status >= 400:
            raise AdminError(self._refusal(status, value))
        return value

    def request(
        self, method: str, target: str, body: bytes | None = None, seconds: float = 10.0
    ) -> tuple[int, bytes]:
        """Status and content of the response. Raises AdminError."""
        connection = self._connection()
        headers = {"Connection": "close"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if token := self._token or self._known_token():
            headers["Authorization"] = f"Bearer {token}"
        try:
            connection.connect()
            connection.sock.settimeout(seconds)
            connection.request(method, target, body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        except (FileNotFoundError, ConnectionRefusedError):
            raise NotRunning(f"No server answers at {self.place}.") from None
        except PermissionError:
            raise AdminError(
                f"This user may not use {self.place}. Run the command as the user of the server."
            ) from None
        except TimeoutError:
            raise AdminError(
                f"The server at {self.place} has not answered within {seconds:g} s. It is stopped"
                " (SIGSTOP), or the machine is very busy."
            ) from None
        except (OSError, http.client.HTTPException) as problem:
            text = getattr(problem, "strerror", None) or str(problem)
            reason = text.rstrip(".") or type(problem).__name__
            raise AdminError(f"The server at {self.place} cannot be asked: {reason}.") from None
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        if self.place.path:
            return _UnixConnection(self.place.path)
        return http.client.HTTPConnection(self.place.host, self.place.port, timeout=CONNECT)

    def _known_token(self) -> str:
        """The token for a port: from the environment, or the file that a server of this user has
        written."""
        if self.place.path:
            return ""
        if given := os.environ.get(TOKEN):
            return given
        for folder in user_sockets.folders():
            try:
                return token_file(self.place.port, folder).read_text().strip()
            except OSError:
                continue
        return ""

    def _refusal(self, status: int, value: Any) -> str:
        text = value.get("error", "") if isinstance(value, dict) else ""
        if status == 401:
            return (
                f"The server at {self.place} requires its token. Set {TOKEN}, or run the command as"
                " the user of the server."
            )
        return str(text) or f"The server at {self.place} has answered with the status {status}."
