"""The listening sockets of an engine: watched, paused, left to other workers, or closed."""

from __future__ import annotations

import errno
import logging
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING

from carboy.net.listener import Listener
from carboy.net.poller import READ, Poller
from carboy.net.stream import Stream
from carboy.server.settings import Settings
from carboy.server.trust import Trust

if TYPE_CHECKING:
    from carboy.server.proxy_stream import ProxyProtocol

log = logging.getLogger("carboy.error")

RETRY = 0.02  # seconds of a pause, unless a connection is closed earlier
BATCH = 64  # accepted in one turn, so that a flood of connections does not starve the open ones
# Most connections accepted at the end. No more can wait, but while a worker is only replaced, new
# ones come in as fast as they are accepted.
MOST_AT_THE_END = 4096
# Seconds for workers to accept the connections that wait, before the port is closed regardless:
# they need milliseconds, unless every one of them is stuck.
DRAIN_TIMEOUT = 2.0
DRAIN_INTERVAL = 0.005  # seconds between checks whether connections still wait

Wrap = Callable[[socket.socket], Stream]
Accepted = tuple[Stream, tuple[str, int] | None, tuple[str, int | None]]

# The listener is closed or refuses connections.
_SHUT = {errno.EINVAL, errno.EBADF, errno.ENOTSOCK}
# No descriptor or memory left: accepting again at once would fail again at once.
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class ListenerPolicy(IntEnum):
    """Use of the listeners when their process stops; a greater policy overrides a smaller."""

    KEEP = 0  # another process accepts, or this one will later: leave them as they are
    RESTART = 1  # this program starts again: accept while idle connections are waited for
    DRAIN = 2  # accept the connections that wait, then close this process's copies
    CLOSE = 3  # as DRAIN, and refuse new connections at once


class Listeners:
    """Accepts connections; while paused the kernel keeps them in its backlog."""

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        poller: Poller,
        settings: Settings,
        wrap: Wrap | None = None,
    ) -> None:
        self.sockets = {each.fileno(): each for each in listeners}
        self.paused = 0.0  # monotonic seconds: when the pause began; 0: none
        self.yielded = 0.0  # when the listeners were left to other workers; 0: they are not
        self.held = False  # paused or yielded
        self._watched = False
        self.closed = False
        # New connections are left to other processes. Used with the lock, because `drain` may
        # run on another thread than `accept`.
        self.left = False
        self._draining = threading.Lock()  # held by the thread that accepts what waits at the end
        self._drained: deque[tuple[socket.socket, object]] = deque()  # accepted, not set up yet
        self._warn_at = 0.0
        self._poller = poller
        self.proxied = _proxies(settings.trust) if settings.trust.proxy_protocol else None
        self._wrap = wrap  # makes TLS streams of sockets; None: they are used as they are

    def open(self) -> None:
        """Begin to accept."""
        for listener in self.sockets.values():
            listener.setblocking(False)
        self._watch()

    def _watch(self) -> None:
        """Have the poller watch the listeners, unless they are paused, yielded or closed."""
        self.held = bool(self.paused or self.yielded) and not self.closed
        wanted = not (self.closed or self.held)
        if wanted is self._watched:
            return
        self._watched = wanted
        for fd in self.sockets:
            if wanted:
                self._poller.add(fd, READ, shared=True)
            else:
                self._poller.remove(fd)

    def accept(self, fd: int, room: int, now: float) -> Iterator[Accepted]:
        """Accept at most `room` connections at the listener `fd`; yields sockets and addresses."""
        listener = self.sockets[fd]
        for _ in range(min(room, BATCH)):
            try:
                with self._draining:
                    if self.left:
                        return
                    sock, address = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._pause_without_resources(error, now)
                    return
                continue  # the client has gone already: ECONNABORTED and its like
            accepted = self._set_up(sock, address)
            if accepted is not None:
                yield accepted

    def _set_up(self, sock: socket.socket, address: object) -> Accepted | None:
        sock.setblocking(False)
        if self._wrap is None and self.proxied is None:
            return sock, *addresses(sock, address)
        try:
            found = addresses(sock, address)
            if self.proxied is not None and self.proxied.expects_header(found[0]):
                return self.proxied.stream(sock, self._wrap), *found
            return (sock if self._wrap is None else self._wrap(sock)), *found
        except OSError:
            sock.close()  # the client has gone already
            return None

    def _pause_without_resources(self, error: OSError, now: float) -> None:
        if now >= self._warn_at:
            self._warn_at = now + 60.0
            log.error(
                "No connection can be accepted now: %s. Raise the limit on open files.",
                error.strerror,
            )
        self.pause(now)

    def pause(self, now: float) -> None:
        """Accept nothing until `resume`."""
        if not self.paused and not self.closed:
            self.paused = now
            self._watch()

    def resume(self) -> None:
        """Accept again, if paused."""
        if self.paused:
            self.paused = 0.0
            self._watch()

    def yield_to_others(self, now: float) -> None:
        """Leave the listeners to other workers until `take_part`."""
        self.yielded = now
        self._watch()

    def take_part(self) -> None:
        """Watch the listeners again, if they were left to other workers."""
        if self.yielded:
            self.yielded = 0.0
            self._watch()

    def can_accept(self) -> bool:
        """Whether connections can be accepted now."""
        return not (self.paused or self.closed)

    def close(self) -> None:
        """Stop accepting. The sockets themselves stay open."""
        self.paused = 0.0
        self.closed = True
        self._watch()

    # --- the end of our own listeners

    def drain(self, policy: ListenerPolicy) -> bool:
        """Accept all waiting connections, for `drained`; returns whether none is left.

        If so, nothing is accepted later, so that other processes get all new connections.

        From any thread: the leader may be busy inside a handler while the thread in `Engine.run`
        stops the engine. The lock lets the second of the two see the connections that the first has
        accepted.
        """
        done = True
        with self._draining:
            for listener in self.sockets.values():
                if not isinstance(listener, Listener) or listener.stored:
                    continue  # systemd's: connections that wait there are for the next process
                if policy is ListenerPolicy.CLOSE:
                    listener.refuse()
                if not self._accept_waiting(listener):
                    done = False
                elif policy is ListenerPolicy.CLOSE:
                    listener.end()
            self.left |= done
        return done

    def _accept_waiting(self, listener: socket.socket) -> bool:
        for _ in range(MOST_AT_THE_END):
            try:
                self._drained.append(listener.accept())
            except BlockingIOError:
                return True
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    return False
                if error.errno in _SHUT:
                    return True
        return True

    def drained(self) -> Iterator[Accepted]:
        """Connections that `drain` has accepted. Only for the leader."""
        while self._drained:
            accepted = self._set_up(*self._drained.popleft())
            if accepted is not None:
                yield accepted

    def close_drained(self) -> None:
        """Close the connections of `drained` that will not be served."""
        while self._drained:
            self._drained.popleft()[0].close()

    def close_sockets(self, policy: ListenerPolicy) -> None:
        """Close our own listeners in this process. Only for the leader, after `close`: the poller
        would watch a closed descriptor for as long as another process keeps it open."""
        for listener in self.sockets.values():
            if isinstance(listener, Listener):
                if policy is ListenerPolicy.CLOSE:
                    listener.remove_file()
                listener.close()


