"""The reloader under Werkzeug's names: the process that the user has started starts a second one,
which serves, and starts it again when it ends with the exit code 3.

    parent ── WERKZEUG_RUN_MAIN=true ──▶ child: the program in a thread, the loop in the main one
           ◀──────── exit code 3 ──────
"""

# Thousands of paths a second, which come and go as text:
# ruff: noqa: PTH100, PTH110, PTH113, PTH116, PTH118, PTH119, PTH120

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatch
from itertools import chain
from types import FrameType
from typing import Any, NoReturn

from carboy.dev.reload.tree import outermost
from carboy.dev.reload.watching import Watching, native_name
from carboy.werkzeug_log import _log

__all__ = [
    "ReloaderLoop",
    "StatReloaderLoop",
    "WatchdogReloaderLoop",
    "ensure_echo_on",
    "reloader_loops",
    "run_with_reloader",
]

RUN_MAIN = "WERKZEUG_RUN_MAIN"
AGAIN = 3  # the exit code that asks for another start
PATIENCE = 2.0  # seconds that threads and atexit functions may keep a process before another starts

# Python's own files do not change while a program runs.
_ignore_always = tuple({sys.base_prefix, sys.base_exec_prefix})
# Installed packages are watched if they are imported, but their folders are not searched.
_stat_ignore_scan = tuple({*_ignore_always, sys.prefix, sys.exec_prefix})
_ignore_common_dirs = {
    "__pycache__", ".git", ".hg", ".tox", ".nox", ".pytest_cache", ".mypy_cache",
}  # fmt: skip
WATCHED = ("*.py", "*.pyc", "*.zip")


def _iter_module_paths() -> Iterator[str]:
    """The files of all imported modules; for a module in an archive, the archive."""
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if not isinstance(path, str):
            continue
        while not os.path.isfile(path):
            inside, path = path, os.path.dirname(path)
            if path == inside:
                break
        else:
            yield path


def _remove_by_pattern(paths: set[str], exclude_patterns: set[str]) -> None:
    """Remove the paths that match one of the patterns, in place."""
    for pattern in exclude_patterns:
        paths.difference_update([path for path in paths if fnmatch(path, pattern)])


def _scanned(top: str) -> Iterator[str]:
    """Python files below a folder.

    A folder without Python files, in a folder without Python files, is not searched: it can be
    large, and it is not a package.
    """
    has_python = {os.path.dirname(top): True}
    for folder, names, files in os.walk(top):
        name = os.path.basename(folder)
        if folder.startswith(_stat_ignore_scan) or name in _ignore_common_dirs:
            names.clear()
            continue
        found = [each for each in files if each.endswith((".py", ".pyc"))]
        has_python[folder] = bool(found)
        if not found and not has_python.get(os.path.dirname(folder), True):
            names.clear()
        yield from (os.path.join(folder, each) for each in found)


def _find_stat_paths(extra_files: set[str], exclude_patterns: set[str]) -> Iterable[str]:
    """The files to check: modules, Python files on sys.path, and the extra files."""
    paths: set[str] = set()
    for path in chain(list(sys.path), extra_files):
        path = os.path.abspath(path)
        if os.path.isfile(path):
            paths.add(path)
        else:
            paths.update(_scanned(path))
    paths.update(path for path in _iter_module_paths() if not path.startswith(_ignore_always))
    _remove_by_pattern(paths, exclude_patterns)
    return paths


def _find_watchdog_paths(extra_files: set[str], exclude_patterns: set[str]) -> Iterable[str]:
    """The folders to watch, and extra files outside of them."""
    folders: set[str] = set()
    for name in chain(list(sys.path), extra_files):
        path = os.path.abspath(name)
        folders.add(path)
    # The path of a script may be relative, and the folder "" would be above all others.
    folders.update(os.path.dirname(os.path.abspath(path)) for path in _iter_module_paths())
    _remove_by_pattern(folders, exclude_patterns)
    return _find_common_roots(folders)


