"""The process that `carboy explain --from-start` records: arms the recorder and starts a server.

Run with `python -m`, the folder for the recording, the name of the server, the port, the name of
the application, `--flask` if Carboy has the names flask and werkzeug, and values of --mount. For a
file that starts its server itself, Python runs `arm_script` before the file.
"""

from __future__ import annotations

import faulthandler
import gc
import signal
import sys
from collections.abc import Iterator
from functools import partial
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path
from types import CodeType
from typing import Any

from carboy.cli import explain_follow, explain_rule, locate
from carboy.cli.explain_servers import SERVERS, Loading
from carboy.cli.run import install_names
from carboy.dev.explain.chain_rules import NAMES
from carboy.dev.explain.interrupts import interrupt
from carboy.dev.explain.start_recorder import StartRecorder
from carboy.dev.explain.steps import roles_of
from carboy.gateway.mounts import Mounts

FLASK = "--flask"
STACKS = "stacks"  # the file for the lines that run when DUMP is received
# A signal that programs do not use themselves; Linux has it.
DUMP: int | None = getattr(signal, "SIGRTMIN", None) and signal.SIGRTMIN + 11


def main(folder: str, server: str, port: str, app: str, *others: str) -> None:
    """Serve until the server is stopped. The recording is written when the process ends."""
    Loading.name = app
    Loading.as_flask = FLASK in others
    Loading.mounts = [each for each in others if each != FLASK]
    start = SERVERS[server].start
    recorder = _arm(Path(folder), int(port))
    try:
        if Loading.as_flask and server != "carboy":  # whose command does it itself
            install_names()
        start(int(port))
    except KeyboardInterrupt:
        pass
    except (locate.NoApplication, locate.BrokenApplication) as problem:
        sys.exit(str(problem))
    finally:
        recorder.save()


def arm_script(folder: str) -> None:
    """Record this process, which runs a file that starts its server itself."""
    _arm(Path(folder), 0)


def run_the_next() -> None:
    """The sitecustomize module that Python would have run without the recorder."""
    spec = PathFinder.find_spec("sitecustomize", sys.path)
    if spec is not None and spec.loader is not None:
        module = sys.modules["sitecustomize"] = module_from_spec(spec)
        spec.loader.exec_module(module)


def _arm(folder: Path, port: int) -> StartRecorder:
    # It may be ignored in a process that runs in the background.
    signal.signal(signal.SIGINT, interrupt)
    if DUMP is not None:
        # faulthandler needs the file as long as the process runs.
        faulthandler.register(DUMP, (folder / STACKS).open("a"))
    following = explain_follow.recorder_of(folder, port)
    recorder = StartRecorder(folder, NAMES, partial(_at_the_end, folder), watcher=following)
    if following is not None:
        following.arm()
    recorder.arm()
    return recorder


def _at_the_end(folder: Path) -> dict[tuple[CodeType, str], str]:
    """The roles of the functions of all applications. Their rules are written to a file."""
    found = list(_applications())
    mounted = [each for each in found if isinstance(each, Mounts)]
    apps = [each for each in found if not isinstance(each, Mounts)]
    explain_rule.answer(folder, mounted or apps)
    roles: dict[tuple[CodeType, str], str] = {}
    for app in apps:
        try:
            roles.update(roles_of(app))
        except Exception:  # an object whose attributes cannot be asked for
            continue
    return roles


def _applications() -> Iterator[Any]:
    """All applications in this process, and all mounts.

    A server may load them itself, so they are searched for.
    """
    kinds: dict[type, bool] = {}  # whether the objects of a type may be applications
    for each in gc.get_objects():
        kind = type(each)
        try:
            if (may_be := kinds.get(kind)) is None:
                may_be = kinds[kind] = kind is Mounts or locate.may_be_flask_like(kind)
            if may_be and (kind is Mounts or locate.is_flask_like(each)):
                yield each
        except Exception:
            continue


if __name__ == "__main__":
    main(*sys.argv[1:])
