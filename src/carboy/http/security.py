"""Password hashes, and paths and file names from clients.

A hash is `method$salt$hex`. The method includes its parameters: `scrypt:32768:8:1` or
`pbkdf2:sha256:1000000`. This is the format of Werkzeug's hashes.
"""

from __future__ import annotations

import os
import posixpath
import re

from carboy.late import compiled_later

SALT_CHARS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
DEFAULT_PBKDF2_ITERATIONS = 1_000_000
_SCRYPT = (32768, 8, 1)  # N, r, p: takes 32 MiB and about 60 ms


def gen_salt(length: int) -> str:
    """`length` random letters and digits. ValueError if `length` is less than 1."""
    if length <= 0:
        raise ValueError(f"Salt length must be at least 1, not {length}.")
    from secrets import choice

    return "".join(choice(SALT_CHARS) for _ in range(length))


def _scrypt(arguments: list[str], salt: bytes, password: bytes) -> tuple[str, str]:
    from hashlib import scrypt

    try:
        n, r, p = map(int, arguments) if arguments else _SCRYPT
    except ValueError:
        raise ValueError("'scrypt' takes 3 arguments, all numbers: scrypt:N:r:p.") from None
    # RFC 7914, section 2: 128 r (N + p) bytes. OpenSSL needs a little more.
    memory = 128 * r * (n + p + 2)
    found = scrypt(password, salt=salt, n=n, r=r, p=p, maxmem=memory)
    return found.hex(), f"scrypt:{n}:{r}:{p}"


def _pbkdf2(arguments: list[str], salt: bytes, password: bytes) -> tuple[str, str]:
    from hashlib import pbkdf2_hmac

    if len(arguments) > 2:
        raise ValueError("'pbkdf2' takes 2 arguments, a hash and a number: pbkdf2:sha256:1000000.")
    name = arguments[0] if arguments else "sha256"
    iterations = int(arguments[1]) if len(arguments) == 2 else DEFAULT_PBKDF2_ITERATIONS
    found = pbkdf2_hmac(name, password, salt, iterations)
    return found.hex(), f"pbkdf2:{name}:{iterations}"


_METHODS = {"scrypt": _scrypt, "pbkdf2": _pbkdf2}


def _hash(method: str, salt: str, password: str) -> tuple[str, str]:
    """The hash in hexadecimal, and the method with all parameters."""
    name, *arguments = method.split(":")
    if name not in _METHODS:
        raise ValueError(f"Invalid hash method {name!r}. Use scrypt or pbkdf2.")
    return _METHODS[name](arguments, salt.encode(), password.encode())


def generate_password_hash(password: str, method: str = "scrypt", salt_length: int = 16) -> str:
    """A salted hash of a password, for storage.

    `method` is `scrypt[:N:r:p]` or `pbkdf2[:hash[:iterations]]`; ValueError for other methods.
    """
    salt = gen_salt(salt_length)
    found, described = _hash(method, salt, password)
    return f"{described}${salt}${found}"


def check_password_hash(pwhash: str, password: str) -> bool:
    """Whether the password has this hash, compared in constant time."""
    from hmac import compare_digest

    method, *rest = pwhash.split("$", 2)
    if len(rest) != 2:
        return False
    salt, known = rest
    return compare_digest(_hash(method, salt, password)[0].encode(), known.encode())


# On Windows these names open a device, in any directory and with any extension.
_DEVICE = compiled_later(
    r"(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(?:COM|LPT)[0-9¹²³])\s*(?:[.:].*)?",
    re.IGNORECASE | re.DOTALL,
)

# Separators of this system besides the slash. Tests set those of another system.
_os_alt_seps = [sep for sep in (os.sep, os.altsep) if sep not in (None, "/")]


def safe_join(directory: str, *untrusted: str) -> str | None:
    """`directory` joined with untrusted parts; None if the result could be outside it.

    The parts are checked as text, without the file system. Absolute parts, `..` and NUL are
    refused; on Windows also backslashes, drives, streams and the names of devices.
    """
    parts = [directory or "."]
    for part in untrusted:
        if not part:
            continue
        part = posixpath.normpath(part)
        if not _is_inside(part):
            return None
        parts.append(part)
    return posixpath.join(*parts)


def _is_inside(part: str) -> bool:
    if "\0" in part or part.startswith("/") or any(sep in part for sep in _os_alt_seps):
        return False
    segments = part.split("/")
    if ".." in segments:
        return False
    return os.name != "nt" or not any(
        "\\" in segment or ":" in segment or _DEVICE.fullmatch(segment.lstrip())
        for segment in segments
    )


_UNSAFE = compiled_later(r"[^A-Za-z0-9_.-]+")
# On Windows these names open a device, with any extension.
_DEVICES = frozenset(
    {"CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(10))}
)


def secure_filename(filename: str, _windows: bool | None = None) -> str:
    """A file name for the file system made from a client's: ASCII, without a path, not hidden.

    The result may be empty. On Windows the name of a device gets an underscore in front.
    """
    from unicodedata import normalize

    name = normalize("NFKD", filename).encode("ascii", "ignore").decode("ascii")
    for separator in (os.sep, os.altsep):
        if separator:
            name = name.replace(separator, " ")
    name = _UNSAFE.sub("", "_".join(name.split())).strip("._")
    windows = os.name == "nt" if _windows is None else _windows
    if windows and name.split(".")[0].upper() in _DEVICES:
        name = f"_{name}"
    return name
