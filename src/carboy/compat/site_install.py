"""Installs the names for every Python process of an environment, and removes them."""

from __future__ import annotations

import os
import sys
import sysconfig
from importlib.machinery import PathFinder
from pathlib import Path

from carboy.compat.child_processes import FOLDER

MARK = "# Written by python -m carboy.compat --install"
COMMAND = f"""#!{sys.executable}
{MARK}
import sys

from carboy.compat import install

install()

from carboy.cli.flask import main

sys.exit(main())
"""
# One line, which the site module executes. It does nothing if Carboy is uninstalled.
START = (
    f"import os, sys; p = {FOLDER!r};"
    " os.path.isdir(p) and (sys.path.append(p), __import__('carboy_names').start(alone=True),"
    " sys.path.remove(p))\n"
)


def start_file() -> Path:
    """The .pth file, which Python reads when it starts."""
    return Path(sysconfig.get_path("purelib")) / "carboy-compat.pth"


def command_file() -> Path:
    """The `flask` command."""
    return Path(sysconfig.get_path("scripts")) / "flask"


def install() -> list[str]:
    """Write both files; returns a line about each."""
    start_file().write_text(START)
    lines = [
        f"Wrote {start_file()}. In this environment, flask and werkzeug mean Carboy"
        + (" in processes with CARBOY_COMPAT=1." if _has_real_flask() else "."),
    ]
    command = command_file()
    if os.name == "nt":
        lines.append("On Windows there is no flask command. Use python -m flask.")
    elif command.exists() and MARK not in command.read_text(errors="replace"):
        lines.append(f"Kept {command} of the real flask. It runs on Carboy with CARBOY_COMPAT=1.")
    else:
        command.write_text(COMMAND)
        command.chmod(0o755)
        lines.append(f"Wrote {command}, which runs on Carboy.")
    return lines


def uninstall() -> list[str]:
    """Remove the files that `install` has written; returns a line about each."""
    lines = []
    for file in (start_file(), command_file()):
        if not file.exists() or (file == command_file() and MARK not in file.read_text()):
            continue
        file.unlink()
        lines.append(f"Removed {file}.")
    return lines or ["There was nothing to remove."]


def _has_real_flask() -> bool:
    return PathFinder.find_spec("flask") is not None
