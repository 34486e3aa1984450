"""The servers that run, and which of them a command means.

--admin PLACE   the one there
otherwise       the one of the project in the current folder, by --port or --pid if several run
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from carboy import user_sockets
from carboy.cli.admin.client import AdminError, Client, NotRunning
from carboy.server.admin.place import SUFFIX, Place, read_place

ASK = 5.0  # seconds for a server to say what it is


@dataclass(frozen=True, slots=True)
class Found:
    """A server that answers, and what it says about itself (GET /server)."""

    client: Client
    about: dict[str, Any]

    def line(self) -> str:
        """The server in one line, for a choice."""
        where = ", ".join(self.about["addresses"]) or "no address"
        return f"--pid {self.about['pid']}: {self.about['application'] or '?'} on {where}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The options that say which server is meant."""

    admin: str | None = None
    port: int | None = None
    pid: int | None = None

    def fits(self, about: dict[str, Any]) -> bool:
        """Whether a server is the one."""
        if self.pid is not None and about["pid"] != self.pid:
            return False
        return self.port is None or any(
            address.rstrip("/").endswith(f":{self.port}") for address in about["addresses"]
        )


def choose(wanted: Wanted) -> Client:
    """The server that is meant. Raises AdminError if there is none, or several."""
    if wanted.admin:
        try:
            return Client(read_place(wanted.admin))
        except ValueError as problem:
            raise AdminError(f"--admin: {problem}") from None
    everywhere = wanted.port is not None or wanted.pid is not None
    found = [each for each in running(everywhere) if wanted.fits(each.about)]
    if len(found) == 1:
        return found[0].client
    if found:
        lines = "\n  ".join(each.line() for each in found)
        raise AdminError(
            f"{len(found)} servers run for {user_sockets.project()}. Choose one with --pid or"
            f" --port:\n  {lines}"
        )
    raise AdminError(_none(wanted))


def running(everywhere: bool) -> list[Found]:
    """The servers of this user that answer: all, or those of the project."""
    begin = "*" if everywhere else user_sockets.digest()
    found = []
    for folder in user_sockets.folders():
        for path in sorted(folder.glob(f"{begin}-*{SUFFIX}")):
            client = Client(Place(path=str(path)))
            try:
                found.append(Found(client, client.get("/server", ASK)))
            except NotRunning:
                continue  # it was killed
    return found


def _none(wanted: Wanted) -> str:
    """The error when no server fits."""
    said = [f"--{name} {value}" for name, value in
            (("pid", wanted.pid), ("port", wanted.port)) if value is not None]  # fmt: skip
    if said:
        text = f"No Carboy server of this user runs with {' and '.join(said)}."
    else:
        text = f"No Carboy server of this user runs for {user_sockets.project()}."
    others = running(everywhere=True)
    if others:
        lines = "\n  ".join(f"{each.line()}, in {each.about['folder']}" for each in others)
        return f"{text} Choose one of these, or run the command in its folder:\n  {lines}"
    return (
        f"{text} Start it with `carboy run`, run the command in the server's folder and as its"
        " user, or use --admin with the value that the server has."
    )
