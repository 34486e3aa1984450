"""The file in which the progress of the course is kept."""

from __future__ import annotations

import json
import os
from pathlib import Path

from carboy.dev.learn.assessment import Progress
from carboy.net.certificates import data_folder

NAME = "learn.json"
LOST = "Your progress is not kept."


class ProgressFile:
    """Reads and writes the file. A folder that cannot be written is reported once."""

    def __init__(self, folder: Path | None = None) -> None:
        self.path = (folder or data_folder()) / NAME
        self._problem = ""
        self._reported = False

    def read(self) -> Progress:
        """The saved progress; that of a beginner if there is none, or if it cannot be read."""
        try:
            return self._saved()
        except OSError as problem:
            self._problem = f"{self.path} cannot be read: {problem.strerror}. {LOST}"
        return Progress()

    def _saved(self) -> Progress:
        """The progress in the file. Raises OSError."""
        try:
            return Progress.of(json.loads(self.path.read_text("utf-8")))
        except FileNotFoundError:
            pass
        except ValueError:
            self._problem = f"{self.path} is damaged. The course begins again."
        return Progress()

    def write(self, progress: Progress) -> bool:
        """Save the progress; returns whether that was possible."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            progress.add(self._saved())  # another course may be open
            new = self.path.with_name(f"{NAME}.{os.getpid()}")
            new.write_text(json.dumps(progress.to_save(), indent=1) + "\n", "utf-8")
            new.replace(self.path)
        except OSError as problem:
            self._problem = f"{self.path} cannot be written: {problem.strerror}. {LOST}"
            return False
        return True

    def forget(self) -> bool:
        """Delete the file; returns whether there was one. Raises OSError."""
        try:
            self.path.unlink()
        except FileNotFoundError:
            return False
        return True

    def problem(self) -> str:
        """The problem with the file, once; "" if there is none, or it has been reported."""
        if self._reported or not self._problem:
            return ""
        self._reported = True
        return self._problem
