"""The sites whose pages may open a WebSocket (RFC 6455, section 10.2).

Browsers send cookies with a handshake, also from the page of another site, and let that page read
the messages. Programs that are not browsers send no Origin, or any.
"""

from __future__ import annotations

import re

SAME = "same"
ANY = "*"
_origin = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://(\*\.)?([^\s/?#,*]+)").fullmatch
_default_port = {"http": ":80", "https": ":443"}


class Origins:
    """The origins that a text allows: "same", "null", "*", or origins, separated by commas.

    "https://*.example.com" allows each subdomain; an empty text allows all. Raises ValueError.
    """

    def __init__(self, text: str) -> None:
        self._all = not text.strip()
        self._same = False
        self._listed: set[str] = set()
        self._suffixes: list[tuple[str, str]] = []  # "https://" and ".example.com"
        for word in text.split(",") if not self._all else ():
            self._add(word.strip())

    def _add(self, word: str) -> None:
        found = _origin(word)
        if word == ANY:
            self._all = True
        elif word == SAME:
            self._same = True
        elif word == "null":
            self._listed.add(word)
        elif found is None:
            raise ValueError(
                f"{word!r} is not an origin. Use one such as https://example.com, or same."
            )
        elif found[2]:
            self._suffixes.append((f"{found[1].lower()}://", f".{_host(found[1], found[3])}"))
        else:
            self._listed.add(f"{found[1].lower()}://{_host(found[1], found[3])}")

    def allows(self, origin: str | None, host: str) -> bool:
        """Whether a handshake to `host` may come from `origin`; None: from no page."""
        if self._all or origin is None:
            return True
        if origin in self._listed:
            return True
        found = _origin(origin)
        if found is None or found[2]:
            return False
        scheme, name = found[1].lower(), _host(found[1], found[3])
        if self._same and name == _host(found[1], host):
            return True
        return f"{scheme}://{name}" in self._listed or any(
            f"{scheme}://" == start and name.endswith(end) for start, end in self._suffixes
        )


def _host(scheme: str, host: str) -> str:
    """Host and port in lower case, without the default port of the scheme."""
    return host.lower().removesuffix(_default_port.get(scheme.lower(), "\0"))
