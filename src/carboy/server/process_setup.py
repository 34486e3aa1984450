"""The process when it listens and before it loads the application: its user, its files."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from carboy.net.listener import Listener
from carboy.server import privileges
from carboy.server.bind import remove_files
from carboy.server.logs.error_log import ERROR_LOGGER
from carboy.server.logs.output import STANDARD
from carboy.server.pid_file import PidFile
from carboy.server.privileges import Identity

if TYPE_CHECKING:
    from carboy.server.processes.plan import Plan

log = logging.getLogger(ERROR_LOGGER)


def set_up(plan: Plan, sockets: Sequence[socket.socket]) -> Callable[[], None]:
    """Write the file of the process id, and become the user of --user.

    Returns the function that removes files at the end. Raises ValueError with the reason why the
    server cannot start.
    """
    settings = plan.settings.process
    to = privileges.identity(settings.user or None, settings.group or None)
    file = PidFile(settings.pid_file) if settings.pid_file else None
    if file is not None:
        file.write() if to is None else file.write(to.uid, to.gid)
    try:
        if to is not None:
            _change_user(plan, sockets, to)
        if settings.worker_tmp_dir:
            use_folder(settings.worker_tmp_dir)
    except BaseException:
        if file is not None:
            file.remove()
        raise

    def clean_up() -> None:
        remove_files(sockets)
        if file is not None:
            file.remove()

    return clean_up


def _change_user(plan: Plan, sockets: Sequence[socket.socket], to: Identity) -> None:
    try:
        if os.geteuid() == 0:
            _give_files(plan, sockets, to)
        privileges.become(to)
    except OSError as problem:
        place = f" ({problem.filename})" if problem.filename else ""
        raise ValueError(
            f"The server cannot become the user {to.shown()}{place}: {problem.strerror or problem}."
            " Check the permissions, or leave out --user."
        ) from None
    if plan.acme is not None and not os.access(plan.acme.state, os.R_OK | os.W_OK | os.X_OK):
        raise ValueError(
            f"The user {to.shown()} cannot write to {plan.acme.state}, where the certificate of"
            " --domain is kept. Use --state with another folder, such as /var/lib/carboy."
        )
    if plan.tls is not None:
        for each in privileges.unreadable(plan.tls.options.files()):
            log.warning(
                "The user %s cannot read %s, so changed certificates are not loaded again. Restart"
                " the server when they have changed, or let the user read the file.",
                to.shown(), each,
            )  # fmt: skip


def _give_files(plan: Plan, sockets: Sequence[socket.socket], to: Identity) -> None:
    """Give the user what was made as root and is needed later."""
    for sock in sockets:
        if isinstance(sock, Listener) and sock.path is not None and sock.file is not None:
            os.chown(sock.path, to.uid, -1 if plan.socket_group else to.gid)
    if plan.access_log and plan.access_log_file not in STANDARD:
        privileges.give_log_file(Path(plan.access_log_file), to)
    state = plan.state if plan.acme is None else plan.acme.state
    if state is not None:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        privileges.give(state, to)


def use_folder(text: str) -> None:
    """Have temporary files made in a folder, by everything in this process and its workers."""
    folder = Path(text).absolute()
    if not folder.is_dir():
        raise ValueError(f"--worker-tmp-dir {text} is not a folder. Make it, or use another one.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ValueError(
            f"The user of the server cannot write to --worker-tmp-dir {text}. Change its"
            " permissions, or use another folder."
        )
    import tempfile

    tempfile.tempdir = str(folder)
