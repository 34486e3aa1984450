"""Hints about modules that are not found, and names that a module does not have."""

from __future__ import annotations

import pkgutil
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from carboy.dev.hints.near import did_you_mean, near, question

ALIKE = 0.75  # there are so many modules that some are always a little similar
FOLDERS = 10  # that are listed
NAME = re.compile(r"cannot import name '([^']+)'")
# module: its package, where the names differ
PACKAGES = {
    "attr": "attrs", "bs4": "beautifulsoup4", "Crypto": "pycryptodome", "cv2": "opencv-python",
    "dateutil": "python-dateutil", "docx": "python-docx", "dotenv": "python-dotenv",
    "fitz": "PyMuPDF", "git": "GitPython", "jose": "python-jose", "jwt": "PyJWT",
    "magic": "python-magic", "markdown": "Markdown", "MySQLdb": "mysqlclient",
    "OpenSSL": "pyOpenSSL", "PIL": "pillow", "psycopg": "psycopg[binary]",
    "psycopg2": "psycopg2-binary", "serial": "pyserial", "skimage": "scikit-image",
    "sklearn": "scikit-learn", "slugify": "python-slugify", "socketio": "python-socketio",
    "usb": "pyusb", "yaml": "PyYAML", "zmq": "pyzmq",
}  # fmt: skip


def imported(error: Any) -> Iterator[str]:
    """Similar modules or names; for a module, the folders in which Python has looked for it."""
    if isinstance(error, ModuleNotFoundError):
        if error.name and "None in sys.modules" not in str(error):
            yield from _module(str(error.name))
        return
    found = NAME.match(str(error))
    module = sys.modules.get(error.name or "")
    if found and module is not None:
        yield from _name(found[1], module)


def _name(missing: str, module: Any) -> Iterator[str]:
    inside = {each.name for each in pkgutil.iter_modules(getattr(module, "__path__", []))}
    public = [each for each in dir(module) if not each.startswith("__")]
    yield from did_you_mean(missing, [*public, *inside])


def _module(missing: str) -> Iterator[str]:
    parent, _, last = missing.rpartition(".")
    if parent:
        package = sys.modules.get(parent)
        names = {each.name for each in pkgutil.iter_modules(getattr(package, "__path__", []))}
        if found := near(last, sorted(names)):
            yield question(f"{parent}.{each}" for each in found)
        return
    known = {each.name for each in pkgutil.iter_modules()} | set(sys.stdlib_module_names)
    if found := near(missing, sorted(each for each in known if not each.startswith("_")), ALIKE):
        yield question(found)
    elif missing in PACKAGES:
        name = PACKAGES[missing]
        yield f"The module belongs to the package {name}: pip install '{name}'"
    folders = [str(Path(each).absolute()) for each in sys.path if Path(each).is_dir()]
    more = ", …" if len(folders) > FOLDERS else ""
    yield f"Folders searched: {', '.join(dict.fromkeys(folders[:FOLDERS]))}{more}"
