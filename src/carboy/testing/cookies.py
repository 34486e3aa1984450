"""The cookies of a test client (the parts of RFC 6265 that tests need)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from carboy.dates import parse_date
from carboy.http.fields.cookies import dump_cookie, parse_cookie

Key = tuple[str, str, str]


@dataclass(frozen=True)
class Cookie:
    """A cookie. `key` and `value` are encoded, as in the header.

    With `origin_only`, the cookie is for its domain only, otherwise also for its subdomains.
    """

    key: str
    value: str
    decoded_key: str
    decoded_value: str
    expires: datetime | None
    max_age: int | None
    domain: str
    origin_only: bool
    path: str
    secure: bool
    http_only: bool
    same_site: str | None

    @property
    def _storage_key(self) -> Key:
        return self.domain, self.path, self.decoded_key

    @property
    def _should_delete(self) -> bool:
        return (self.max_age is not None and self.max_age <= 0) or (
            self.expires is not None and self.expires.timestamp() == 0
        )

    def _matches_request(self, server_name: str, path: str) -> bool:
        """Whether a request for this host and path has the cookie (sections 5.1.3 and 5.1.4)."""
        domain = self.domain
        host = server_name.lower()
        if host != domain and (self.origin_only or not host.endswith(f".{domain}")):
            return False
        if path == self.path:
            return True
        return path.startswith(self.path if self.path.endswith("/") else f"{self.path}/")

    def _to_request_header(self) -> str:
        return f"{self.key}={self.value}"


def cookie_from_header(server_name: str, path: str, header: str) -> Cookie | None:
    """The cookie of a Set-Cookie field in the response of a host and path; None if invalid."""
    pair, _, rest = header.partition(";")
    key, _, value = (part.strip() for part in pair.partition("="))
    decoded = next(iter(parse_cookie(pair).items()), None)
    if decoded is None:
        return None
    attributes: dict[str, str] = {}
    for attribute in rest.split(";"):
        name, _, text = attribute.partition("=")
        attributes[name.strip().lower()] = text.strip()
    domain = attributes.get("domain", "").lower().removeprefix(".")
    return Cookie(
        key=key,
        value=value,
        decoded_key=decoded[0],
        decoded_value=decoded[1],
        expires=parse_date(attributes.get("expires")),
        max_age=_seconds(attributes.get("max-age")),
        domain=domain or server_name.lower(),
        origin_only=not domain,
        path=attributes.get("path") or path.rpartition("/")[0] or "/",
        secure="secure" in attributes,
        http_only="httponly" in attributes,
        same_site=attributes.get("samesite"),
    )


def _seconds(text: str | None) -> int | None:
    """Max-Age in seconds. A value that is not a number is ignored (section 5.2.2)."""
    try:
        return None if text is None else int(text)
    except ValueError:
        return None


# The cookies of a client, in the order in which they were first set: a dict, because tests read and
# clear `client._cookies`.
CookieJar: TypeAlias = dict[Key, Cookie]


def store(jar: CookieJar, cookie: Cookie | None) -> None:
    """Store a cookie, or remove it if it has expired."""
    if cookie is None:
        return
    if cookie._should_delete:
        jar.pop(cookie._storage_key, None)
    else:
        jar[cookie._storage_key] = cookie


def set_cookie(
    jar: CookieJar,
    key: str,
    value: str,
    domain: str,
    origin_only: bool,
    path: str,
    **kwargs: Any,
) -> None:
    """Store a cookie as if a response from `domain` had set it."""
    header = dump_cookie(key, value, domain=None if origin_only else domain, path=path, **kwargs)
    store(jar, cookie_from_header(domain.removeprefix("."), path, header))


def header_for(jar: CookieJar, server_name: str, path: str) -> str:
    """The Cookie field of a request; empty without matching cookies."""
    return "; ".join(
        cookie._to_request_header()
        for cookie in jar.values()
        if cookie._matches_request(server_name, path)
    )