def _find_common_roots(paths: Iterable[str]) -> Iterable[str]:
    """Those of `paths` that are not below another one of them."""
    return outermost(paths)


def _get_args_for_reloading() -> list[str]:
    """The command line that started this program, with all the interpreter's options."""
    return [sys.executable, *sys.orig_argv[1:]]


class ReloaderLoop:
    """Waits in the main thread for a change, and ends the process when a file has changed.

    `interval` is the number of seconds between two steps. Subclasses implement `run_step`.
    """

    name = ""

    def __init__(
        self,
        extra_files: Iterable[str] | None = None,
        exclude_patterns: Iterable[str] | None = None,
        interval: int | float = 1,
    ) -> None:
        self.extra_files: set[str] = {os.path.abspath(path) for path in extra_files or ()}
        self.exclude_patterns: set[str] = set(exclude_patterns or ())
        self.interval = interval

    def __enter__(self) -> ReloaderLoop:
        self.run_step()
        return self

    def __exit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> None:
        pass

    def run(self) -> None:
        """Run steps with pauses between them, until a step ends the process."""
        pause = threading.Event()
        while True:
            self.run_step()
            pause.wait(self.interval)

    def run_step(self) -> None:
        """Look once. Also called when the loop is entered, to know the state before changes."""

    def restart_with_reloader(self) -> int:
        """Start this program again as long as it asks for it; returns its last exit code."""
        while True:
            self.log_restart()
            code = self.run_child(_get_args_for_reloading(), {**os.environ, RUN_MAIN: "true"})
            if code != AGAIN:
                return code

    def run_child(self, command: list[str], env: dict[str, str]) -> int:
        """Start the program once, and wait for its end; its exit code."""
        # The listening socket is among the descriptors.
        return subprocess.call(command, env=env, close_fds=False)

    def log_restart(self) -> None:
        """Log that the program starts."""
        _log("info", f" * Restarting with {self.name}")

    def trigger_reload(self, filename: str) -> None:
        """End the process so that its parent starts it again."""
        self.log_reload(filename)
        exit_for_another()

    def log_reload(self, filename: str | bytes) -> None:
        """Log which file was the reason."""
        path = os.path.abspath(os.fsdecode(filename))
        _log("info", f" * Detected change in {path!r}, reloading")


class StatReloaderLoop(ReloaderLoop):
    """Checks the modification time of every file, once an interval."""

    name = "stat"

    def __enter__(self) -> ReloaderLoop:
        self.mtimes: dict[str, float] = {}
        return super().__enter__()

    def run_step(self) -> None:
        for path in _find_stat_paths(self.extra_files, self.exclude_patterns):
            try:
                time = os.stat(path).st_mtime
            except OSError:
                continue
            if time > self.mtimes.setdefault(path, time):
                self.trigger_reload(path)


class _EventHandler:
    """Decides which events matter; an event has `src_path` and `event_type`."""

    COUNTING = ("created", "deleted", "modified", "moved", "closed")

    def __init__(self, loop: WatchdogReloaderLoop) -> None:
        self._loop = loop
        self._patterns = [*WATCHED, *loop.extra_files]
        self._ignore_patterns = [f"*/{name}/*" for name in _ignore_common_dirs]
        self._ignore_patterns += loop.exclude_patterns

    def dispatch(self, event: Any) -> None:
        path = event.src_path
        if not any(fnmatch(path, pattern) for pattern in self._ignore_patterns) and any(
            fnmatch(path, pattern) for pattern in self._patterns
        ):
            self.on_any_event(event)

    def on_any_event(self, event: Any) -> None:
        if event.event_type in self.COUNTING:
            self._loop.trigger_reload(event.src_path)


class _Modified:
    """The event of every change, including that of a file that was created or removed."""

    event_type = "modified"

    def __init__(self, path: str) -> None:
        self.src_path = path


