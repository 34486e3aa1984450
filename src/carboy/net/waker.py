"""Wakes the engine from its poll, from any thread and from a signal handler."""

from __future__ import annotations

import os


class Waker:
    """A descriptor that becomes readable when a thread calls `wake`.

    With `pipe` it also becomes readable when single bytes are written to `writer`, as by
    signal.set_wakeup_fd. The default is an eventfd, which costs the kernel less.
    """

    def __init__(self, pipe: bool = False) -> None:
        if hasattr(os, "eventfd") and not pipe:
            self._read = self._write = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        else:
            self._read, self._write = os.pipe()
            os.set_blocking(self._read, False)
            os.set_blocking(self._write, False)
        self._woken = False

    def fileno(self) -> int:
        return self._read

    @property
    def writer(self) -> int:
        """The descriptor to write to."""
        return self._write

    def wake(self) -> None:
        """Make the descriptor readable; more calls before `clear` cost nothing."""
        if self._woken:
            return
        self._woken = True
        try:
            # An eventfd takes exactly eight bytes; a pipe takes any number.
            os.write(self._write, b"\1\0\0\0\0\0\0\0")
        except BlockingIOError:
            pass  # full of wake-ups that have not been read: the descriptor is readable
        except OSError:
            pass  # closed: there is no engine left to wake

    def clear(self) -> None:
        """Read the wake-ups. Work handed over before a `wake` can be seen after this."""
        # The flag is reset last. In the other order, a wake between the two would set the flag
        # and have its bytes read here, and no later wake would write. A wake before the reset
        # is skipped, but its work was handed over before, and the engine looks for work next.
        try:
            os.read(self._read, 512)
        except BlockingIOError:
            pass
        self._woken = False

    def close(self) -> None:
        """Close the descriptor. `wake` does nothing from now on."""
        self._woken = True  # another file may soon have the descriptor's number
        os.close(self._read)
        if self._write != self._read:
            os.close(self._write)


class SharedWaker(Waker):
    """A waker that several processes wake; one of them clears it."""

    def wake(self) -> None:
        # Only the process that clears knows whether the flag still holds.
        self._woken = False
        super().wake()
