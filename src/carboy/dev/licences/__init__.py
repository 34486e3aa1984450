"""Licences of installed packages, as their metadata names them, and what the common ones mean.

`licences.toml` summarises what they mean, to help the reader. It is not legal advice: only the text
of a licence is binding.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Licence:
    """The licence of a package as an SPDX expression.

    `by_text` says that the metadata names no licence, and the licence's text was recognised.
    """

    expression: str
    by_text: bool = False


@dataclass(frozen=True, slots=True)
class Terms:
    """The permissions, duties and prohibitions of a licence, and how to recognise it."""

    allows: str
    requires: str
    forbids: str
    names: Sequence[str] = ()
    words: Sequence[str] = ()


UNKNOWN_TERMS = Terms("unknown: read the licence", "unknown", "unknown")
TABLE = Path(__file__).with_name("licences.toml")
TERMS = {name: Terms(**row) for name, row in tomllib.loads(TABLE.read_text("utf-8")).items()}
LICENCE_FILE = re.compile(r"(^|/)(licen[cs]e|copying)[^/]*$", re.I)


def licence_of(package: str) -> Licence:
    """The licence of an installed package, from its metadata or else its licence's text."""
    if package == "python":
        return Licence("PSF-2.0")
    try:
        found = metadata.distribution(package)
    except metadata.PackageNotFoundError:
        return Licence(UNKNOWN)
    if named := _by_metadata(found.metadata):
        return Licence(named)
    recognised = {_by_text(text) for text in _texts(found)}
    if len(recognised) == 1 and (only := recognised.pop()):
        return Licence(only, by_text=True)
    return Licence(UNKNOWN)


def _by_metadata(about: metadata.PackageMetadata) -> str:
    if "License-Expression" in about:
        return str(about["License-Expression"])
    if named := _by_name(str(about["License"]) if "License" in about else ""):
        return named
    classified = [
        _by_name(each.rpartition(" :: ")[2])
        for each in about.get_all("Classifier") or []
        if each.startswith("License :: ")
    ]
    # "BSD License" alone does not say which BSD licence it is.
    return classified[0] if len(classified) == 1 else ""


def _by_name(text: str) -> str:
    plain = text.strip().lower()
    return next((name for name, terms in TERMS.items() if plain in terms.names), "")


def _texts(found: metadata.Distribution) -> list[str]:
    files = [file for file in found.files or () if ".dist-info/" in str(file)]
    named = [file for file in files if LICENCE_FILE.search(str(file))]
    return [file.read_text("utf-8") for file in named if Path(str(file.locate())).is_file()]


def _by_text(text: str) -> str:
    plain = " ".join(text.split())
    return next(
        (
            name
            for name, terms in TERMS.items()
            if terms.words and all(words in plain for words in terms.words)
        ),
        "",
    )


def parts_of(expression: str) -> list[str]:
    """The licences in an SPDX expression."""
    words = re.split(r"[\s()]+", re.sub(r"\bWITH\s+\S+", "", expression))
    return [word for word in words if word and word not in ("AND", "OR")]


def terms_of(licence: str) -> Terms:
    """The terms of a licence; `UNKNOWN_TERMS` if it is not in the table."""
    if licence in TERMS:
        return TERMS[licence]
    family = re.fullmatch(r"(A?GPL|LGPL)-\d\.\d(-only|-or-later)?", licence)
    return TERMS[family[1]] if family else UNKNOWN_TERMS
