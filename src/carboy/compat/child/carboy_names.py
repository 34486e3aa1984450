"""Prepares the names `flask` and `werkzeug` when a Python process starts.

This runs in every process that inherits CARBOY_COMPAT, even under a Python without Carboy. So it
only imports os and sys, and Carboy when one of the names is first imported.

CARBOY_COMPAT=1     the names mean Carboy
CARBOY_COMPAT=warn  a line on standard error if they do not
CARBOY_COMPAT=0     nothing
"""

from __future__ import annotations

import os
import sys

VARIABLE = "CARBOY_COMPAT"
YES = ("1", "true", "yes", "on")
NO = ("0", "false", "no", "off")
NAMES = ("flask", "werkzeug")


class InstallingFinder:
    """A finder that installs the names when one of them is first imported.

    It stays in sys.meta_path, over which Python is iterating; Carboy's finder is put before it.
    """

    asked = False

    def find_spec(self, fullname, path=None, target=None):  # type: ignore[no-untyped-def]
        if fullname.partition(".")[0] not in NAMES or not self._install():
            return None
        return sys.meta_path[0].find_spec(fullname, path, target)

    def find_distributions(self, context=None):  # type: ignore[no-untyped-def]
        """The metadata of flask and werkzeug, for importlib.metadata."""
        name = getattr(context, "name", None)
        if (name is None or name.lower() in NAMES) and self._install():
            return sys.meta_path[0].find_distributions(context)  # type: ignore[attr-defined]
        return iter(())

    def _install(self) -> bool:
        if self.asked:
            return False
        try:
            from carboy.compat import install
        except ImportError:
            warn(f"{sys.executable} has no Carboy. Install it there, or set {VARIABLE}=0")
        else:
            install()
            return True
        finally:
            self.asked = True
        return False


class FallbackFinder(InstallingFinder):
    """The last finder, for environments without the real packages."""

    def find_distributions(self, context=None):  # type: ignore[no-untyped-def]
        """Nothing, because CARBOY_COMPAT did not ask for it."""
        return iter(())


class WarningFinder:
    """A finder that finds nothing, and warns once if this process has the real flask."""

    warned = False

    def find_spec(self, fullname, path=None, target=None):  # type: ignore[no-untyped-def]
        if fullname in NAMES and not self.warned:
            self.warned = True
            if _has(FallbackFinder) and not _has_real_flask():
                return
            warn(f"Set {VARIABLE}=1 to give it Carboy's, or {VARIABLE}=0")


def warn(what_to_do: str) -> None:
    """One line on standard error."""
    what_it_has = "runs the real flask" if _has_real_flask() else "has no flask"
    if sys.stderr is not None:
        sys.stderr.write(
            f"carboy: this process ({os.getpid()}) was started by a program in which flask is"
            f" Carboy, but {what_it_has}. {what_to_do} to hide this line.\n"
        )


def _has_real_flask() -> bool:
    from importlib.machinery import PathFinder

    return PathFinder.find_spec("flask") is not None


def _has(kind: type) -> bool:
    return any(type(finder) is kind for finder in sys.meta_path)


def start(alone: bool = False) -> None:
    """Do what CARBOY_COMPAT says; with `alone`, have the names without it if flask is missing.

    A process may call this twice, from a .pth file and from sitecustomize.
    """
    wanted = os.environ.get(VARIABLE, "").lower()
    if wanted in NO:
        return
    if wanted in YES and not _has(InstallingFinder):
        sys.meta_path.insert(0, InstallingFinder())
    elif wanted == "warn" and not _has(WarningFinder):
        sys.meta_path.insert(0, WarningFinder())
    if alone and not _has(FallbackFinder):
        sys.meta_path.append(FallbackFinder())
