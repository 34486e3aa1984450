"""Password hashes and safe paths.

A hash is `method$salt$hex`, the method with its parameters: `scrypt:32768:8:1` or
`pbkdf2:sha256:1000000`. Hashes of Werkzeug's have the same form and are checked the same.
"""

from __future__ import annotations

import os
import posixpath
import re

__all__ = [
    "DEFAULT_PBKDF2_ITERATIONS",
    "SALT_CHARS",
    "check_password_hash",
    "gen_salt",
    "generate_password_hash",
    "safe_join",
]

SALT_CHARS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
DEFAULT_PBKDF2_ITERATIONS = 1_000_000
_SCRYPT = (32768, 8, 1)  # 2**15 rounds, blocks of 8, one lane: 32 MiB and some 60 ms


def gen_salt(length: int) -> str:
    """`length` random letters and digits. ValueError if it is less than 1."""
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
    # RFC 7914, section 2: 128 r (N + p) octets, and the library wants a little more.
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
    """The hash in hex, and the method with all its parameters."""
    name, *arguments = method.split(":")
    if name not in _METHODS:
        raise ValueError(f"Invalid hash method {name!r}. Use scrypt or pbkdf2.")
    return _METHODS[name](arguments, salt.encode(), password.encode())


def generate_password_hash(password: str, method: str = "scrypt", salt_length: int = 16) -> str:
    """A salted hash of a password, to be stored.

    `method` is `scrypt[:N:r:p]` or `pbkdf2[:hash[:iterations]]`: ValueError for others.
    """
    salt = gen_salt(salt_length)
    found, described = _hash(method, salt, password)
    return f"{described}${salt}${found}"


def check_password_hash(pwhash: str, password: str) -> bool:
    """Whether the password is the one of the hash, compared in constant time."""
    from hmac import compare_digest

    method, *rest = pwhash.split("$", 2)
    if len(rest) != 2:
        return False
    salt, known = rest
    return compare_digest(_hash(method, salt, password)[0].encode(), known.encode())


# Opening one of these on Windows reaches a device, in whichever directory and with whatever
# extension it is named.
_DEVICE = re.compile(
    r"(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(?:COM|LPT)[0-9¹²³])\s*(?:[.:].*)?",
    re.IGNORECASE | re.DOTALL,
).fullmatch

# What this system has besides the slash; tests set those of another system.
_os_alt_seps = [each for each in (os.sep, os.path.altsep) if each not in (None, "/")]


# What separates segments here besides the slash.
_os_alt_seps = [sep for sep in (os.sep, os.altsep) if sep not in (None, "/")]


def safe_join(directory: str, *untrusted: str) -> str | None:
    """`directory` joined with untrusted parts, None if the result would lie outside it.

    Every part and every segment is judged by itself, without asking the file system: no
    absolute part, no way up, no NUL; on Windows no backslash, drive, stream or device name.
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
    if any(separator in part for separator in _os_alt_seps):
        return False
    segments = part.split("/")
    if ".." in segments:
        return False
    return os.name != "nt" or not any(
        "\\" in segment or ":" in segment or _DEVICE(segment.lstrip()) for segment in segments
    )


_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")
# Windows opens a device for a file of such a name, whatever its extension.
_DEVICES = frozenset(
    {"CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(10))}
)


def secure_filename(filename: str, _windows: bool | None = None) -> str:
    """A name for the file system made of one from a client: ASCII, no path, not hidden.

    May be empty. On Windows a device's name is preceded by an underscore.
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
