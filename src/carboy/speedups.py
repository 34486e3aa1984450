"""Which twin of the functions on the way of every request runs: the compiled or the Python one.

The compiled modules (`carboy/_speedups`, docs/speed.md) are used if they are built, fit their
sources and CARBOY_NO_SPEEDUPS is not set. That is decided once, for all of them. What shows the
code that runs (`carboy explain`, the debugger, the list of requests) asks for the Python twins,
because nothing can look into compiled functions.

A module with twins registers a function by `twins`, which puts one or the other into place.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType

Choose = Callable[[ModuleType | None], object]

VARIABLE = "CARBOY_NO_SPEEDUPS"
PACKAGE = "carboy._speedups"
MODULES: tuple[str, ...] = (
    "head",
    "environ",
    "form",
    "json_reader",
    "local",
    "json_writer",
    "cycle",
    "turn",
)
if not getattr(sys, "_is_gil_enabled", lambda: True)():
    MODULES = MODULES[:-3]  # these rely on the interpreter lock, and would bring it back
RECORDED = "compiled functions cannot be recorded"  # a reason to hold them off
COMPILED = "compiled"  # the state in which they run
# Of all modules: they are built together, and each is compared with all sources.
OUTDATED = "the compiled functions are older than their sources: run `make speedups`"


class Speedups:
    """The decision, and the modules that it is about."""

    def __init__(self) -> None:
        self._lasting = ""  # why the Python twins run for as long as the process does
        self._held: list[str] = []  # reasons that end
        self._choices: list[tuple[str, Choose]] = []
        if os.environ.get(VARIABLE, "") not in ("", "0"):
            self._lasting = f"turned off by {VARIABLE}"

    @property
    def reason(self) -> str:
        """Why the Python twins run, as far as it is known; "" if the compiled ones do."""
        return self._lasting or next(iter(self._held), "")

    @property
    def is_held(self) -> bool:
        """Whether something shows the code that runs, and the bytes that it gets."""
        return bool(self._held)

    def twins(self, name: str, choose: Choose) -> None:
        """Call `choose` with the compiled module `name`, or None: now, and at each change.

        `choose` sets names of its own module. Other threads may be in either twin meanwhile.
        """
        module = self._module(name)
        self._choices.append((name, choose))
        choose(module)

    def interpret(self, reason: str) -> None:
        """Use the Python twins from now on. The first reason is kept."""
        if not self._lasting:
            self._lasting = reason
            self._choose_again()

    def hold(self, reason: str) -> None:
        """Use the Python twins until `release` is called with this reason."""
        self._held.append(reason)
        self._choose_again()

    def release(self, reason: str) -> None:
        """End one `hold`."""
        self._held.remove(reason)
        self._choose_again()

    def state(self) -> str:
        """ "compiled", or "Python" and the reason; loads the modules to know."""
        for name in MODULES:
            self._module(name)
        return f"Python ({self.reason})" if self.reason else COMPILED

    def _module(self, name: str) -> ModuleType | None:
        if self.reason:
            return None
        try:
            module = import_module(f"{PACKAGE}.{name}")
        except ModuleNotFoundError as error:
            if error.name == f"{PACKAGE}.{name}":
                self.interpret("the compiled functions are not built")
            else:
                self.interpret(f"{PACKAGE}.{name} could not be loaded: {error}")
        except Exception as error:  # it was built for another Python, for example
            self.interpret(f"{PACKAGE}.{name} could not be loaded: {error}")
        else:
            if is_current(module):
                return module
            self.interpret(OUTDATED)
        return None

    def _choose_again(self) -> None:
        for name, choose in self._choices:
            choose(self._module(name))


def is_current(module: ModuleType) -> bool:
    """Whether a compiled module is as new as all sources, which only a checkout has.

    A compiled module may contain functions of other sources, and they are built together.
    """
    if not getattr(module, "__file__", None):
        return True
    file = str(module.__file__)
    try:
        built = os.stat(file).st_mtime  # noqa: PTH116 (pathlib takes 3 ms to load)
        with os.scandir(os.path.dirname(file)) as entries:  # noqa: PTH120
            sources = [entry for entry in entries if entry.name.endswith((".pyx", ".pxd"))]
            return all(source.stat().st_mtime <= built for source in sources)
    except OSError:
        return True


speedups = Speedups()
