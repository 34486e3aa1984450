"""The token that commands need at an address with a port.

It is the value of CARBOY_ADMIN_TOKEN, or is generated into a file that only the user can read. The
file is named after the port, so that a command that is given HOST:PORT finds it. It stays when the
server ends, and the next server at the port uses it again.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from carboy import user_sockets
from carboy.server.admin.place import TOKEN

SHORTEST = 16  # characters of a token that a user chooses
BYTES = 32


class Token:
    """A token, with which a request is compared in constant time."""

    def __init__(self, text: str, file: Path | None = None) -> None:
        self.text = text
        self.file = file  # None: from the environment

    def matches(self, authorization: str) -> bool:
        """Whether this is the value of an Authorization field with the token."""
        import hmac

        scheme, _, given = authorization.partition(" ")
        wanted = self.text.encode("utf-8", "surrogateescape")
        same = hmac.compare_digest(given.strip().encode("latin-1", "replace"), wanted)
        return scheme.lower() == "bearer" and same


def token_for(port: int) -> Token:
    """The token of a server that listens at `port`. Raises OSError and ValueError."""
    if given := check_token():
        return Token(given)
    file = token_file(port, user_sockets.folder())
    return Token(_kept(file) or _made(file), file)


def check_token() -> str:
    """The token that the user has chosen, "" for none. Raises ValueError if it is too weak."""
    given = os.environ.get(TOKEN)
    if given is None:
        return ""
    if len(given) < SHORTEST or not given.isascii() or not given.isprintable() or " " in given:
        raise ValueError(
            f"{TOKEN} must have at least {SHORTEST} visible ASCII characters. Make one with"
            " `openssl rand -hex 32`."
        )
    return given


def token_file(port: int, folder: Path) -> Path:
    """The file of the token for a port."""
    return folder / f"port-{port}.token"


def _kept(file: Path) -> str:
    """The token in the file; "" if the file is missing or others can read or write it."""
    try:
        fd = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return ""
    with os.fdopen(fd) as content:
        state = os.fstat(fd)
        own = stat.S_ISREG(state.st_mode) and state.st_uid == os.getuid()
        text = content.read(1024).strip() if own and not state.st_mode & 0o077 else ""
    return text if len(text) >= SHORTEST and text.isascii() else ""


def _made(file: Path) -> str:
    text = os.urandom(BYTES).hex()
    file.unlink(missing_ok=True)
    fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w") as content:
        content.write(f"{text}\n")
    return text