def addresses(
    sock: socket.socket, address: object
) -> tuple[tuple[str, int] | None, tuple[str, int | None]]:
    """Address and port of the client (None on a unix socket), and our own."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6) or not isinstance(address, tuple):
        return None, (str(sock.getsockname() or ""), None)
    # Inherited from the listener on Linux, not everywhere; without it, small responses wait.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return (plain(address[0]), address[1]), _own_address(*sock.getsockname()[:2])


@lru_cache(64)
def _own_address(host: str, port: int) -> tuple[str, int | None]:
    """The same tuple for all connections to one address."""
    return plain(host), port


def plain(host: str) -> str:
    """The IPv4 address inside an IPv4-mapped IPv6 one (RFC 4291, 2.5.5.2), or `host` itself."""
    return host[7:] if host.startswith("::ffff:") and "." in host else host


class ListenerShutdown:
    """A supervisor's part in a stop: it closes the port once its workers have taken what waits."""

    def __init__(self, sockets: Sequence[socket.socket] = ()) -> None:
        self._open = [each for each in sockets if isinstance(each, Listener) and not each.stored]
        self._until = float("inf")

    def begin(self, now: float) -> None:
        """Refuse new connections. Called before the workers are told to stop.

        Usually nothing waits, and the port is closed here. No client is left without a response.
        """
        self._until = now + DRAIN_TIMEOUT
        for listener in self._open:
            listener.refuse()
        self.look(now)

    def look(self, now: float) -> float | None:
        """Close listeners where nothing waits. Returns the seconds to the next check, if any."""
        if self._until == float("inf"):
            return None
        for listener in self._open[:]:
            if now >= self._until or listener.is_empty():
                listener.end()
                self._open.remove(listener)
        return DRAIN_INTERVAL if self._open else None


def _proxies(trust: Trust) -> ProxyProtocol:
    from carboy.server.proxy_stream import ProxyProtocol

    return ProxyProtocol(trust)
