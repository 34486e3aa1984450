"""The PIN that opens the debugger.

Servers for development set one at random, in a variable that outlives a reload. Without it, it is
made of this user, machine and application, the same each start, as Werkzeug's.
"""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import os
import platform
import re
import secrets
import subprocess
import sys
import uuid
from functools import cache
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any

__all__ = ["PIN_TIME", "get_machine_id", "get_pin_and_cookie_name", "hash_pin"]

PIN_TIME = 60 * 60 * 24 * 7  # seconds that a browser stays trusted
VARIABLE = "WERKZEUG_DEBUG_PIN"
DIGITS = 9


def settle_pin() -> str:
    """The PIN of the variable, which is set at random if nobody has set it."""
    return os.environ.setdefault(
        VARIABLE, "-".join(f"{secrets.randbelow(1000):03}" for _ in range(3))
    )


def hash_pin(pin: str) -> str:
    """What the cookie holds of the PIN."""
    return hashlib.sha1(f"{pin} added salt".encode("utf-8", "replace")).hexdigest()[:12]


@cache
def get_machine_id() -> str | bytes | None:
    """What tells this machine (or container) from others; None where nothing does."""
    for read in (_linux, _macos, _windows):
        found = read()
        if found:
            return found
    return None


def _linux() -> bytes:
    found = b""
    # The boot's id is the second choice: it changes with every boot.
    for name in ("/etc/machine-id", "/proc/sys/kernel/random/boot_id"):
        with contextlib.suppress(OSError):
            found = Path(name).read_bytes().splitlines()[0].strip()
            break
    # Containers share the machine's id, and tell apart by their control group.
    with contextlib.suppress(OSError, IndexError):
        group = Path("/proc/self/cgroup").read_bytes().splitlines()[0].strip()
        found += group.rpartition(b"/")[2]
    return found


def _macos() -> bytes | None:
    if platform.system() != "Darwin":
        return None
    with contextlib.suppress(OSError):
        told = subprocess.run(
            ["ioreg", "-c", "IOPlatformExpertDevice", "-d", "2"], capture_output=True, check=False
        ).stdout
        match = re.search(rb'"serial-number" = <([^>]+)', told)
        return match[1] if match else None
    return None


def _windows() -> str | bytes | None:
    try:
        winreg: Any = import_module("winreg")
    except ImportError:
        return None

    with contextlib.suppress(OSError):
        where = winreg.HKEY_LOCAL_MACHINE, r"SOFTWARE\Microsoft\Cryptography"
        access = winreg.KEY_READ | winreg.KEY_WOW64_64KEY
        with winreg.OpenKey(*where, 0, access) as key:
            value: str | bytes = winreg.QueryValueEx(key, "MachineGuid")[0]
            return value
    return None


def get_pin_and_cookie_name(app: Any) -> tuple[str, str] | tuple[None, None]:
    """The PIN and the name of its cookie; (None, None) when WERKZEUG_DEBUG_PIN is "off".

    The variable may hold a PIN of one's own: digits, or digits with dashes where one likes them.
    """
    given = os.environ.get(VARIABLE)
    if given == "off":
        return None, None
    seed = _seed(app)
    cookie = f"__wzd{seed.hexdigest()[:20]}"
    if given is not None and given.replace("-", "").isdecimal():
        return (given if "-" in given else _grouped(given)), cookie
    seed.update(b"pinsalt")
    return _grouped(f"{int(seed.hexdigest(), 16):09d}"[:DIGITS]), cookie


def _seed(app: Any) -> Any:
    """A hash of what is the same at every start here, and of what others cannot easily know."""
    module = getattr(app, "__module__", type(app).__module__)
    try:
        user: str | None = getpass.getuser()
    except (ImportError, KeyError, OSError):  # a user without a name, as containers have
        user = None
    public = (
        user,
        module,
        getattr(app, "__name__", type(app).__name__),
        getattr(sys.modules.get(module), "__file__", None),
    )
    seed = hashlib.sha1()
    for bit in chain(public, (str(uuid.getnode()), get_machine_id())):
        if bit:
            seed.update(bit.encode() if isinstance(bit, str) else bit)
    seed.update(b"cookiesalt")
    return seed


def _grouped(number: str) -> str:
    """The digits in groups of five, four or three, if they come out even."""
    for size in (5, 4, 3):
        if len(number) % size == 0:
            return "-".join(number[at : at + size] for at in range(0, len(number), size))
    return number
