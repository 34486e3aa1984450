"""The header fields of a WSGI environ, seen as Headers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

from carboy.http.headers import Field, Headers
from carboy.http.mixins import ImmutableHeadersMixin

# The two that CGI names without HTTP_ (RFC 3875, section 4.1); an HTTP_ one beside them is
# not what the server has understood.
_UNPREFIXED = ("CONTENT_TYPE", "CONTENT_LENGTH")
_SHADOWED = ("HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH")


class EnvironHeaders(ImmutableHeadersMixin, Headers):
    """A read-only view of the `HTTP_` keys of a WSGI environ.

    It can not be copied, because the environ belongs to the server: `Headers(view)` makes
    headers of one's own. A missing name raises BadRequestKeyError.
    """

    def __init__(self, environ: dict[str, Any]) -> None:
        self.environ = environ

    @property
    def _list(self) -> list[Field]:  # type: ignore[override]
        return list(self)

    def _find(self, key: Any) -> str | None:
        if not isinstance(key, str):
            return None
        name = key.upper().replace("-", "_")
        if name in _UNPREFIXED:
            return self.environ.get(name)
        return self.environ.get("HTTP_" + name)

    def __getitem__(self, key: Any) -> str:
        return self._get_key(key)

    def __iter__(self) -> Iterator[Field]:
        for name, value in self.environ.items():
            if name.startswith("HTTP_"):
                if name not in _SHADOWED:
                    yield name[5:].replace("_", "-").title(), value
            elif value and name in _UNPREFIXED:
                yield name.replace("_", "-").title(), value

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, EnvironHeaders):
            return NotImplemented
        return self.environ is other.environ

    __hash__ = None

    def copy(self) -> NoReturn:
        raise TypeError(
            f"cannot create {type(self).__name__!r} copies: use Headers(these) instead."
        )

    def __or__(self, other: Any) -> NoReturn:
        raise TypeError(
            f"cannot create {type(self).__name__!r} copies: merge into Headers(these) instead."
        )
