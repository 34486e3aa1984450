"""Messages that programs match have the key phrases and types of the real packages.

The table is in phrases/. Each row is run with the real packages, so that the table is right,
and with Carboy under their names. A phrase of a warning is its beginning, because
filters of warnings look there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

TOLD = Path(__file__).parent / "phrases" / "told.py"


class Told(NamedTuple):
    """A row of the table, with type and text of each message of its kind."""

    name: str
    phrase: str
    kind: str
    said: list[list[str]]

    def has_phrase(self) -> bool:
        """Whether a message has the phrase, a warning at its beginning."""
        if self.kind.endswith("Warning"):
            return any(text.startswith(self.phrase) for _, text in self.said)
        return any(self.phrase in text for _, text in self.said)


def told(side: str, folder: Path) -> list[Told]:
    folder.mkdir()
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("FLASK_", "CARBOY_"))}
    done = subprocess.run(
        [sys.executable, TOLD, side, folder],
        capture_output=True,
        text=True,
        check=False,
        env=clean,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return [Told(*row) for row in json.loads(done.stdout.splitlines()[-1])]


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> list[Told]:
    return told("flask", tmp_path_factory.mktemp("phrases") / "theirs")


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> list[Told]:
    return told("carboy", tmp_path_factory.mktemp("phrases") / "ours")


def test_the_phrases_are_those_of_the_real_packages(theirs: list[Told]) -> None:
    assert len({row.name for row in theirs}) == len(theirs) > 300
    assert [row for row in theirs if not row.has_phrase()] == []


def test_our_messages_have_the_same_phrases(ours: list[Told]) -> None:
    assert [row for row in ours if not row.has_phrase()] == []


def test_our_messages_have_the_same_types(theirs: list[Told], ours: list[Told]) -> None:
    def types(rows: list[Told]) -> dict[str, set[str]]:
        return {row.name: {kind for kind, text in row.said if row.phrase in text} for row in rows}

    assert types(ours) == types(theirs)
