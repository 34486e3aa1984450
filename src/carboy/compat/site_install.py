"""Puts the names into an environment, for every Python process of it, and takes them out."""

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
# One line, which site executes; quiet when Carboy is gone.
START = (
    f"import os, sys; p = {FOLDER!r};"
    " os.path.isdir(p) and (sys.path.append(p), __import__('carboy_names').start(alone=True),"
    " sys.path.remove(p))\n"
)


def start_file() -> Path:
    """The file that Python reads at its start."""
    return Path(sysconfig.get_path("purelib")) / "carboy-compat.pth"


def command_file() -> Path:
    """The `flask` command."""
    return Path(sysconfig.get_path("scripts")) / "flask"


def install() -> list[str]:
    """Write both files; tells what was done, a line each."""
    start_file().write_text(START)
    told = [
        f"Wrote {start_file()}: flask and werkzeug are Carboy in processes with CARBOY_COMPAT=1"
        + (", and in all others too." if not _real() else "; others have the real ones."),
    ]
    command = command_file()
    if os.name == "nt":
        told.append("There is no flask command on Windows: use python -m flask.")
    elif command.exists() and MARK not in command.read_text(errors="replace"):
        told.append(f"{command} is the real one's, and Carboy's with CARBOY_COMPAT=1.")
    else:
        command.write_text(COMMAND)
        command.chmod(0o755)
        told.append(f"Wrote {command}: the flask command, on Carboy.")
    return told


def uninstall() -> list[str]:
    """Remove what `install` wrote, and nothing else."""
    told = []
    for file in (start_file(), command_file()):
        if not file.exists() or (file == command_file() and MARK not in file.read_text()):
            continue
        file.unlink()
        told.append(f"Removed {file}.")
    return told or ["There was nothing to remove."]


def _real() -> bool:
    return PathFinder.find_spec("flask") is not None
