"""The environment variables for child processes of a program in which flask is Carboy."""

from __future__ import annotations

import os
from pathlib import Path

from carboy.compat.child.carboy_names import NO, VARIABLE, YES

# The folder of the sitecustomize.py that Python runs when it starts.
FOLDER = str(Path(__file__).with_name("child"))


def asked_for() -> bool:
    """Whether the environment asks for the names."""
    return os.environ.get(VARIABLE, "").lower() in YES


def prepare(give: bool | None) -> None:
    """Set the variables: child processes have the names, or warn if they run the real flask.

    None leaves that to CARBOY_COMPAT; without it, child processes only warn.
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
