"""Compiles the tests as pytest does, before its workers need them.

pytest rewrites the `assert` statements of tests, compiles the result and keeps it in `__pycache__`.
In a fresh clone, each worker of pytest-xdist would do this for all files at the same time, which
takes 20 seconds of the processor for each worker.
"""

from __future__ import annotations

import compileall
import fnmatch
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from _pytest.assertion import rewrite

TESTS = Path(__file__).absolute().parent.parent / "tests"
REWRITTEN = ("test_*.py", "*_test.py", "conftest.py")
"""The files whose `assert` statements pytest rewrites."""


def compiled_by_pytest(file: Path) -> Path:
    """The place where pytest looks for the compiled form of a test file."""
    return rewrite.get_cache_dir(file) / f"{file.stem}{rewrite.PYC_TAIL}"


def compile_file(file: Path) -> None:
    """Compile a file of tests, unless this has been done since it was changed."""
    if not any(fnmatch.fnmatch(file.name, pattern) for pattern in REWRITTEN):
        compileall.compile_file(file, quiet=2)
        return
    place = compiled_by_pytest(file)
    if rewrite._read_pyc(file, place) is None:
        rewrite.try_makedirs(place.parent)
        state: Any = SimpleNamespace(trace=print)
        try:
            stat, code = rewrite._rewrite_test(file, None)  # type: ignore[arg-type]
        except SyntaxError:
            return  # pytest shows the error
        rewrite._write_pyc(state, code, stat, place)


def compile_all(folder: Path) -> None:
    """Compile all files of a folder, on all cores."""
    files = sorted(folder.rglob("*.py"), key=lambda file: -file.stat().st_size)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(compile_file, files, chunksize=8):
            pass


if __name__ == "__main__":
    compile_all(Path(sys.argv[1]) if sys.argv[1:] else TESTS)
