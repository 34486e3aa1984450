"""Finds the secrets of a request before it is sent, and removes them from its explanation.

A password passes through many functions as an argument called `data`, so names are not enough to
find it. Its text is removed everywhere.
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import b64decode
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus

from carboy.dev.explain.tree import Node
from carboy.dev.explain.values import SECRET_NAME

LEAST = 4  # characters; a shorter text would be found in any text
SHOWN = "…"
SET_COOKIE = re.compile(r"(?im)^(set-cookie:[^=;\r\n]*=)([^;\r\n]*)")
PART = re.compile(rb"name=\"?([^\";\r\n]+)[^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\n(.*?)\r\n--", re.DOTALL)


def secrets_of(path: str, fields: Iterable[tuple[str, str]], body: bytes | None) -> set[str]:
    """The values of cookies and authorization in a request, and of names such as "password"."""
    found: set[str] = set()
    for name, value in fields:
        if SECRET_NAME.search(name):
            found |= {value, *re.split(r"[ ;,=]+", value), *_basic(value)}
    found.update(_of_pairs(parse_qsl(path.partition("?")[2])))
    found.update(_of_body(body or b""))
    return {each for each in found if each.lower() not in ("", "basic", "bearer")}


def _basic(value: str) -> list[str]:
    scheme, _, coded = value.partition(" ")
    if scheme.lower() != "basic":
        return []
    try:
        return [b64decode(coded).decode("utf-8", "replace").partition(":")[2]]
    except binascii.Error:
        return []


def _of_body(body: bytes) -> Iterator[str]:
    text = body.decode("utf-8", "replace")
    yield from _of_pairs(parse_qsl(text))
    parts = [(name.decode("utf-8", "replace"), value) for name, value in PART.findall(body)]
    yield from _of_pairs((name, value.decode("utf-8", "replace")) for name, value in parts)
    try:
        yield from _of_document(json.loads(text), "")
    except ValueError:
        pass


def _of_pairs(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    return (value for name, value in pairs if SECRET_NAME.search(name))


def _of_document(value: Any, name: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _of_document(each, f"{name}.{key}" if SECRET_NAME.search(name) else key)
    elif isinstance(value, list):
        for each in value:
            yield from _of_document(each, name)
    elif value is not None and SECRET_NAME.search(name):
        yield str(value)


def blank_cookies(message: str) -> str:
    """A response, with a star for each character of the cookies that it sets."""
    head, end, body = message.partition("\r\n\r\n")
    return SET_COOKIE.sub(lambda found: found[1] + "*" * len(found[2]), head) + end + body


class Eraser:
    """Removes secrets from texts, in all encodings in which they may occur."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets if len(secret) >= LEAST for form in _forms(secret)}
        ordered = sorted(forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(_cut_or_whole, ordered)) or r"(?!)")

    def erase(self, text: str) -> str:
        """The text without the secrets."""
        return self._pattern.sub(SHOWN, text)

    def blank(self, text: str) -> str:
        """The text with a star for each character of a secret, so that the rest keeps its place."""
        return self._pattern.sub(lambda found: "*" * len(found[0]), text)

    def clean(self, nodes: Iterable[Node]) -> None:
        """Remove the secrets from the arguments and results of calls."""
        for node in nodes:
            node.args = tuple((name, self.erase(value)) for name, value in node.args)
            node.result = self.erase(node.result)


def _forms(secret: str) -> set[str]:
    latin = secret.encode().decode("latin-1")
    plain = {secret, latin, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]}
    as_bytes = repr(secret.encode())[2:-1]
    return plain | {as_bytes} | {repr(each)[1:-1] for each in plain}


def _cut_or_whole(form: str) -> str:
    """A pattern that matches the form, or its beginning where a value was cut."""
    cut = "|".join(re.escape(form[:size]) for size in range(min(len(form), 80) - 1, LEAST - 1, -1))
    return f"{re.escape(form)}|(?:{cut})(?=…)" if cut else re.escape(form)
