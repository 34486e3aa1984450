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
    """The permissions, duties and restrictions of a licence, and how to recognise it."""

    allows: str
    requires: str
    restricts: str
    names: Sequence[str] = ()
    words: Sequence[str] = ()


UNKNOWN_TERMS = Terms("unknown: read the licence", "unknown", "unknown")
TABLE = Path(__file__).with_name("licences.toml")
ROWS = tomllib.loads(TABLE.read_text("utf-8"))
NAMES: dict[str, str] = ROWS.pop("names")
PACKAGES: dict[str, str] = ROWS.pop("packages")
TERMS = {name: Terms(**row) for name, row in ROWS.items()}
FAMILY = re.compile(r"(A?GPL|LGPL)-\d\.\d(-only|-or-later)?")
LICENCE_FILE = re.compile(r"(^|/)(licen[cs]e|copying)[^/]*$", re.I)


def licence_of(package: str) -> Licence:
    """The licence of an installed package, from its metadata or else its licence's text."""
    if package == "python":
        return Licence("PSF-2.0")
    if package in PACKAGES:
        return Licence(PACKAGES[package], by_text=True)
    try:
        found = metadata.distribution(package)
    except metadata.PackageNotFoundError:
        return Licence(UNKNOWN)
    if named := _by_metadata(found.metadata):
        return Licence(named)
    recognised = {_by_text(text) for text in _texts(found)}
    if len(recognised) == 1 and (only := recognised.pop()) and _may_be(only, found.metadata):
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
    plain = " ".join(text.split()).lower()
    if found := next((name for name, terms in TERMS.items() if plain in terms.names), ""):
        return found
    if plain in NAMES:
        return NAMES[plain]
    # The field was free text before it had a successor for expressions; some hold one.
    parts = parts_of(text)
    return text.strip() if parts and all(map(is_known, parts)) else ""


def is_known(licence: str) -> bool:
    return licence in TERMS or FAMILY.fullmatch(licence) is not None


def _may_be(licence: str, about: metadata.PackageMetadata) -> bool:
    """Whether the metadata does not contradict a licence: a file may hold that of a part only."""
    told = [each for each in about.get_all("Classifier") or [] if each.startswith("License :: ")]
    named = str(about["License"]) if "License" in about else ""
    if named.startswith("LicenseRef-") or any("Proprietary" in each for each in told):
        return False
    return licence.startswith("BSD-") or "License :: OSI Approved :: BSD License" not in told


def _texts(found: metadata.Distribution) -> list[str]:
    # The first folder, because a package may contain others with their licences.
    files = [file for file in found.files or () if file.parts[0].endswith(".dist-info")]
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


def in_words(expression: str) -> str:
    """The meaning of an expression of several licences; "" for a single licence."""
    if " OR " in expression and " AND " in expression:
        return "several parts, of which some let you choose between licences"
    if " OR " in expression:
        return "you may choose one of these licences"
    if " AND " in expression:
        return "parts are under each of these licences; all of them apply"
    return ""


def terms_of(licence: str) -> Terms:
    """The terms of a licence; `UNKNOWN_TERMS` if it is not in the table."""
    if licence in TERMS:
        return TERMS[licence]
    family = FAMILY.fullmatch(licence)
    return TERMS[family[1]] if family else UNKNOWN_TERMS
