"""The process that `carboy explain --from-start` records: arms the recorder and starts a server.

Run with `python -m`, the folder for the recording, the name of the server, the port, and the name
of the application.
"""

from __future__ import annotations

import gc
import signal
import sys
from pathlib import Path
from types import CodeType

from carboy.cli import explain_follow, locate
from carboy.cli.explain_servers import SERVERS, Loading
from carboy.dev.explain.chain_rules import NAMES
from carboy.dev.explain.start_recorder import StartRecorder
from carboy.dev.explain.steps import roles_of


def main(folder: str, server: str, port: str, app: str) -> None:
    """Serve until the server is stopped. The recording is written when the process ends."""
    # It may be ignored in a process that runs in the background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    Loading.name = app
    following = explain_follow.recorder_of(Path(folder), int(port))
    recorder = StartRecorder(Path(folder), NAMES, _roles, watcher=following)
    start = SERVERS[server].start
    if following is not None:
        following.arm()
    recorder.arm()
    try:
        start(int(port))
    except KeyboardInterrupt:
        pass
    except (locate.NoApplication, locate.BrokenApplication) as problem:
        sys.exit(str(problem))
    finally:
        recorder.save()


def _roles() -> dict[tuple[CodeType, str], str]:
    """The roles of the functions of all applications in this process.

    A server may load the application itself, so the applications are searched for.
    """
    roles: dict[tuple[CodeType, str], str] = {}
    for each in gc.get_objects():
        try:
            found = roles_of(each) if locate.is_flask_like(each) else {}
        except Exception:  # an object whose attributes cannot be asked for
            continue
        roles.update(found)
    return roles


if __name__ == "__main__":
    main(*sys.argv[1:])
