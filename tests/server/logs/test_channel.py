"""Lines for an output that is slow, full, stalled or gone."""

from __future__ import annotations

import os
import resource
import select
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from carboy.server.logs.channel import Channel
from carboy.server.logs.output import LogFile, Output
from carboy.server.logs.writer import LostLines, Writer
from live_engine import eventually
from running import PATIENCE, in_a_fresh_process


@pytest.fixture
def pipe():
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)
    os.close(writer)


def read_all(fd: int) -> bytes:
    """The bytes in a pipe."""
    found = b""
    while select.select([fd], [], [], 0)[0]:
        piece = os.read(fd, 65536)
        if not piece:
            break
        found += piece
    return found


def read_until(fd: int, done: Callable[[bytes], bool]) -> bytes:
    found = b""
    while not done(found):
        assert select.select([fd], [], [], PATIENCE)[0], f"nothing came after {found[-200:]!r}"
        found += os.read(fd, 65536)
    return found


def fill(fd: int) -> None:
    """Fill a pipe."""
    os.set_blocking(fd, False)
    try:
        while True:
            os.write(fd, b"-" * 4095 + b"\n")
    except BlockingIOError:
        pass
    os.set_blocking(fd, True)


def closed(channel: Channel, seconds: float = PATIENCE) -> None:
    channel.close(time.monotonic() + seconds)


def drain(channel: Channel, fd: int) -> bytes:
    """Read until the writer thread has ended."""
    found = b""
    thread = channel._thread
    end = time.monotonic() + PATIENCE
    while thread is not None and thread.is_alive():
        assert time.monotonic() < end, "the writer thread does not end"
        select.select([fd], [], [], 0.01)
        found += read_all(fd)
    return found + read_all(fd)


def test_lines_are_written_in_order_by_the_time_the_channel_is_closed(pipe) -> None:
    channel = Channel(Output(pipe[1]), "the pipe")
    for number in range(1000):
        channel.put(b"%d\n" % number)
    closed(channel)
    assert read_all(pipe[0]).split() == [b"%d" % n for n in range(1000)]


def test_lines_of_many_threads_are_whole_and_in_the_order_of_each(pipe) -> None:
    channel = Channel(Output(pipe[1]), "the pipe")

    def work(name: int) -> None:
        for number in range(200):
            (channel.put if number % 3 else channel.write)(b"%d %d\n" % (name, number))

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    lines = read_until(pipe[0], lambda found: found.count(b"\n") == 1600).splitlines()
    for name in range(8):
        mine = [line.split()[1] for line in lines if line.split()[0] == b"%d" % name]
        assert mine == [b"%d" % n for n in range(200)]
    for thread in threads:
        thread.join(PATIENCE)
    closed(channel)


def test_write_has_written_when_it_returns_if_the_output_takes_it(pipe) -> None:
    channel = Channel(Output(pipe[1]), "the pipe")
    channel.write(b"now\n")
    assert read_all(pipe[0]) == b"now\n"
    assert channel._thread is None
    closed(channel)


@pytest.mark.parametrize("way", ["put", "write"])
def test_a_reader_that_stops_reading_blocks_neither_the_author_nor_the_end(pipe, way: str) -> None:
    channel = Channel(Output(pipe[1]), "the pipe")
    for number in range(100):
        getattr(channel, way)(b"%04d" % number + b"x" * 3995 + b"\n")
    closed(channel, 0.05)
    assert channel.stalled
    assert channel.lost > 0
    found = drain(channel, pipe[0])
    numbers = [int(line[:4]) for line in found.splitlines()]
    assert numbers == list(range(len(numbers)))  # in order and without a gap


def test_a_reader_that_reads_again_gets_every_line_that_had_room(pipe) -> None:
    channel = Channel(Output(pipe[1]), "the pipe")
    lines = [b"%06d " % number + b"x" * 200 + b"\n" for number in range(2000)]
    for line in lines:
        channel.write(line)
    found = read_until(pipe[0], lambda found: found.count(b"\n") == 2000)
    assert found == b"".join(lines)
    closed(channel)
    assert not channel.lost


