"""`Authorization` and `WWW-Authenticate` (RFC 9110, section 11; RFC 7617; RFC 7616)."""

from __future__ import annotations

import binascii
from collections.abc import Callable
from typing import Any, Self

from carboy.http.containers.immutable import CallbackDict
from carboy.http.fields.syntax import dump_header, parse_dict_header, quote_header_value

# RFC 7616, sections 3.3 and 3.4, requires quotes around these even if they are tokens.
_DIGEST_QUOTED = frozenset({"realm", "domain", "nonce", "opaque", "qop"})


def _parse(value: str | None) -> tuple[str, str] | None:
    """The scheme in lower case, and the rest."""
    if not value:
        return None
    scheme, _, rest = value.partition(" ")
    return scheme.lower(), rest.strip(" \t")  # OWS, RFC 9110, section 5.6.3


def _has_parameters(rest: str) -> bool:
    """Whether the rest is `name=value, ...`. Otherwise it is a token68, which may end in "="."""
    return "=" in rest.rstrip("=")


class Authorization:
    """The credentials of a client: either `parameters` or a `token`.

    Basic has the parameters `username` and `password`. Parameters can be read as attributes and
    items; a missing parameter is None.
    """

    def __init__(
        self, auth_type: str, data: dict[str, str | None] | None = None, token: str | None = None
    ) -> None:
        self.type = auth_type
        self.parameters = {} if data is None else data
        self.token = token

    def __getattr__(self, name: str) -> str | None:
        if name.startswith("__") or name == "parameters":
            raise AttributeError(name)
        return self.parameters.get(name)

    def __getitem__(self, name: str) -> str | None:
        return self.parameters.get(name)

    def get(self, key: str, default: str | None = None) -> str | None:
        """A parameter; `default` if it is missing."""
        return self.parameters.get(key, default)

    def __contains__(self, key: str) -> bool:
        return key in self.parameters

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Authorization):
            return NotImplemented
        return (other.type, other.token, other.parameters) == (
            self.type,
            self.token,
            self.parameters,
        )

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> Any:
        return type(self), (self.type, self.parameters, self.token)

    @classmethod
    def from_header(cls, value: str | None) -> Self | None:
        """The credentials in a field; None without a value, or if Basic cannot be decoded."""
        found = _parse(value)
        if found is None:
            return None
        scheme, rest = found
        if scheme == "basic":
            try:
                username, _, password = _from_base64(rest).partition(":")
            except ValueError:  # of base64 or of UTF-8
                return None
            return cls(scheme, {"username": username, "password": password})
        if _has_parameters(rest):
            return cls(scheme, parse_dict_header(rest))
        return cls(scheme, None, rest)

    def to_header(self) -> str:
        """The credentials as the value of a field."""
        if self.type == "basic":
            text = f"{self.username}:{self.password}"
            return f"Basic {binascii.b2a_base64(text.encode(), newline=False).decode()}"
        if self.token is not None:
            return f"{self.type.title()} {self.token}"
        return f"{self.type.title()} {dump_header(self.parameters)}"

    def __str__(self) -> str:
        return self.to_header()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.to_header()}>"


def _from_base64(text: str) -> str:
    # Without strict mode, Python's decoder skips characters that are not in the alphabet.
    return binascii.a2b_base64(text, strict_mode=True).decode()


class WWWAuthenticate:
    """The challenge of a server: either `parameters` or a `token`.

    Parameters can be read and set as attributes and items. A missing parameter is None, and
    setting a parameter to None removes it. Each change updates the response's header.
    """

    _on_update: Callable[[WWWAuthenticate], None] | None
    _type: str
    _parameters: CallbackDict[str, str | None]
    _token: str | None

    def __init__(
        self, auth_type: str, values: dict[str, str | None] | None = None, token: str | None = None
    ) -> None:
        self._on_update = None
        self._type = auth_type.lower()
        self._parameters = CallbackDict(values, self._trigger_on_update)
        self._token = token

    def _trigger_on_update(self, _: object = None) -> None:
        if self._on_update is not None:
            self._on_update(self)

    def __reduce__(self) -> Any:
        # A copy does not belong to a response.
        return type(self), (self._type, dict(self._parameters), self._token)

    @property
    def type(self) -> str:
        """The scheme, in lower case."""
        return self._type

    @type.setter
    def type(self, value: str) -> None:
        self._type = value.lower()
        self._trigger_on_update()

    @property
    def parameters(self) -> dict[str, str | None]:
        """The parameters; changing the dict changes the header."""
        return self._parameters

    @parameters.setter
    def parameters(self, value: dict[str, str | None]) -> None:
        self._parameters = CallbackDict(value, self._trigger_on_update)
        self._trigger_on_update()

    @property
    def token(self) -> str | None:
        """The token68 of schemes that do not use parameters."""
        return self._token

    @token.setter
    def token(self, value: str | None) -> None:
        self._token = value
        self._trigger_on_update()

    def __getitem__(self, key: str) -> str | None:
        return self._parameters.get(key)

    def __setitem__(self, key: str, value: str | None) -> None:
        if value is None:
            self._parameters.pop(key, None)
        else:
            self._parameters[key] = value

    def __delitem__(self, key: str) -> None:
        self._parameters.pop(key, None)

    def __getattr__(self, name: str) -> str | None:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._parameters.get(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_") or name in _CHALLENGE_PROPERTIES:
            super().__setattr__(name, value)
        else:
            self[name] = value

    def __delattr__(self, name: str) -> None:
        del self[name]

    def __contains__(self, key: str) -> bool:
        return key in self._parameters

    def get(self, key: str, default: str | None = None) -> str | None:
        """A parameter; `default` if it is missing."""
        return self._parameters.get(key, default)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, WWWAuthenticate):
            return NotImplemented
        return (other._type, other._token, other._parameters) == (
            self._type,
            self._token,
            self._parameters,
        )

    __hash__ = None  # type: ignore[assignment]

    @classmethod
    def from_header(cls, value: str | None) -> Self | None:
        """The challenge in a field; None without a value."""
        found = _parse(value)
        if found is None:
            return None
        scheme, rest = found
        if _has_parameters(rest):
            return cls(scheme, parse_dict_header(rest))
        return cls(scheme, None, rest)

    def to_header(self) -> str:
        """The challenge as the value of a field."""
        scheme = self._type.title()
        if self._token is not None:
            return f"{scheme} {self._token}"
        if self._type != "digest":
            return f"{scheme} {dump_header(self._parameters)}".rstrip()
        parts = []
        for name, value in self._parameters.items():
            if value is not None:
                parts.append(f"{name}={quote_header_value(value, name not in _DIGEST_QUOTED)}")
        return f"{scheme} {', '.join(parts)}".rstrip()

    def __str__(self) -> str:
        return self.to_header()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.to_header()}>"


_CHALLENGE_PROPERTIES = frozenset({"type", "parameters", "token"})
