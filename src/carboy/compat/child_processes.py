"""The child processes of a program in which flask is Carboy: what they inherit."""

from __future__ import annotations

import os
from pathlib import Path

from carboy.compat.child.carboy_names import NO, VARIABLE, YES

# Python runs the sitecustomize.py in it.
FOLDER = str(Path(__file__).with_name("child"))


def asked_for() -> bool:
    """Whether the environment asks for Carboy's names."""
    return os.environ.get(VARIABLE, "").lower() in YES


def prepare(give: bool | None) -> None:
    """Let children have the names too, or say so when they run the real flask.

    None leaves it to CARBOY_COMPAT; without that, children only say it.
    """
    if give is None and os.environ.get(VARIABLE, "").lower() in NO:
        return
    if give is not None:
        os.environ[VARIABLE] = "1" if give else "0"
    else:
        os.environ.setdefault(VARIABLE, "warn")
    if give is not False:
        paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        rest = [path for path in paths if path and path != FOLDER]
        os.environ["PYTHONPATH"] = os.pathsep.join([FOLDER, *rest])