def test_waiting_lines_are_bounded_by_bytes_and_lost_lines_are_counted(pipe) -> None:
    fill(pipe[1])
    channel = Channel(Output(pipe[1]), "the pipe", limit=100_000)
    for _ in range(500):
        channel.put(b"x" * 999 + b"\n")
    assert 400 <= channel.lost < 500
    assert channel._size + channel._in_hand <= 100_000
    lost = channel.lost
    for _ in range(500):
        channel.put(b"")  # an empty line takes memory, too
        channel.put(b"\n")
    assert channel._size + channel._in_hand <= 100_000
    assert channel.lost > lost
    closed(channel, 0)
    drain(channel, pipe[0])


def test_lost_lines_are_reported_by_the_channel_for_errors(pipe) -> None:
    errors_reader, errors_writer = os.pipe()
    writer = Writer(Output(errors_writer))
    fill(pipe[1])
    channel = writer.channel(Output(pipe[1]), "standard output")
    channel.limit = 10_000
    for _ in range(50):
        channel.put(b"x" * 999 + b"\n")
    note = read_until(errors_reader, lambda found: b"\n" in found).decode()
    assert " log lines were lost (standard output): they were not read in time.\n" in note
    count = int(note.split()[1])
    for _ in range(7):
        channel.put(b"x" * 9999 + b"\n")
    writer.close(0.5)
    final = read_all(errors_reader).decode()  # with the lines that were never written
    assert count + int(final.split()[1]) == writer.lost == 57
    drain(channel, pipe[0])
    for fd in (errors_reader, errors_writer):
        os.close(fd)


def test_a_note_that_cannot_be_written_is_written_later(
    pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carboy.server.logs.writer.NOTE_DELAY", 0)
    monkeypatch.setattr("carboy.server.logs.writer.NOTE_INTERVAL", 0.001)
    full = os.open("/dev/full", os.O_WRONLY)
    channel = Channel(Output(full), "standard error")
    LostLines(channel)
    noted = threading.Semaphore(0)
    note, channel.note = channel.note, lambda data: (noted.release(), note(data))[1]
    channel.put(b"one\n")
    for _ in range(3):
        assert noted.acquire(timeout=PATIENCE)
    assert channel.lost == 1
    os.dup2(pipe[1], full)
    text = b"carboy: 1 log line was lost (standard error): No space left on device.\n"
    assert read_until(pipe[0], lambda found: b"\n" in found) == text
    closed(channel)
    assert not channel.lost
    os.close(full)


def test_outputs_to_the_same_place_share_a_channel(pipe) -> None:
    writer = Writer(Output(pipe[1]))
    again = os.dup(pipe[1])
    assert writer.channel(Output(again), "standard output") is writer.errors
    writer.close()
    os.close(again)


def test_a_writer_closes_within_its_time_although_every_output_is_stalled(pipe) -> None:
    fill(pipe[1])
    other_reader, other_writer = os.pipe()
    fill(other_writer)
    writer = Writer(Output(pipe[1]))
    channel = writer.channel(Output(other_writer), "standard output")
    channel.put(b"x\n")
    writer.errors.put(b"y\n")
    ended = threading.Event()

    def close() -> None:
        writer.close(0.2)
        ended.set()

    threading.Thread(target=close).start()
    assert ended.wait(PATIENCE)
    assert channel.stalled and writer.errors.stalled
    writer.errors.write(b"afterwards\n")  # waits for a short time, once
    drain(writer.errors, pipe[0])
    drain(channel, other_reader)
    os.close(other_reader)
    os.close(other_writer)


def test_a_channel_without_a_thread_keeps_the_rest_until_the_next_line(pipe) -> None:
    channel = Channel(Output(pipe[1]), "the pipe", threaded=False)
    fill(pipe[1])
    channel.put(b"first\n")
    assert channel._thread is None
    read_all(pipe[0])
    channel.put(b"second\n")
    assert read_all(pipe[0]) == b"first\nsecond\n"
    closed(channel)


def test_lines_are_written_by_their_author_when_no_thread_can_be_made(
    pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    channel = Channel(Output(pipe[1]), "the pipe")
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        channel.put(b"one\n")
    assert read_all(pipe[0]) == b"one\n"
    channel.put(b"two\n")
    assert read_until(pipe[0], lambda found: b"\n" in found) == b"two\n"
    closed(channel)


@in_a_fresh_process
def test_a_forked_process_writes_only_its_own_lines_at_once() -> None:
    reader, writer = os.pipe()
    fill(writer)
    channel = Channel(Output(writer), "the pipe")
    channel.put(b"of the original\n")
    pid = os.fork()
    if pid == 0:
        channel.put(b"of the copy\n")
        channel.write(b"of the copy\n")
        os._exit(0)
    found = read_until(reader, lambda found: found.count(b"copy\n") == 2)
    os.waitpid(pid, 0)
    closed(channel)
    found += read_all(reader)
    assert found.count(b"of the original\n") == 1


@in_a_fresh_process
def test_a_signal_handler_may_log_in_the_middle_of_logging() -> None:
    reader, writer = os.pipe()
    channel = Channel(Output(writer), "the pipe")
    signal.signal(signal.SIGALRM, lambda number, frame: channel.write(b"alarm\n"))
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    found = []
    thread = threading.Thread(
        target=lambda: found.append(read_until(reader, lambda f: f.endswith(b"end\n")))
    )
    thread.start()
    for number in range(3000):
        (channel.put if number % 2 else channel.write)(b"line %d\n" % number)
    signal.setitimer(signal.ITIMER_REAL, 0)
    channel.write(b"end\n")
    thread.join(PATIENCE)
    closed(channel)
    lines = found[0].splitlines()
    assert [line for line in lines if line.startswith(b"line")] == (
        [b"line %d" % n for n in range(3000)]
    )


# --- disks that are full


class Limited:
    """Files of this process may not grow beyond a size, as if the disk were full."""

    def __enter__(self) -> Limited:
        self.before = resource.getrlimit(resource.RLIMIT_FSIZE)
        return self

    def at(self, size: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, self.before[1]))

    def __exit__(self, *exc: object) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self.before)


