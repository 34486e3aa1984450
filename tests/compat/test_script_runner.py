"""`python -m carboy.compat` runs a program as `python` itself does."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from compat.sides import clean

SHOWS = """
import atexit, sys
print(__name__, __file__, __package__, __cached__, sys.argv, sys.path[0], type(__loader__).__name__)
print(__spec__ and __spec__.name, sorted(name for name in globals() if name.startswith("__")))
print(sys.modules["__main__"].__dict__ is globals(), __builtins__ is __import__("builtins"))
def late(): print("at the end", __name__, sys is not None)
def annotated() -> "name": pass
print(annotated.__annotations__)
atexit.register(late)
"""
RAISES = """
def fail(): raise ValueError("first")
try:
    fail()
except ValueError as error:
    raise KeyError("second") from error
"""
PROGRAMS = {
    "shows.py": SHOWS,
    "raises.py": RAISES,
    "syntax.py": "x = = 1\n",
    "interrupted.py": "raise KeyboardInterrupt\n",
    "exits.py": "import sys; sys.exit('a message')\n",
    "hook.py": "import sys\nsys.excepthook = lambda *a: print(len(a), a[2].tb_next)\n1 / 0\n",
    "folder/__main__.py": SHOWS,
    "failing/__main__.py": RAISES,
    "package/__init__.py": "",
    "package/__main__.py": SHOWS,
    "package/module.py": SHOWS,
}
# The frames of Python itself when it runs a folder or a module.
RUNPY = re.compile(r'  File "<frozen runpy>", line \d+, in \w+\n')


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("programs")
    for name, text in PROGRAMS.items():
        file = root / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    (root / "link.py").symlink_to("package/module.py")
    with zipfile.ZipFile(root / "archive.zip", "w") as archive:
        archive.writestr("__main__.py", SHOWS)
    return root


def ran(folder: Path, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=clean() | {"PYTHONDONTWRITEBYTECODE": "1"},
        cwd=folder,
        timeout=60,
    )
    return done.returncode, done.stdout, RUNPY.sub("", done.stderr)


@pytest.mark.parametrize(
    "command",
    [
        *("shows.py", "./shows.py a -b", "raises.py", "syntax.py", "interrupted.py", "exits.py"),
        *(
            "hook.py",
            "folder",
            "folder/ -x",
            "failing",
            "archive.zip",
            "package/../shows.py",
            "link.py",
        ),
        *("-m package", "-m package.module a", "-m raises", "-m nowhere"),
    ],
)
def test_a_program_runs_and_ends_as_under_python(folder: Path, command: str) -> None:
    arguments = command.split()
    assert ran(folder, "-m", "carboy.compat", *arguments) == ran(folder, *arguments)


def test_a_folder_without_a_program_is_an_error(folder: Path) -> None:
    (folder / "empty").mkdir(exist_ok=True)
    code, _, said = ran(folder, "-m", "carboy.compat", "./empty")
    assert (code, "can't find '__main__' module in" in said) == (1, True)
