"""The secrets of a request, found before it is sent, and taken out of all that is told of it.

What a value is called is known only where it stands beside its name; the octets of a password go
through many functions that call them `data`. So its text is looked for everywhere.
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus

from carboy.dev.explain.tree import Node
from carboy.dev.explain.values import SECRET_NAME

LEAST = 4  # characters: what is shorter would be found in anything
SHOWN = "…"
PART = re.compile(rb"name=\"?([^\";\r\n]+)[^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\n(.*?)\r\n--", re.DOTALL)


def secrets_of(path: str, fields: Mapping[str, str], body: bytes | None) -> set[str]:
    """The values in a request that cookies and authorization have, or names of secrets."""
    found: set[str] = set()
    for name, value in fields.items():
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


class Eraser:
    """Takes secrets out of texts, in each form in which they may stand there."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets if len(secret) >= LEAST for form in _forms(secret)}
        ordered = sorted(forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(_cut_or_whole, ordered)) or r"(?!)")

    def erase(self, text: str) -> str:
        """The text without them."""
        return self._pattern.sub(SHOWN, text)

    def clean(self, nodes: Iterable[Node]) -> None:
        """Take them out of what went into calls and came out of them."""
        for node in nodes:
            node.args = tuple((name, self.erase(value)) for name, value in node.args)
            node.result = self.erase(node.result)


def _forms(secret: str) -> set[str]:
    latin = secret.encode().decode("latin-1")
    plain = {secret, latin, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]}
    octets = repr(secret.encode())[2:-1]
    return plain | {octets} | {repr(each)[1:-1] for each in plain}


def _cut_or_whole(form: str) -> str:
    """A pattern of the form, and of its beginning where a value was cut."""
    cut = "|".join(re.escape(form[:size]) for size in range(min(len(form), 80) - 1, LEAST - 1, -1))
    return f"{re.escape(form)}|(?:{cut})(?=…)"
