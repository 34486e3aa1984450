"""The lines that the terminal shows when a server starts and stops."""

from __future__ import annotations

import os
import platform
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from carboy import __version__
from carboy.server.beside_tls import HTTPS, https_port
from carboy.server.bind import group_name, url
from carboy.server.logs.output import Output, colours_wanted, standard
from carboy.server.processes.plan import Plan
from carboy.server.trusted_proxies import TrustedProxies

# A carboy: a bottle with a narrow neck and round shoulders.
BOTTLE = ("   ┌┬┐   ", "  ╭╯ ╰╮  ", " ╭╯   ╰╮ ", " │∼∼∼∼∼│ ", " │     │ ", " ╰─────╯ ")
GLASS, WATER = "37", "36"


class Banner:
    """Shows what is served at which address, and later that the server stops.

    Text is written to standard error without its buffer, and only if that does not block: two
    of the methods are called while a signal is handled.
    """

    def __init__(self, name: str, more: Sequence[str] = ()) -> None:
        self.name = name
        self.more = more  # further lines
        self.output = standard(sys.stderr, 2)
        self.colour = colours_wanted(self.output)
        self._announced = False

    def ready(self, sockets: Sequence[socket.socket], plan: Plan) -> None:
        self.show(self.lines(sockets, plan))

    def show(self, lines: list[str], below: Sequence[str] = ()) -> None:
        """Show `lines` beside the bottle, where it can be drawn, and `below` under it."""
        if self.output.is_terminal() and _can_draw(self.output):
            lines = self._beside_bottle(lines)
        self.write("\n".join([*lines, *below]) + "\n")

    def stopping(self, running: int | None) -> None:
        if running != 0:
            self._announced = True
            what = {None: "running requests", 1: "1 request"}.get(running, f"{running} requests")
            self.write(f"\rFinishing {what}. Press Ctrl+C again to stop at once.\n")

    def stopped(self) -> None:
        if not self._announced:
            self.write("\rStopped.\n" if self.output.is_terminal() else "Stopped.\n")

    def lines(self, sockets: Sequence[socket.socket], plan: Plan) -> list[str]:
        """The text: application, addresses, processes and threads."""
        processes = "1 process" if plan.workers == 1 else f"{plan.workers} workers"
        threads = plan.settings.threads
        crew = "1 thread" if threads == 1 else f"{threads} threads"
        title = f"Carboy {__version__}"
        return [
            f"{self.style(title, '1;36')} is serving {self.style(self.name, '1')}",
            *(self.style(place, "1;4") for place in self._places(sockets, plan)),
            *(self.style(line, "2") for line in certificate_lines(plan)),
            *(self.style(line, "2") for line in [trust_line(plan), *self.more]),
            self.style(f"{processes} × {crew}, Python {platform.python_version()}", "2")
            + self.style(f", pid {os.getpid()}", "2"),
            self.style("Press Ctrl+C to stop", "2"),
        ]

    def _places(self, sockets: Sequence[socket.socket], plan: Plan) -> list[str]:
        """The URLs to open, those of --domain first."""
        names = () if plan.acme is None else plan.acme.names
        port = https_port(sockets)
        shown = "" if port == HTTPS else f":{port}"
        return [f"https://{name}{shown}/" for name in names] + places(sockets, plan.scheme())

    def _beside_bottle(self, lines: list[str]) -> list[str]:
        body = ["", *lines, ""]
        body += [""] * (len(BOTTLE) - len(body))
        drawn = list(BOTTLE) + [" " * len(BOTTLE[0])] * (len(body) - len(BOTTLE))
        painted = (
            part.replace("∼∼∼∼∼", self.style("∼∼∼∼∼", WATER)) if "∼" in part else part
            for part in drawn
        )
        return ["", *(f"{p} {t}".rstrip() for p, t in zip(painted, body, strict=True)), ""]

    def style(self, text: str, code: str) -> str:
        """The text in a colour (an SGR code), if colours are wanted."""
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour else text

    def write(self, text: str) -> None:
        """Write to the terminal, unless that would block."""
        encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
        self.output.write_within(text.encode(encoding, "replace"), 0)


def certificate_lines(plan: Plan) -> list[str]:
    """The names of the certificates and the days left; nothing without TLS."""
    if plan.tls is None:
        return []
    of_files = [f"Certificate: {plan.tls.summary()}"]
    if plan.acme is None:
        return of_files
    from carboy.cli.certificates import lines

    return (of_files if len(plan.tls.options.pairs) > 1 else []) + lines(plan.acme)


def trust_line(plan: Plan) -> str:
    """The proxies whose headers are taken."""
    return f"Trusted proxies: {TrustedProxies(plan.settings.trust.trusted_proxies).shown()}"


def places(sockets: Sequence[socket.socket], scheme: str = "http") -> list[str]:
    """The URLs of the server, which terminals show as links."""
    found: list[str] = []
    for sock in sockets:
        found.append(url(sock, scheme) + permissions(sock))
        name = sock.getsockname()
        if isinstance(name, tuple) and name[0] in ("0.0.0.0", "::"):
            found += (url(sock, scheme, address) for address in network_addresses())
    return found


def permissions(sock: socket.socket) -> str:
    """The permissions and the group of a unix socket; "" for others."""
    name = sock.getsockname()
    if not isinstance(name, str) or not name:
        return ""
    try:
        found = Path(name).stat()
    except OSError:
        return ""  # it has no file
    return f" (permissions {found.st_mode & 0o777:o}, group {group_name(found.st_gid)})"


def network_addresses() -> list[str]:
    """This machine's address in its network, found without sending anything."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # TEST-NET-1, RFC 5737
            address = str(probe.getsockname()[0])
        except OSError:
            return []
    return [] if address.startswith(("127.", "0.")) else [address]


def _can_draw(output: Output) -> bool:
    return "utf" in (getattr(sys.stderr, "encoding", None) or "").lower()
