"""Which sockets are ready: epoll on Linux, the standard library's selectors elsewhere.

Both report READ and WRITE. Only epoll reports that a client has ended its side without reading
what it sent before (HANGUP), and a reset of a socket that is watched for nothing else (RESET).
"""

from __future__ import annotations

import select
import selectors
from collections.abc import Callable
from typing import Protocol

READ = 1  # EPOLLIN
WRITE = 4  # EPOLLOUT
HANGUP = 0x2000  # EPOLLRDHUP: the client sends no more
RESET = 1 << 31  # EPOLLET: nothing but errors, which epoll always reports; each of them once

Ready = list[tuple[int, int]]


class Poller(Protocol):
    """Readiness of file descriptors; `wait` returns pairs (descriptor, flags).

    Flags other than READ, WRITE and HANGUP mean that the peer is gone or the socket is broken.
    """

    wait: Callable[[float], Ready]  # seconds; -1: until a descriptor is ready
    reports_hangup: bool  # whether HANGUP and RESET are known; they are ignored if not

    def add(self, fd: int, flags: int, shared: bool = False) -> None:
        """Watch `fd`. `shared`: other processes watch it too, and waking one of them is enough."""
        ...

    def change(self, fd: int, flags: int) -> None: ...

    def remove(self, fd: int) -> None: ...

    def close(self) -> None: ...

    def fileno(self) -> int:
        """A descriptor that is readable when one of those that are watched is ready."""
        ...


def is_ready(fd: int, flag: int = READ, seconds: float = 0.0) -> bool:
    """Whether `fd` becomes readable (or, with WRITE, writable) within `seconds`.

    `fd` may exceed FD_SETSIZE where there is poll(2).
    """
    if not hasattr(select, "poll"):
        reading, writing = ([fd], []) if flag == READ else ([], [fd])
        return any(select.select(reading, writing, [], seconds))
    poll = select.poll()
    poll.register(fd, select.POLLIN if flag == READ else select.POLLOUT)
    return bool(poll.poll(seconds * 1000))


class EpollPoller:
    """Linux's epoll, level-triggered."""

    reports_hangup = True

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self.wait: Callable[[float], Ready] = self._epoll.poll
        self.change = self._epoll.modify
        self.close = self._epoll.close
        self.fileno = self._epoll.fileno

    def add(self, fd: int, flags: int, shared: bool = False) -> None:
        if shared:
            # Without it, every worker wakes for each connection and all but one find nothing.
            flags |= select.EPOLLEXCLUSIVE
        self._epoll.register(fd, flags)

    def remove(self, fd: int) -> None:
        try:
            self._epoll.unregister(fd)
        except OSError:
            pass  # closed by another thread meanwhile: the kernel has removed it already


class SelectorPoller:
    """The best of kqueue, poll and select that the platform has."""

    reports_hangup = False

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self.wait: Callable[[float], Ready] = self._wait
        self.close = self._selector.close

    def fileno(self) -> int:
        # kqueue and /dev/poll have a descriptor, poll and select have none.
        return int(self._selector.fileno())

    def add(self, fd: int, flags: int, shared: bool = False) -> None:
        if known := _selector_flags(flags):
            self._selector.register(fd, known)

    def change(self, fd: int, flags: int) -> None:
        known = _selector_flags(flags)
        if not known:
            self.remove(fd)
        elif fd in self._selector.get_map():
            self._selector.modify(fd, known)
        else:
            self._selector.register(fd, known)

    def remove(self, fd: int) -> None:
        try:
            self._selector.unregister(fd)
        except (KeyError, OSError):
            pass

    def _wait(self, timeout: float) -> Ready:
        if not self._selector.get_map():
            # Some platforms refuse select() without descriptors; the engine always has a waker.
            return []
        ready = self._selector.select(None if timeout < 0 else timeout)
        return [
            (
                key.fd,
                (READ if flags & selectors.EVENT_READ else 0)
                | (WRITE if flags & selectors.EVENT_WRITE else 0),
            )
            for key, flags in ready
        ]


def _selector_flags(flags: int) -> int:
    return (selectors.EVENT_READ if flags & READ else 0) | (
        selectors.EVENT_WRITE if flags & WRITE else 0
    )


def make_poller(name: str = "auto") -> Poller:
    """The poller with this name: "epoll", "selectors", or "auto" for the best available."""
    if name == "selectors" or (name == "auto" and not hasattr(select, "epoll")):
        return SelectorPoller()
    if not hasattr(select, "epoll"):
        raise ValueError('This system has no epoll. Set poller to "auto" or "selectors".')
    return EpollPoller()
