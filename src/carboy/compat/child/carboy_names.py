"""What a Python process does at its start about the names `flask` and `werkzeug`.

It runs in every process that inherits CARBOY_COMPAT, also under a Python that has no Carboy, so it
imports nothing but os and sys, and Carboy only when one of the names is asked for.

CARBOY_COMPAT=1     the names are Carboy's
CARBOY_COMPAT=warn  a line on standard error if they are not
CARBOY_COMPAT=0     nothing
"""

from __future__ import annotations

import os
import sys

VARIABLE = "CARBOY_COMPAT"
YES = ("1", "true", "yes", "on")
NO = ("0", "false", "no", "off")
NAMES = ("flask", "werkzeug")


class Giver:
    """A finder that makes the names Carboy's when one of them is first asked for.

    It stays in sys.meta_path, which is being walked; from then on Carboy's finder is before it.
    """

    asked = False

    def find_spec(self, fullname, path=None, target=None):  # type: ignore[no-untyped-def]
        if fullname.partition(".")[0] not in NAMES or not self._give():
            return None
        return sys.meta_path[0].find_spec(fullname, path, target)

    def find_distributions(self, context=None):  # type: ignore[no-untyped-def]
        """What importlib.metadata asks: the version of flask is Carboy's too."""
        name = getattr(context, "name", None)
        if (name is None or name.lower() in NAMES) and self._give():
            return sys.meta_path[0].find_distributions(context)  # type: ignore[attr-defined]
        return iter(())

    def _give(self) -> bool:
        if self.asked:
            return False
        try:
            from carboy.compat import install
        except ImportError:
            tell(f"{sys.executable} has no Carboy. Install it there, or set {VARIABLE}=0")
        else:
            install()
            return True
        finally:
            self.asked = True
        return False


class Fallback(Giver):
    """The last finder, in an environment with Carboy alone: nobody else has the names."""

    def find_distributions(self, context=None):  # type: ignore[no-untyped-def]
        """Nothing: the variable did not ask for it."""
        return iter(())


class Teller:
    """A finder that finds nothing, and says once whose flask this process has."""

    told = False

    def find_spec(self, fullname, path=None, target=None):  # type: ignore[no-untyped-def]
        if fullname in NAMES and not self.told:
            self.told = True
            if _has(Fallback) and not _real_one():
                return
            tell(f"Set {VARIABLE}=1 to give it Carboy's, or {VARIABLE}=0")


def tell(what_to_do: str) -> None:
    """One line on standard error."""
    what_it_has = "runs the real flask" if _real_one() else "has no flask"
    if sys.stderr is not None:
        sys.stderr.write(
            f"carboy: this process ({os.getpid()}) was started by a program in which flask is"
            f" Carboy, but {what_it_has}. {what_to_do} to hide this line.\n"
        )


def _real_one() -> bool:
    from importlib.machinery import PathFinder

    return PathFinder.find_spec("flask") is not None


def _has(kind: type) -> bool:
    return any(type(finder) is kind for finder in sys.meta_path)


def start(alone: bool = False) -> None:
    """Do what the variable says; with `alone`, give the names also where nobody has them.

    A process may come here twice, by a .pth file and by sitecustomize.
    """
    wanted = os.environ.get(VARIABLE, "").lower()
    if wanted in NO:
        return
    if wanted in YES and not _has(Giver):
        sys.meta_path.insert(0, Giver())
    elif wanted == "warn" and not _has(Teller):
        sys.meta_path.insert(0, Teller())
    if alone and not _has(Fallback):
        sys.meta_path.append(Fallback())
