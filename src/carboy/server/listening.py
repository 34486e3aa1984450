"""The listening sockets as the engine uses them: open, paused or closed for good."""

from __future__ import annotations

import errno
import logging
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from enum import IntEnum

from carboy.net.listener import Listener
from carboy.net.poller import READ, Poller
from carboy.net.stream import Stream
from carboy.server.settings import Settings

log = logging.getLogger("carboy.error")

RETRY = 0.02  # seconds of a pause, unless a connection is closed before
BATCH = 64  # accepted in one turn, so that a flood of connections does not starve those there are
# Most connections taken at the end. No more can wait, but while a worker is only replaced new ones
# come in as fast as they are taken.
FLOOD = 4096
# Seconds for workers to take the connections that wait, before the port is closed regardless:
# they need milliseconds, unless every one of them is stuck.
EMPTYING = 2.0
GLANCE = 0.005  # seconds between looks whether something still waits

Wrap = Callable[[socket.socket], Stream]
Accepted = tuple[Stream, tuple[str, int] | None, tuple[str, int | None]]

# No descriptor or memory left: accepting again at once would fail again at once.
_SHUT = {errno.EINVAL, errno.EBADF, errno.ENOTSOCK}
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class ListenerPolicy(IntEnum):
    """What a process that stops does with its listeners; a greater one overrides a smaller."""

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
        self.paused = 0.0  # monotonic seconds: since when; 0: open
        self.aside = 0.0  # since when the listeners are left to other workers; 0: they are not
        self.held = False  # paused or aside
        self._watched = False
        self.closed = False
        self._emptying = threading.Lock()  # held by the thread that takes what waits at the end
        self._waiting: deque[tuple[socket.socket, object]] = deque()  # taken, not yet welcomed
        self._complain_at = 0.0
        self._poller = poller
        self._wrap = wrap  # makes TLS streams of sockets; None: they are used as they are

    def open(self) -> None:
        """Begin to accept."""
        for listener in self.sockets.values():
            listener.setblocking(False)
        self._watch()

    def _watch(self) -> None:
        """Have the poller watch the listeners if nothing speaks against it."""
        self.held = bool(self.paused or self.aside) and not self.closed
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
        """What waits at the listener `fd`, at most `room`: sockets, the client's and own names."""
        listener = self.sockets[fd]
        for _ in range(min(room, BATCH)):
            try:
                sock, address = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._run_out(error, now)
                    return
                continue  # the client was gone before we came: ECONNABORTED and its like
            accepted = self._welcome(sock, address)
            if accepted is not None:
                yield accepted

    def _welcome(self, sock: socket.socket, address: object) -> Accepted | None:
        sock.setblocking(False)
        if self._wrap is None:
            return sock, *names(sock, address)
        try:
            found = names(sock, address)
            return self._wrap(sock), *found
        except OSError:
            sock.close()  # the client was gone before we could greet it
            return None

    def _run_out(self, error: OSError, now: float) -> None:
        if now >= self._complain_at:
            self._complain_at = now + 60.0
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

    def stand_back(self, now: float) -> None:
        """Leave the listeners to other workers until `come_forward`."""
        self.aside = now
        self._watch()

    def come_forward(self) -> None:
        """Stand back no longer."""
        if self.aside:
            self.aside = 0.0
            self._watch()

    def takes(self) -> bool:
        """Whether connections can be accepted now."""
        return not (self.paused or self.closed)

    def close(self) -> None:
        """Accept nothing any more; the sockets stay whose they are."""
        self.paused = 0.0
        self.closed = True
        self._watch()

    # --- the end of our own listeners

    def empty(self, port: ListenerPolicy) -> bool:
        """Take what waits at our own listeners, for `taken`; whether nothing waits any more.

        From any thread: the leader may be busy inside a handler, and nobody else would come. The
        lock makes who comes second see what the first has taken.
        """
        done = True
        with self._emptying:
            for listener in self.sockets.values():
                if not isinstance(listener, Listener):
                    continue  # systemd's: what waits there is for who comes after us
                if port is ListenerPolicy.CLOSE:
                    listener.refuse()
                if not self._take(listener):
                    done = False
                elif port is ListenerPolicy.CLOSE:
                    listener.end()
        return done

    def _take(self, listener: socket.socket) -> bool:
        for _ in range(FLOOD):
            try:
                self._waiting.append(listener.accept())
            except BlockingIOError:
                return True
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    return False
                if error.errno in _SHUT:
                    return True
        return True

    def taken(self) -> Iterator[Accepted]:
        """Connections that `empty` has taken. Only for the leader."""
        while self._waiting:
            accepted = self._welcome(*self._waiting.popleft())
            if accepted is not None:
                yield accepted

    def forget_taken(self) -> None:
        """Close those that nobody will serve any more."""
        while self._waiting:
            self._waiting.popleft()[0].close()

    def let_go(self, port: ListenerPolicy) -> None:
        """Close our own listeners, in this process. Only for the leader, once the door is closed:
        the poller would watch a closed descriptor for as long as another process holds it open."""
        for listener in self.sockets.values():
            if isinstance(listener, Listener):
                if port is ListenerPolicy.CLOSE:
                    listener.remove_file()
                listener.close()


def names(
    sock: socket.socket, address: object
) -> tuple[tuple[str, int] | None, tuple[str, int | None]]:
    """Address and port of the client (None on a unix socket), and our own."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6) or not isinstance(address, tuple):
        return None, (str(sock.getsockname() or ""), None)
    # Inherited from the listener on Linux, not everywhere; without it small answers wait.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    own = sock.getsockname()
    return (plain(address[0]), address[1]), (plain(own[0]), own[1])


def plain(host: str) -> str:
    """An IPv4 address that came in by an IPv6 socket, as what it is (RFC 4291, 2.5.5.2)."""
    return host[7:] if host.startswith("::ffff:") and "." in host else host


class ListenerShutdown:
    """A supervisor's part in the end: the port is closed once its workers took what waits."""

    def __init__(self, sockets: Sequence[socket.socket] = ()) -> None:
        self._open = [each for each in sockets if isinstance(each, Listener)]
        self._until = float("inf")

    def begin(self, now: float) -> None:
        """Let nothing new in. Before the workers are told to stop.

        Mostly nothing waits, and the port is closed here: no client is left without an answer.
        """
        self._until = now + EMPTYING
        for listener in self._open:
            listener.refuse()
        self.look(now)

    def look(self, now: float) -> float | None:
        """Close what is empty; seconds until the next look, or None when all is closed."""
        if self._until == float("inf"):
            return None
        for listener in self._open[:]:
            if now >= self._until or listener.is_empty():
                listener.end()
                self._open.remove(listener)
        return GLANCE if self._open else None
