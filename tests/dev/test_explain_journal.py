"""The file of a recording that survives its process."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from carboy.dev.explain import journal
from carboy.dev.explain.journal import Journal

Opener = Callable[[Path], Journal]


@pytest.fixture
def open_journal() -> Iterator[Opener]:
    with ExitStack() as stack:

        def made(folder: Path) -> Journal:
            journal = Journal(folder, 7)
            stack.callback(journal.close)
            return journal

        yield made


def test_records_that_fill_many_pieces_are_read(tmp_path: Path, open_journal: Opener) -> None:
    made = open_journal(tmp_path)
    names = [f"thread {number} {'x' * 5000}" for number in range(100)]
    for name in names:
        made.write("t", name)
    assert sum(map(len, names)) > journal.PIECE
    assert journal.read(tmp_path / "7.journal").threads == names


def test_a_disk_that_is_full_takes_no_more(
    tmp_path: Path, open_journal: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = open_journal(tmp_path)
    made.write("t", "first")

    class Full:
        def seek(self, place: int) -> None:
            pass

        def close(self) -> None:
            file.close()

        def write(self, data: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    full: Any = Full()
    file = made._file
    monkeypatch.setattr(made, "_file", full)
    for _ in range(200):
        made.write("t", "x" * 5000)
    found = journal.read(tmp_path / "7.journal").threads
    assert found[0] == "first"
    assert 1 < len(found) < 200


def test_a_file_that_is_full_takes_no_more(
    tmp_path: Path, open_journal: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "SIZE", journal.PIECE)
    made = open_journal(tmp_path)
    for _ in range(200):
        made.write("t", "x" * 5000)
    assert 1 < len(journal.read(tmp_path / "7.journal").threads) < 200
