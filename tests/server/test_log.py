from __future__ import annotations

import contextlib
import logging
import os
import select
import threading

import pytest

from carboy.server.log import WAITING, ErrorLog, Output, QueuedErrors, Writer, foreign_handlers


class Sink:
    """Renders what it is given as it is."""

    def __init__(self, output: Output) -> None:
        self.output = output

    def render(self, item: str) -> str:
        return item + "\n"


@pytest.fixture
def pipe():
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    yield reader, writer
    os.close(reader)
    os.close(writer)


def test_items_are_written_in_order_by_the_time_the_writer_is_closed(pipe) -> None:
    writer = Writer()
    sink = Sink(Output(pipe[1]))
    for number in range(1000):
        writer.put(sink, str(number))
    writer.close()
    assert os.read(pipe[0], 65536).decode().split() == [str(n) for n in range(1000)]


def test_a_full_pipe_blocks_neither_who_logs_nor_the_end(pipe) -> None:
    writer = Writer(Output(pipe[1]))
    sink = Sink(Output(pipe[1]))
    for _ in range(100):
        writer.put(sink, "x" * 4000)
    writer.close(timeout=0.05)
    assert os.read(pipe[0], 10) == b"x" * 10
    while writer._thread.is_alive():
        select.select([pipe[0]], [], [], 0.01)
        with contextlib.suppress(BlockingIOError):
            os.read(pipe[0], 65536)


def test_lines_that_find_no_room_are_counted_and_the_count_is_reported(pipe) -> None:
    writer = Writer(Output(pipe[1]))
    hold, held = threading.Event(), threading.Event()

    class Holding(Sink):
        def render(self, item: str) -> str:
            held.set()
            hold.wait()
            return ""

    writer.put(Holding(Output(pipe[1])), "")
    held.wait()
    sink = Sink(Output(os.open(os.devnull, os.O_WRONLY)))
    for _ in range(WAITING + 7):
        writer.put(sink, "x")
    assert writer.lost == 7
    hold.set()
    writer.close(60)
    os.close(sink.output.fd)
    assert b"7 log lines were lost" in os.read(pipe[0], 1000)


def test_an_item_that_cannot_be_rendered_does_not_end_the_log(pipe) -> None:
    writer = Writer()
    sink = Sink(Output(pipe[1]))
    writer.put(sink, None)
    writer.put(sink, "next")
    writer.close()
    lines = os.read(pipe[0], 1000).decode().splitlines()
    assert "could not be written" in lines[0]
    assert lines[1] == "next"


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the handlers that pytest attaches to the root logger."""
    monkeypatch.setattr("carboy.server.log.foreign_handlers", lambda logger: [])


@pytest.fixture
def error_log(pipe):
    writer = Writer(Output(pipe[1]))
    log = ErrorLog(QueuedErrors(writer))
    yield log, writer
    log.close()
    writer.close()


def test_errors_have_time_process_level_and_traceback(pipe, error_log, alone) -> None:
    log, writer = error_log
    try:
        raise KeyError("missing")
    except KeyError:
        logging.getLogger("carboy.error").exception("it broke at %s", "/x")
    writer.close()
    text = os.read(pipe[0], 65536).decode()
    assert f"[{os.getpid()}] ERROR it broke at /x" in text
    assert text.endswith("KeyError: 'missing'\n")


def test_control_characters_in_errors_are_escaped(pipe, error_log, alone) -> None:
    logging.getLogger("carboy.error").error("\x1b]0;title\x07 \x9b2J\r")
    error_log[1].close()
    assert rb"\x1b]0;title\x07 \x9b2J\x0d" in os.read(pipe[0], 1000)


def test_handlers_of_the_application_get_the_records_in_the_writer_thread(pipe, error_log) -> None:
    seen: list[tuple[str, str]] = []

    class Mine(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append((record.getMessage(), threading.current_thread().name))

    mine = Mine(logging.ERROR)
    logging.getLogger("carboy").addHandler(mine)
    try:
        logging.getLogger("carboy.error").error("one")
        logging.getLogger("carboy.error").info("below its level")
        error_log[1].close()
    finally:
        logging.getLogger("carboy").removeHandler(mine)
    assert seen == [("one", "carboy-log")]
    with pytest.raises(BlockingIOError):
        os.read(pipe[0], 1)


def test_the_logger_is_an_ordinary_one_again_when_the_log_is_closed() -> None:
    logger = logging.getLogger("carboy.error")
    writer = Writer()
    first, second = ErrorLog(QueuedErrors(writer)), ErrorLog(QueuedErrors(writer))
    first.close()
    assert not logger.propagate
    second.close()
    writer.close()
    assert logger.propagate
    assert logger.level == logging.NOTSET
    assert foreign_handlers(logger) == logger.handlers + logging.getLogger().handlers
