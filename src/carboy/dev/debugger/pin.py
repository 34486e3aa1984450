"""The PIN of the debugger.

Development servers choose a random PIN and store it in a variable that survives a reload. Without
the variable, the PIN is derived from user, machine and application, as Werkzeug's, and is the same
at each start.
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
    """The PIN in the environment variable; sets it to a random PIN if it is not set."""
    return os.environ.setdefault(
        VARIABLE, "-".join(f"{secrets.randbelow(1000):03}" for _ in range(3))
    )


def hash_pin(pin: str) -> str:
    """The hash of the PIN in the cookie."""
    return hashlib.sha1(f"{pin} added salt".encode("utf-8", "replace")).hexdigest()[:12]


@cache
def get_machine_id() -> str | bytes | None:
    """An identifier of this machine (or container), or None."""
    for read in (_linux, _macos, _windows):
        found = read()
        if found:
            return found
    return None


def _linux() -> bytes:
    found = b""
    # The boot id is the second choice, because it changes with every boot.
    for name in ("/etc/machine-id", "/proc/sys/kernel/random/boot_id"):
        with contextlib.suppress(OSError):
            found = Path(name).read_bytes().splitlines()[0].strip()
            break
    # Containers share the id of the machine and differ in their control group.
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

    The variable may contain a PIN: digits, with or without dashes.
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
    """A hash of values that do not change between starts and are hard to guess for others."""
    module = getattr(app, "__module__", type(app).__module__)
    try:
        user: str | None = getpass.getuser()
    except (ImportError, KeyError, OSError):  # a user without a name, for example in a container
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
    """The digits in groups of five, four or three, if they can be divided evenly."""
    for size in (5, 4, 3):
        if len(number) % size == 0:
            return "-".join(number[at : at + size] for at in range(0, len(number), size))
    return number
