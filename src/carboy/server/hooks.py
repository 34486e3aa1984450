"""Functions of the application that run when worker processes start, stop and crash.

    before_fork    in the process that has loaded the application, before it forks (--preload)
    after_fork     in the new worker, with --preload after the application was loaded
    worker_start   in the worker, before its first request
    worker_stop    in the worker, after its last request
    worker_crash   in another worker; gets a Crash

They are functions in the module of --hooks, or attributes of the application with these names. The
supervisor itself runs none of them, because it runs no code of the application.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator
from enum import Enum
from inspect import iscoroutinefunction
from typing import Any

from carboy.gateway.worker_hooks import layers
from carboy.server.dataclass import dataclass
from carboy.server.logs.error_log import ERROR_LOGGER

log = logging.getLogger(ERROR_LOGGER)


class Hook(Enum):
    """The hooks, by the names of their functions."""

    BEFORE_FORK = "before_fork"
    AFTER_FORK = "after_fork"
    WORKER_START = "worker_start"
    WORKER_STOP = "worker_stop"
    WORKER_CRASH = "worker_crash"


NAMES = tuple(hook.value for hook in Hook)


@dataclass(frozen=True, slots=True)
class Crash:
    """A worker that has ended without being asked to.

    `pid` is its process id, `how` says how it ended ("was killed by SIGSEGV …"), and `requests` has
    the requests that it was running, one on each line.
    """

    pid: int
    how: str
    requests: str


class HookFailed(Exception):
    """A hook has raised an exception, or cannot be called; the text is for the user."""


class Hooks:
    """The hooks of a module (None: there is none) and of an application."""

    def __init__(self, module: Any = None, application: Any = None) -> None:
        self._module = module
        self._application = application

    def run(self, hook: Hook, *args: Any) -> None:
        """Call the functions of a hook, that of the module first. Raises HookFailed."""
        for function, name in self._functions(hook):
            if iscoroutinefunction(function):
                raise HookFailed(
                    f"The hook {name} is a coroutine function. Use an ordinary function."
                )
            try:
                function(*args)
            except Exception:
                text = traceback.format_exc().rstrip()
                raise HookFailed(f"The hook {name} has failed:\n{text}") from None

    def run_and_log(self, hook: Hook, *args: Any) -> None:
        """Call the functions of a hook; an error is logged."""
        try:
            self.run(hook, *args)
        except HookFailed as problem:
            log.error("%s", problem)

    def _functions(self, hook: Hook) -> Iterator[tuple[Callable[..., Any], str]]:
        function = getattr(self._module, hook.value, None)
        if callable(function):
            yield function, f"{name_of(self._module)}.{hook.value}"
        for app in _applications(self._application):
            function = next(
                filter(callable, (_own(each, hook.value) for each in layers(app))), None
            )
            if function is not None:
                yield function, f"{hook.value} of the application"


def _applications(application: Any) -> list[Any]:
    """The application, or those that are mounted."""
    mounted = getattr(application, "all", None)
    if type(application).__name__ == "Mounts" and callable(mounted):
        return [mount.app for mount in mounted()]
    return [] if application is None else [application]


def _own(application: Any, name: str) -> Any:
    try:
        return getattr(application, name, None)
    except Exception:  # an object with properties or __getattr__ of its own
        return None


def name_of(module: Any) -> str:
    """The name of a module, or of another object with the functions."""
    return str(getattr(module, "__name__", type(module).__qualname__))


def has_hooks(module: Any) -> bool:
    """Whether a module has at least one of the functions."""
    return any(callable(getattr(module, name, None)) for name in NAMES)
