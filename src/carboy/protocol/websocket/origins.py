"""The setting --websocket-origins: the sites whose pages may open a WebSocket.

Programs that are not browsers send no Origin, or any.
"""

from __future__ import annotations

from carboy.origins import Origin, read_origin

SAME = "same"
ANY = "*"
NULL = "null"  # the origin of a page that has none, such as a file


class Origins:
    """The origins that a text allows: "same", "null", "*", or origins, separated by commas.

    "https://*.example.com" allows each subdomain; an empty text allows all. Raises ValueError.
    """

    def __init__(self, text: str) -> None:
        words = [word.strip() for word in text.split(",")] if text.strip() else [ANY]
        self._all = ANY in words
        self._same = SAME in words
        self._null = NULL in words
        self._listed = [_read(word) for word in words if word not in (ANY, SAME, NULL)]

    def allows(self, origin: str | None, host: str) -> bool:
        """Whether a handshake to `host` may come from `origin`; None: from no page."""
        if self._all or origin is None or (self._null and origin == NULL):
            return True
        page = read_origin(origin)
        if page is None or page.subdomains:
            return False
        if self._same and page.is_of(host):
            return True
        return any(each.allows(page) for each in self._listed)


def _read(word: str) -> Origin:
    found = read_origin(word)
    if found is None:
        raise ValueError(
            f"{word!r} is not an origin. Use one such as https://example.com, or same."
        )
    return found