@in_a_fresh_process
def test_a_line_cut_by_a_full_disk_is_ended_before_the_next(tmp_path: Path) -> None:
    channel = Channel(LogFile(str(tmp_path / "log")), "log")
    with Limited() as disk:
        disk.at(25)
        for number in range(5):
            channel.write(b"line %d\n" % number)  # 7 bytes each: the fourth is cut
        disk.at(1000)
        channel.write(b"line 5\n")
    closed(channel)
    lines = (tmp_path / "log").read_bytes().splitlines()
    assert lines == [b"line 0", b"line 1", b"line 2", b"line", b"line 5"]
    assert channel.lost == 2
    channel.output.close()


@in_a_fresh_process
def test_a_line_that_another_worker_could_not_finish_is_ended_before_ours(tmp_path: Path) -> None:
    first = Channel(LogFile(str(tmp_path / "log")), "log")
    second = Channel(LogFile(str(tmp_path / "log")), "log")
    with Limited() as disk:
        disk.at(10)
        first.write(b"line 0\n")
        first.write(b"line 1\n")
        disk.at(1000)
        second.write(b"line 2\n")
        first.write(b"line 3\n")
    closed(first)
    closed(second)
    lines = (tmp_path / "log").read_bytes().splitlines()
    assert [line for line in lines if line] == [b"line 0", b"lin", b"line 2", b"line 3"]
    for each in (first, second):
        each.output.close()


@in_a_fresh_process
def test_standard_output_on_a_full_disk_begins_a_new_line_too(tmp_path: Path) -> None:
    fd = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    channel = Channel(Output(fd), "standard output")
    with Limited() as disk:
        disk.at(10)
        for number in range(2):
            channel.write(b"line %d\n" % number)
        disk.at(1000)
        channel.write(b"line 2\n")
    closed(channel)
    assert (tmp_path / "log").read_bytes() == b"line 0\nlin\nline 2\n"


# --- log files that are moved away


def test_a_file_moved_away_is_opened_again_at_once_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "log"
    writer = Writer()
    channel = writer.channel(LogFile(str(path)), "log")
    channel.put(b"before\n")
    eventually(path.read_bytes)
    path.rename(tmp_path / "log.1")
    writer.reopen()  # works without a line, too
    eventually(path.exists)
    channel.put(b"after\n")
    writer.close(PATIENCE)
    assert (tmp_path / "log.1").read_bytes() == b"before\n"
    assert path.read_bytes() == b"after\n"
    channel.output.close()


def test_a_file_that_cannot_be_opened_again_is_reported_and_the_old_file_takes_the_lines(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    channel = Channel(LogFile(str(folder / "log")), "the access log")
    folder.rename(tmp_path / "moved")
    channel.reopen()
    channel.put(b"after\n")
    closed(channel)
    assert (tmp_path / "moved" / "log").read_bytes() == b"after\n"
    assert "the access log cannot be opened again: No such file or directory" in caplog.text
    channel.output.close()
