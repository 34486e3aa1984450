"""The recorder of a value does not disturb the application that it watches."""

import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from carboy.dev.explain import value_recorder
from carboy.dev.explain.value_recorder import ValueRecorder


@pytest.mark.parametrize("error", [ValueError("broken"), RecursionError()])
def test_an_exception_of_the_recorder_is_not_raised_in_the_application(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> bool:
        raise error

    recorder = ValueRecorder([], 0, tmp_path)
    recorder._active = True
    monkeypatch.setattr(value_recorder.value_frames, "is_traced", fail)
    frame: FrameType = sys._getframe()
    assert recorder.trace(frame, "call", None) is None
    assert recorder._is_over() is isinstance(error, ValueError)


def test_an_exception_that_stops_the_program_is_raised(tmp_path: Path) -> None:
    recorder = ValueRecorder([], 0, tmp_path)

    def stopped(*args: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recorder._guarded(stopped, sys._getframe(), "call", None)