class WatchdogReloaderLoop(ReloaderLoop):
    """Is notified of changes by the system, or checks the files every `interval` seconds.

    The package watchdog is not needed; watchfiles is used if it is installed.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.event_handler = _EventHandler(self)
        self.should_reload = threading.Event()
        self.observer = self._observe(())
        self.name = f"watchdog ({self.observer.name_of_way})"

    def _observe(self, roots: Iterable[str]) -> Watching:
        return Watching(roots, self._heard, enters=self._enters, interval=self.interval)

    @staticmethod
    def _enters(folder: str) -> bool:
        return os.path.basename(folder) not in _ignore_common_dirs

    def _heard(self, paths: frozenset[str]) -> None:
        for path in sorted(paths):
            if not self.should_reload.is_set():
                self.event_handler.dispatch(_Modified(path))

    def trigger_reload(self, filename: str | bytes) -> None:
        # Called in the observer's thread; only the main thread can end the process.
        self.should_reload.set()
        self.log_reload(filename)

    def __enter__(self) -> ReloaderLoop:
        self._watch(self._wanted())
        return super().__enter__()

    def __exit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> None:
        self.observer.stop()
        self.observer.join()

    def run(self) -> None:
        while not self.should_reload.wait(timeout=self.interval):
            self.run_step()
        exit_for_another()

    def run_step(self) -> None:
        """Watch what has been imported since the last step, too."""
        wanted = self._wanted()
        if set(wanted) - set(self.observer.roots):
            before = self.observer
            self._watch(wanted)
            before.stop()
            before.join()

    def _wanted(self) -> tuple[str, ...]:
        found = _find_watchdog_paths(self.extra_files, self.exclude_patterns)
        return tuple(
            path for path in found if os.path.exists(path) and not path.startswith(_ignore_always)
        )

    def _watch(self, roots: Iterable[str]) -> None:
        self.observer = self._observe(roots)
        self.observer.start()


reloader_loops: dict[str, type[ReloaderLoop]] = {
    "stat": StatReloaderLoop,
    "watchdog": WatchdogReloaderLoop,
    "auto": WatchdogReloaderLoop if native_name() else StatReloaderLoop,
}


def exit_for_another() -> NoReturn:
    """End this process, so that its parent starts another one.

    Threads of the application that are not daemons would keep it, so they have a limited time.
    """
    ends = threading.Timer(PATIENCE, os._exit, [AGAIN])
    ends.daemon = True
    ends.start()
    sys.exit(AGAIN)


def ensure_echo_on() -> None:
    """Have the terminal show what is typed: a debugger that was killed may have turned it off."""
    if sys.stdin is None or not sys.stdin.isatty():
        return
    try:
        import termios
    except ImportError:
        return
    attributes = termios.tcgetattr(sys.stdin)
    if not attributes[3] & termios.ECHO:
        attributes[3] |= termios.ECHO
        termios.tcsetattr(sys.stdin, termios.TCSANOW, attributes)


def run_with_reloader(
    main_func: Callable[[], None],
    extra_files: Iterable[str] | None = None,
    exclude_patterns: Iterable[str] | None = None,
    interval: int | float = 1,
    reloader_type: str = "auto",
) -> None:
    """Run `main_func` in a process that starts again when a file changes.

    It is called in both processes. The first ends with the exit code of the second. SIGTERM ends
    either with 0. `reloader_type` is a key of `reloader_loops`.
    """
    signal.signal(signal.SIGTERM, _end)
    loop = reloader_loops[reloader_type](
        extra_files=extra_files, exclude_patterns=exclude_patterns, interval=interval
    )
    try:
        if os.environ.get(RUN_MAIN) != "true":
            sys.exit(loop.restart_with_reloader())
        ensure_echo_on()
        program = threading.Thread(target=main_func, args=(), daemon=True)
        with loop:  # before the program starts, so that no change is missed
            program.start()
            loop.run()
    except KeyboardInterrupt:
        pass


def _end(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(0)
