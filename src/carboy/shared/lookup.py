"""Looks up the name of an engine for a limited time. The resolver itself has no such limit.

Without an answer from DNS, `getaddrinfo` returns after half a minute or later, and the limits of
the client libraries begin after it. So another thread looks up the name before a connection is
made. All connections to one host wait for one lookup.

    any thread               reads and changes `_running`, under the lock
    thread `carboy-lookup`   writes `error`, then sets `done`; others read `error` after that
"""

from __future__ import annotations

import socket
import threading
from ipaddress import ip_address

__all__ = ["look_up"]


class _Lookup:
    def __init__(self, host: str) -> None:
        self._host = host
        self.error: OSError | None = None
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._run, name="carboy-lookup", daemon=True)

    def _run(self) -> None:
        try:
            socket.getaddrinfo(self._host, None, type=socket.SOCK_STREAM)
        except OSError as error:
            self.error = error
        except UnicodeError as error:  # not a name: a label is empty or too long
            self.error = OSError(str(error))
        finally:
            with _lock:
                if _running.get(self._host) is self:
                    del _running[self._host]
            self.done.set()


_lock = threading.Lock()
_running: dict[str, _Lookup] = {}


def look_up(host: str, seconds: float) -> None:
    """Return when the resolver has answered with an address of `host`.

    Raises the resolver's error (OSError), and TimeoutError if it has not answered after `seconds`.
    """
    if _is_address(host):
        return
    with _lock:
        lookup = _running.get(host)
        if lookup is None or not lookup.thread.is_alive():  # or its process has forked
            lookup = _Lookup(host)
            try:
                lookup.thread.start()
            except RuntimeError:  # no thread can be started: the connection looks it up itself
                return
            _running[host] = lookup
    if not lookup.done.wait(seconds):
        raise TimeoutError(f"The name {host!r} was not resolved within {seconds:g} s.")
    if lookup.error is not None:
        raise OSError(*lookup.error.args)


def _is_address(host: str) -> bool:
    """Whether there is nothing to look up: an address, a path, or no host."""
    if not host or host.startswith(("/", "@")):
        return True
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
