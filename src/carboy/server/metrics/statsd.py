"""Sends what all workers have counted to a statsd server, by UDP, once in INTERVAL seconds.

    counters     what has been added since the last time: `carboy.requests:12|c`
    durations    one line for each bucket: the middle of the bucket, with a sample rate that makes
                 one line count as many: `carboy.request.duration:3.75|ms|@0.1`

It never blocks: the socket takes a datagram at once, or the datagram is lost, as any may be. It
does not look names up either. Workers do that on a thread of their own, and report the address, so
a name server that does not answer stops nothing. What is counted until then is sent later.
"""

from __future__ import annotations

import logging
import re
import socket
import time
from collections.abc import Iterable, Iterator
from ipaddress import ip_address

from carboy.server.metrics.samples import Labels
from carboy.server.metrics.settings import MetricsSettings
from carboy.server.metrics.totals import Totals

log = logging.getLogger("carboy.error")

INTERVAL = 10.0  # seconds; statsd servers add up for as long
DATAGRAM = 1400  # bytes: fits into one packet of an Ethernet network
DURATION = "carboy_request_duration"  # of Totals.for_statsd
_unsafe = re.compile(r"[^A-Za-z0-9_-]+")
_in_tag = re.compile(r"[|,#@\s\x00-\x1f]+")

Address = tuple[str, int]
# Metric, labels, change.
Change = tuple[str, Labels, float]


class Statsd:
    """Sends the changes of `totals` to a host and port."""

    def __init__(self, place: Address, prefix: str, tags: bool, totals: Totals) -> None:
        self._place = place
        self._prefix = prefix
        self._tags = tags
        self._totals = totals
        self._address: Address | None = None
        self._sent: dict[tuple[str, Labels], float] = {}
        self._due = 0.0
        self._socket: socket.socket | None = None
        self._complained = False

    def look(self) -> float:
        """Send if it is time to; returns when to look next (monotonic seconds)."""
        now = time.monotonic()
        if now >= self._due:
            self._due = now + INTERVAL
            self._send()
        return self._due

    def _lines(self) -> Iterator[str]:
        for name, labels, value in self._totals.for_statsd():
            change = value - self._sent.get((name, labels), 0)
            if change <= 0:
                continue
            self._sent[name, labels] = value
            if name == DURATION:
                middle = float(labels[-1][1])
                rate = f"|@{1 / change:.6g}" if change > 1 else ""
                yield self._line(name, labels[:-1], f"{middle * 1000:.6g}|ms{rate}")
            else:
                yield self._line(name, labels, f"{change:.15g}|c")

    def _line(self, name: str, labels: Labels, rest: str) -> str:
        name = self._prefix + name.removeprefix("carboy_").replace("_", ".")
        if not labels:
            return f"{name}:{rest}"
        if self._tags:
            tags = ",".join(f"{key}:{_in_tag.sub('_', text)}" for key, text in labels)
            return f"{name}:{rest}|#{tags}"
        parts = ".".join(_unsafe.sub("_", text).strip("_") or "_" for _, text in labels)
        return f"{name}.{parts}:{rest}"

    def _send(self) -> None:
        host, port = self._place
        address = numeric(host, port) or numeric(self._totals.statsd_host, port)
        if address is None:
            return
        if address != self._address:
            self._forget_socket()
            self._address = address
        for data in datagrams(self._lines()):
            try:
                self._open(address).sendto(data, address)
            except BlockingIOError:
                pass  # the kernel has no room for it
            except OSError as problem:
                self._forget_socket()
                if not self._complained:
                    self._complained = True
                    log.warning(
                        "What was counted cannot be sent to statsd: %s. Correct --statsd.",
                        str(problem.strerror or problem).rstrip("."),
                    )

    def _open(self, address: Address) -> socket.socket:
        if self._socket is None:
            family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
            self._socket = socket.socket(family, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
        return self._socket

    def _forget_socket(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def close(self) -> None:
        """Send the rest, and close the socket."""
        self._send()
        self._forget_socket()

    def leave(self) -> None:
        """Close the socket in a worker that was forked from the supervisor."""
        self._forget_socket()


def statsd_of(settings: MetricsSettings, totals: Totals) -> Statsd | None:
    """The sender of `totals`; None without --statsd."""
    place = settings.statsd_place
    if place is None or not settings.metrics:
        return None
    return Statsd(place, settings.statsd_prefix, settings.statsd_tags, totals)


def numeric(host: str, port: int) -> Address | None:
    """The address; None for a name, which has to be looked up."""
    try:
        return str(ip_address(host)), port
    except ValueError:
        return None


def datagrams(lines: Iterable[str]) -> Iterator[bytes]:
    """The lines in pieces of at most DATAGRAM bytes; a longer line is left out."""
    piece: list[bytes] = []
    size = 0
    for line in lines:
        data = line.encode("ascii", "replace")
        if len(data) > DATAGRAM:
            continue
        if size + len(data) + 1 > DATAGRAM and piece:
            yield b"\n".join(piece)
            piece, size = [], 0
        piece.append(data)
        size += len(data) + 1
    if piece:
        yield b"\n".join(piece)


def look_up(host: str) -> str | None:
    """An address of a host; None if there is none. May take long."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except OSError:
        return None
    return str(found[0][4][0])
