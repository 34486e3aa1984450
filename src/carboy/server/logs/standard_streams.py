"""sys.stdout and sys.stderr of a process that serves.

    print, traceback, logging, wsgi.errors ──▶ sys.stderr ──▶ Stream ──▶ channel ──▶ descriptor 2

A write to a pipe that is not read never returns, and the thread that writes may be the one that
answers a request. So both streams write to channels (server/logs/channel.py) while a server runs:
what the descriptor takes at once is written at once, and the rest waits while the application
continues.

A stream that the application or a test runner has set is left alone.
"""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

from carboy.server.logs.channel import Channel
from carboy.server.logs.output import STANDARD, Output


class Stream(io.BufferedIOBase):
    """The `buffer` of sys.stdout or sys.stderr: writes bytes to the newest open channel.

    Without an open channel it writes to the original stream: objects that the application made
    while a server ran may keep this stream.
    """

    def __init__(self, original: Any) -> None:
        self.original = original
        self.channels: list[Channel] = []
        self.mode = "wb"

    def write(self, data: Any) -> int:
        data = bytes(data)
        if channel := self._channel():
            channel.write(data)
        else:
            self.original.buffer.write(data)
            self.original.flush()
        return len(data)

    def flush(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file.")
        if channel := self._channel():
            channel.push()
        elif not self.original.closed:
            self.original.flush()

    def _channel(self) -> Channel | None:
        try:
            return self.channels[-1]
        except IndexError:
            return None

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return int(self.original.fileno())

    def isatty(self) -> bool:
        return bool(self.original.isatty())

    @property
    def name(self) -> str:
        return str(self.original.name)


_wrappers: dict[str, io.TextIOWrapper] = {}  # by name: "stdout", "stderr"


class StandardStreams:
    """Makes sys.stdout and sys.stderr write to channels until `close`.

    `channel` returns the channel of an output and its title.
    """

    def __init__(self, channel: Callable[[Output, str], Channel]) -> None:
        self._opened: list[tuple[str, io.TextIOWrapper, Channel]] = []
        for name, title in STANDARD.items():
            wrapper = _wrapper(name)
            if wrapper is None:
                continue
            opened = channel(Output(wrapper.fileno()), title)
            _stream(wrapper).channels.append(opened)
            self._opened.append((name, wrapper, opened))
            setattr(sys, name, wrapper)
            _move_handlers(_stream(wrapper).original, wrapper)

    def flush(self) -> None:
        """Pass on lines that are not complete."""
        for _, wrapper, _ in self._opened:
            try:
                wrapper.flush()
            except ValueError:
                pass  # the application has closed it

    def close(self) -> None:
        """Restore the original streams; call this when the channels are closed.

        A stream whose reader has stopped reading is not restored: writes at the end of the process
        would wait for the reader, and the process would not end.
        """
        for name, wrapper, channel in self._opened:
            stream = _stream(wrapper)
            if channel.stalled:
                continue
            stream.channels.remove(channel)
            if stream.channels:
                continue
            if getattr(sys, name) is wrapper:
                setattr(sys, name, stream.original)
            _move_handlers(wrapper, stream.original)
        self._opened.clear()


def _wrapper(name: str) -> io.TextIOWrapper | None:
    """The replacement of a standard stream; None if the application has set the stream."""
    current = getattr(sys, name)
    known = _wrappers.get(name)
    if known is not None and not known.closed and current in (known, _stream(known).original):
        return known
    if current is None or current is not getattr(sys, f"__{name}__"):
        return None
    if not isinstance(current, io.TextIOWrapper) or current.closed:
        return None
    try:
        current.fileno()
    except (OSError, ValueError):
        return None
    wrapper = io.TextIOWrapper(
        Stream(current),
        encoding=current.encoding,
        errors=current.errors,
        line_buffering=current.line_buffering,
        write_through=current.write_through,
    )
    vars(wrapper)["mode"] = getattr(current, "mode", "w")
    _wrappers[name] = wrapper
    return wrapper


def _stream(wrapper: io.TextIOWrapper) -> Stream:
    stream = wrapper.buffer
    assert isinstance(stream, Stream)
    return stream


def _move_handlers(old: Any, new: Any) -> None:
    """Make existing logging handlers of the stream `old` write to `new`."""
    for handler in _handlers():
        if getattr(handler, "stream", None) is old and hasattr(handler, "setStream"):
            handler.setStream(new)


def _handlers() -> Iterator[logging.Handler]:
    loggers = [logging.getLogger(), *list(logging.root.manager.loggerDict.values())]
    for logger in loggers:
        yield from list(getattr(logger, "handlers", ()))
