"""`carboy` on a Python that has only what Windows has: run with the arguments of the command.

Modules that the standard library has already imported stay available. Prints a line when every
module of Carboy has been imported.
"""

from __future__ import annotations

import asyncio  # noqa: F401 - looks at the system while it is imported, as do the others
import http.server  # noqa: F401
import importlib
import multiprocessing.sharedctypes  # noqa: F401
import multiprocessing.synchronize  # noqa: F401
import os
import pkgutil
import select
import selectors
import signal
import socket
import ssl  # noqa: F401
import sys
import tempfile  # noqa: F401

OS = """fork forkpty register_at_fork sendfile getuid geteuid getgid getegid setuid setgid wait
WNOHANG WIFEXITED WEXITSTATUS WIFSIGNALED WTERMSIG waitid uname fchmod fchown chown getpgid killpg
setsid pread pwrite writev readv nice getgroups initgroups sched_getaffinity"""
SIGNAL = """pthread_sigmask pthread_kill sigwait sigpending sigtimedwait setitimer alarm pause
siginterrupt"""
SIGNALS = ("SIGINT", "SIGTERM", "SIGABRT", "SIGFPE", "SIGILL", "SIGSEGV", "SIG_DFL", "SIG_IGN")
SOCKET = "AF_UNIX recv_fds send_fds SO_REUSEPORT CMSG_LEN SCM_RIGHTS SO_PEERCRED"
MODULES = "fcntl pwd grp resource termios tty pty readline syslog"


def forget(module: object, names: str) -> None:
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)


forget(os, OS)
forget(signal, SIGNAL)
forget(signal, " ".join(n for n in vars(signal) if n.startswith("SIG") and n not in SIGNALS))
forget(socket, SOCKET)
forget(select, "epoll poll kqueue devpoll")
forget(selectors, "EpollSelector PollSelector KqueueSelector DevpollSelector")
sys.modules.update(dict.fromkeys(MODULES.split()))  # type: ignore[arg-type]

import carboy  # noqa: E402
from carboy.cli.main import main  # noqa: E402

sys.path[0] = os.getcwd()  # noqa: PTH109 - as with `python -m carboy`
for found in pkgutil.walk_packages(carboy.__path__, "carboy."):
    compiled = found.name.startswith("carboy._speedups.")  # for this system, if they are built
    if not compiled and not found.name.endswith(("__main__", "compat.pytest")):
        importlib.import_module(found.name)
print("every module is there", file=sys.stderr, flush=True)
main()
