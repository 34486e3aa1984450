"""A pool of connections for the threads of one process.

    thread       takes an idle connection, or makes one, or waits while all are in use
    after fork   the child forgets the connections of its parent, and makes its own

The lock is held only to take a connection out of the list or to put it back, never to connect.
Closing an inherited connection would end the parent's, so a child keeps the objects unused.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from carboy.shared.errors import EngineUnavailable

__all__ = ["Pool"]

C = TypeVar("C")


class Pool(Generic[C]):
    """At most `size` connections of each process."""

    def __init__(
        self,
        connect: Callable[[], C],
        close: Callable[[C], object],
        usable: Callable[[C], bool],
        size: int,
        patience: float,
    ) -> None:
        self._connect = connect
        self._close = close
        self._usable = usable
        self._size = size
        self._patience = patience  # seconds
        self._inherited: list[list[C]] = []
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._idle: list[C] = []
        self._made = 0

    @contextmanager
    def connection(self) -> Iterator[C]:
        """A connection that this thread may use. It is closed if it is not usable afterwards.

        Raises EngineUnavailable if all connections are in use for too long.
        """
        if self._pid != os.getpid():
            self._inherited.append(self._idle)
            self._begin()
        connection = self._take()
        try:
            yield connection
        finally:
            self._put(connection)

    def _take(self) -> C:
        with self._changed:
            if not self._changed.wait_for(
                lambda: self._idle or self._made < self._size, self._patience
            ):
                raise EngineUnavailable(
                    f"All {self._size} connections were in use for {self._patience:g} s."
                )
            found = self._idle.pop() if self._idle else None
            self._made += found is None
        try:
            if found is not None:
                if self._usable(found):
                    return found
                self._close(found)
            return self._connect()
        except BaseException:
            self._gone()
            raise

    def _put(self, connection: C) -> None:
        if not self._usable(connection):
            self._close(connection)
            self._gone()
            return
        with self._changed:
            self._idle.append(connection)
            self._changed.notify()

    def _gone(self) -> None:
        with self._changed:
            self._made -= 1
            self._changed.notify()

    def close(self) -> None:
        """Close the connections that are not in use."""
        with self._changed:
            idle, self._idle = self._idle, []
            self._made -= len(idle)
            self._changed.notify_all()
        for connection in idle:
            self._close(connection)
