"""Password hashes and safe paths.

A hash is `method$salt$hex`, the method with its parameters: `scrypt:32768:8:1` or
`pbkdf2:sha256:1000000`. Hashes of Werkzeug's have the same form and are checked the same.
"""

from __future__ import annotations

from carboy.http.paths import safe_join

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
