"""Names of hosts for which a certificate can be ordered."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

MOST = 100  # names of one certificate, at Let's Encrypt and elsewhere
LONGEST = 253  # letters of a name (RFC 1035, section 2.3.4)
# A label in the form of RFC 5890: letters, digits and inner hyphens.
_label = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?").fullmatch
# Letters that IDNA 2003, the codec of Python, replaces and that IDNA 2008, the rule of browsers,
# keeps (RFC 5894, section 7.2).
DEVIATIONS = frozenset("ßς\u200c\u200d")


def hosts(given: Iterable[str]) -> tuple[str, ...]:
    """The names in the form of certificates, each once, in their order. Raises ValueError."""
    found = tuple(dict.fromkeys(map(host, given)))
    if len(found) > MOST:
        raise ValueError(
            f"A certificate can have {MOST} names, and --domain is given {len(found)} times. Use"
            " several servers."
        )
    return found


def host(text: str) -> str:
    """A name in lower case and as A-labels (RFC 5890). Raises ValueError with advice."""
    name = text.strip().lower().removesuffix(".")
    if name.startswith("*."):
        raise ValueError(
            f"--domain {text}: a wildcard needs the challenge dns-01, which Carboy does not do."
            " Give each name with a --domain of its own, or use the files of another ACME client"
            " with --cert and --key."
        )
    if _is_address(name):
        raise ValueError(
            f"--domain {text}: Carboy does not order certificates for IP addresses. Use a host"
            " name that leads to this machine."
        )
    if "://" in name or "/" in name or ":" in name:
        raise ValueError(f"--domain {text} is not a host name. Leave out scheme, port and path.")
    name = _with_a_labels(text, name)
    if len(name) > LONGEST or not all(map(_label, name.split("."))):
        raise ValueError(
            f"--domain {text} is not a host name. Use letters, digits, hyphens and dots, such as"
            " shop.example."
        )
    return name


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def _with_a_labels(text: str, name: str) -> str:
    if name.isascii():
        return name
    if DEVIATIONS.intersection(name):
        raise ValueError(
            f"--domain {text}: this name has a letter that Python converts by an old rule (IDNA"
            " 2003). Give the name in its form with xn--."
        )
    try:
        return name.encode("idna").decode("ascii").lower().removesuffix(".")
    except UnicodeError:
        raise ValueError(
            f"--domain {text} cannot be converted to the form of DNS. Check its letters, or give"
            " it in its form with xn--."
        ) from None
