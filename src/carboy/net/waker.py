"""Waking the engine out of its poll, from any thread and from a signal handler."""

from __future__ import annotations

import os


class Waker:
    """A descriptor that becomes readable when somebody calls `wake`.

    With `octets` others may ring too, by writing single octets to `writer` as
    signal.set_wakeup_fd does; the default takes less of the kernel.
    """

    def __init__(self, octets: bool = False) -> None:
        if hasattr(os, "eventfd") and not octets:
            self._read = self._write = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        else:
            self._read, self._write = os.pipe()
            os.set_blocking(self._read, False)
            os.set_blocking(self._write, False)
        self._rung = False

    def fileno(self) -> int:
        return self._read

    @property
    def writer(self) -> int:
        """The end that makes it readable."""
        return self._write

    def wake(self) -> None:
        """Make the descriptor readable; calls before it is read again cost nothing."""
        if self._rung:
            return
        self._rung = True
        try:
            # Eight octets are what an eventfd takes; to a pipe any number will do.
            os.write(self._write, b"\1\0\0\0\0\0\0\0")
        except BlockingIOError:
            pass  # full of wake-ups nobody has read yet: it is readable
        except OSError:
            pass  # closed: nobody is left to wake

    def clear(self) -> None:
        """Read what was written. Work handed over before the matching `wake` is visible after."""
        # The flag goes last: with the other order a wake in between would have its octets read
        # here and its flag stand for ever. A wake before the flag falls is skipped, but its work
        # was handed over before, and who clears looks for work afterwards.
        try:
            os.read(self._read, 512)
        except BlockingIOError:
            pass
        self._rung = False

    def close(self) -> None:
        """Let go of the descriptor; waking does nothing from now on."""
        self._rung = True  # its number may soon be somebody else's
        os.close(self._read)
        if self._write != self._read:
            os.close(self._write)


class SharedWaker(Waker):
    """A waker that several processes may ring; one of them clears it."""

    def wake(self) -> None:
        # Whether it has been rung and not cleared since, another process knows.
        self._rung = False
        super().wake()
