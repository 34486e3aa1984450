from __future__ import annotations

import logging
import os
import threading

import pytest

from carboy.server.logs.error_log import ErrorLog, QueuedErrorHandler, foreign_handlers
from carboy.server.logs.output import Output
from carboy.server.logs.writer import Writer
from running import PATIENCE


@pytest.fixture
def pipe():
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    yield reader, writer
    os.close(reader)
    os.close(writer)


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the handlers that pytest attaches to the root logger."""
    monkeypatch.setattr("carboy.server.logs.error_log.foreign_handlers", lambda name: [])


@pytest.fixture
def error_log(pipe):
    writer = Writer(Output(pipe[1]))
    log = ErrorLog(QueuedErrorHandler(writer))
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


def test_a_record_that_cannot_be_formatted_does_not_end_the_log(pipe, error_log, alone) -> None:
    logging.getLogger("carboy.error").error("%d", "text")
    logging.getLogger("carboy.error").error("next")
    error_log[1].close()
    lines = os.read(pipe[0], 1000).decode().splitlines()
    assert "could not be written" in lines[0]
    assert lines[1].endswith("next")


class Mine(logging.Handler):
    """Records the messages it gets, and in which thread."""

    def __init__(self, level: int = logging.ERROR) -> None:
        super().__init__(level)
        self.seen: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append((record.getMessage(), threading.current_thread().name))


@pytest.mark.parametrize("name", ["carboy.error", "carboy"])
def test_a_handler_of_the_application_gets_each_record_once_in_another_thread(
    pipe, error_log, name: str
) -> None:
    mine = Mine()
    logging.getLogger(name).addHandler(mine)
    try:
        logging.getLogger("carboy.error").error("number %d", 1)
        logging.getLogger("carboy.error").info("below its level")
        error_log[1].close()
    finally:
        logging.getLogger(name).removeHandler(mine)
    assert mine.seen == [("number 1", "carboy-log-handlers")]
    with pytest.raises(BlockingIOError):
        os.read(pipe[0], 1)


@pytest.mark.parametrize("name", ["carboy.error.below", "carboy.error", "carboy"])
def test_a_handler_gets_records_of_a_child_logger_once(pipe, error_log, name: str) -> None:
    mine = Mine()
    logging.getLogger(name).addHandler(mine)
    try:
        logging.getLogger("carboy.error.below").error("one")
        error_log[1].close()
    finally:
        logging.getLogger(name).removeHandler(mine)
    assert [text for text, _ in mine.seen] == ["one"]


def test_a_handler_that_fails_is_reported_and_does_not_end_the_log(pipe, error_log) -> None:
    class Failing(Mine):
        def emit(self, record: logging.LogRecord) -> None:
            super().emit(record)
            if record.msg == "first":
                raise RuntimeError("no network")

    mine = Failing()
    logging.getLogger("carboy").addHandler(mine)
    try:
        logging.getLogger("carboy.error").error("first")
        logging.getLogger("carboy.error").error("second")
        error_log[1].close()
    finally:
        logging.getLogger("carboy").removeHandler(mine)
    assert [text for text, _ in mine.seen] == ["first", "second"]
    assert b"could not be written: RuntimeError('no network')" in os.read(pipe[0], 1000)


def test_a_handler_that_never_returns_blocks_no_thread_and_lost_lines_are_counted(
    pipe, error_log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carboy.server.logs.handler_queue.WAITING", 10_000)
    hold, held = threading.Event(), threading.Event()

    class Stuck(Mine):
        def emit(self, record: logging.LogRecord) -> None:
            held.set()
            hold.wait(PATIENCE)

    stuck = Stuck()
    logging.getLogger("carboy").addHandler(stuck)
    try:
        for _ in range(50):
            logging.getLogger("carboy.error").error("x" * 1000)
        held.wait(PATIENCE)
        error_log[1].close(0.1)
    finally:
        hold.set()
        logging.getLogger("carboy").removeHandler(stuck)
    note = os.read(pipe[0], 1000)
    assert b"log lines were lost (standard error): the handlers of the logger are too slow" in note


def test_the_logger_is_an_ordinary_one_again_when_the_log_is_closed() -> None:
    logger = logging.getLogger("carboy.error")
    writer = Writer()
    first, second = ErrorLog(QueuedErrorHandler(writer)), ErrorLog(QueuedErrorHandler(writer))
    first.close()
    assert not logger.propagate
    second.close()
    writer.close()
    assert logger.propagate
    assert "callHandlers" not in vars(logger)
    assert logger.level == logging.NOTSET


def test_two_servers_in_one_process_write_a_record_once(pipe, error_log, alone) -> None:
    other = Writer(Output(pipe[1]))
    log = ErrorLog(QueuedErrorHandler(other))
    logging.getLogger("carboy.error").error("one")
    log.close()
    other.close()
    error_log[1].close()
    assert os.read(pipe[0], 1000).count(b"one") == 1


def test_the_applications_handlers_are_those_of_the_logger_and_its_parents() -> None:
    assert foreign_handlers("carboy.error") == logging.getLogger().handlers


@pytest.mark.parametrize("name", ["carboy", ""])
def test_a_later_configuration_of_logging_does_not_end_the_log(pipe, error_log, name: str) -> None:
    mine = Mine()
    logging.getLogger(name).addHandler(mine)
    try:
        # as logging.config does with the child loggers of one that it sets up
        logger = logging.getLogger("carboy.error")
        logger.handlers, logger.propagate = [], True
        logger.error("one")
        error_log[1].close()
    finally:
        logging.getLogger(name).removeHandler(mine)
    assert mine.seen == [("one", "carboy-log-handlers")]


def test_a_disabled_logger_is_enabled() -> None:
    logger = logging.getLogger("carboy.error")
    logger.disabled = True
    writer = Writer()
    log = ErrorLog(QueuedErrorHandler(writer))
    assert not logger.disabled
    log.close()
    writer.close()


def test_threads_that_log_do_not_deadlock(pipe, error_log, alone) -> None:
    def work() -> None:
        logging.getLogger("carboy.error").error("one")

    for _ in range(3):  # one after the other
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(PATIENCE)
        assert not thread.is_alive()
    error_log[1].close()
    assert os.read(pipe[0], 1000).count(b"one") == 3
