"""`make check`: lint, types, and the tests of the files that have changed, in under a minute.

Changed files are those that differ from the point where the branch left `main` (or
`origin/main`), whether committed or not, and new files that git does not ignore.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 50.0
"""For everything. On an idle machine, lint and types take about 5 of them."""
SECONDS_FOR_TESTS = 15.0
"""The least that tests get, when lint and types have taken long."""
SECONDS_TO_CLEAN_UP = 8.0
MOST_FALLBACK_FILES = 6
"""Test files of a room that run when no test is named after a changed file."""
NO_TESTS_COLLECTED = 5
LAYERS = "tests/test_layers.py"


def git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout if done.returncode == 0 else ""


def base() -> str:
    """The commit to compare with: where this branch left main, or HEAD without a main branch."""
    for branch in ("origin/main", "main"):
        if commit := git("merge-base", "HEAD", branch).strip():
            return commit
    return "HEAD"


def changed_files() -> list[str]:
    differing = git("diff", "--name-only", "-z", base(), "--").split("\0")
    untracked = git("ls-files", "--others", "--exclude-standard", "-z").split("\0")
    return sorted({name for name in (*differing, *untracked) if name})


class Tests:
    """The test files of the repository, by what they test."""

    def __init__(self, files: Iterable[str]) -> None:
        self.files = sorted(files)

    @classmethod
    def of(cls, root: Path) -> Tests:
        return cls(path.relative_to(root).as_posix() for path in root.glob("tests/**/test_*.py"))

    def for_files(self, changed: Iterable[str], root: Path = ROOT) -> list[str]:
        """The test files to run, without repetition, those of exact name first."""
        exact: list[str] = []
        others: list[str] = []
        for name in changed:
            found = self.named_after(name)
            exact += found
            if not found:
                others += self._instead(name, root)
            if name.startswith("src/carboy/") and LAYERS in self.files:
                exact.append(LAYERS)
        return list(dict.fromkeys(exact + others))

    def named_after(self, name: str) -> list[str]:
        """The test file itself, or for src/carboy/ROOM/…/x.py all tests/ROOM/test_[…_]x[_…].py."""
        if name in self.files:
            return [name]
        parts = Path(name).with_suffix("").parts
        if Path(name).suffix != ".py":
            return []
        if parts[:2] == ("src", "carboy"):
            parts = parts[2:]
        if parts[-1] in ("__init__", "__main__"):
            parts = parts[:-1]
        if not parts or parts[0] in ("tests", "examples"):
            return []
        room = f"tests/{parts[0]}/" if len(parts) > 1 else "tests/"
        folders = "".join(f"(?:{re.escape(part)}_)?" for part in parts[1:-1])
        pattern = re.compile(rf"{room}test_{folders}{re.escape(parts[-1])}(?:_\w+)?\.py")
        return [file for file in self.files if pattern.fullmatch(file)]

    def _instead(self, name: str, root: Path) -> list[str]:
        """Tests for a file that no test is named after.

        For a module: those that import it, those named after its folder, or its room's.
        """
        parts = Path(name).parts
        if parts[0] == "examples":
            rooms = {"notes": "tests/demo/", "extensions": "tests/extensions/"}
            return self._in(rooms.get(parts[1], "tests/demo/"))
        if name.endswith(".md") or parts[0] == "docs":
            return self._in("tests/docs/")
        if parts[0] == "tests" and name.endswith(".py"):
            return self._using(Path(name).stem, root)
        if parts[:2] == ("src", "carboy"):
            module = ".".join(Path(name).with_suffix("").parts[1:])
            return (
                self._using(module, root)
                or self.named_after(f"{Path(name).parent}.py")
                or self._in(f"tests/{parts[2]}/")
            )
        return self._in(f"tests/{parts[0]}/")

    def _in(self, folder: str) -> list[str]:
        return [file for file in self.files if file.startswith(folder)][:MOST_FALLBACK_FILES]

    def _using(self, module: str, root: Path) -> list[str]:
        """Tests that import `module`, in either spelling."""
        package, _, last = module.rpartition(".")
        spellings = [rf"\b(?:import|from) {re.escape(module)}\b"]
        if package:
            spellings.append(rf"\bfrom {re.escape(package)} import [^#\n]*\b{re.escape(last)}\b")
        pattern = re.compile("|".join(spellings))
        found = [file for file in self.files if pattern.search((root / file).read_text())]
        return found[:MOST_FALLBACK_FILES]


def run(title: str, *command: str) -> bool:
    print(f"{title}: ", end="", flush=True)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    print("ok" if done.returncode == 0 else f"failed\n{done.stdout}{done.stderr}", flush=True)
    return done.returncode == 0


def run_tests(files: list[str], seconds: float) -> bool:
    """Run pytest on `files` up to the first failure, for at most `seconds`."""
    print(f"tests: {' '.join(files)}", flush=True)
    pytest = [sys.executable, "-m", "pytest", "-q", "-x", "-n", "2", "--dist", "loadgroup"]
    # A group of its own, so that Ctrl+C reaches this program first and pytest once.
    tests = subprocess.Popen([*pytest, *files], cwd=ROOT, start_new_session=True)
    try:
        return tests.wait(seconds) in (0, NO_TESTS_COLLECTED)
    except subprocess.TimeoutExpired:
        stop(tests)
        print(f"tests: none failed in {seconds:.0f} s. Not all have run; `make test` runs them.")
        return True
    except KeyboardInterrupt:
        stop(tests)
        return False


def stop(tests: subprocess.Popen[bytes]) -> None:
    """Interrupt pytest, which ends the servers of its tests; kill what is left of it."""
    tests.send_signal(signal.SIGINT)
    try:
        tests.wait(SECONDS_TO_CLEAN_UP)
    except subprocess.TimeoutExpired:
        os.killpg(tests.pid, signal.SIGKILL)
        tests.wait()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Check the files that have changed.")
    parser.add_argument("--list", action="store_true", help="print the test files, run nothing")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    changed = changed_files()
    files = Tests.of(ROOT).for_files(changed)
    if options.list:
        print("\n".join(files))
        return 0
    python = sys.executable
    results = {
        "lint": run("lint", python, "-m", "ruff", "check", "."),
        "format": run("format", python, "-m", "ruff", "format", "--check", "."),
        "types": run("types", python, "-m", "mypy"),
    }
    if not results["format"]:
        print("format: to fix it, run .venv/bin/ruff format .")
    if not changed:
        print("tests: no file has changed. `make test` runs all of them.")
    elif not files:
        print("tests: no test belongs to the changed files. `make test` runs all of them.")
    else:
        left = SECONDS - (time.monotonic() - started)
        results["tests"] = run_tests(files, max(left, SECONDS_FOR_TESTS))
    failed = [title for title, passed in results.items() if not passed]
    verdict = f"Failed: {', '.join(failed)}" if failed else "Passed"
    print(f"{verdict} ({time.monotonic() - started:.0f} s).")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
