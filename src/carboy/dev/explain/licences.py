"""Licences as package metadata tells them, and what the common ones mean, in our own words.

A help for reading, no legal advice: the licence's own text is what holds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Licence:
    """An SPDX expression; `by_text`: metadata names none, but the text is known."""

    expression: str
    by_text: bool = False


@dataclass(frozen=True, slots=True)
class Terms:
    """What a licence allows, requires and forbids."""

    allows: str
    requires: str
    forbids: str


_ANY_USE = "Use, change, and pass on, commercially and in closed programs too"
_COPYLEFT = "Use, change, and pass on, for money too"
TERMS = {
    "MIT": Terms(
        _ANY_USE, "Keep the copyright line and the licence text", "Holding authors liable"
    ),
    "MIT-0": Terms(_ANY_USE, "Nothing", "Holding authors liable"),
    "0BSD": Terms(_ANY_USE, "Nothing", "Holding authors liable"),
    "Unlicense": Terms(_ANY_USE, "Nothing", "Holding authors liable"),
    "ISC": Terms(
        _ANY_USE, "Keep the copyright line and the licence text", "Holding authors liable"
    ),
    "BSD-2-Clause": Terms(
        _ANY_USE,
        "Keep notice and conditions, in source and with binaries",
        "Holding authors liable",
    ),
    "BSD-3-Clause": Terms(
        _ANY_USE,
        "Keep notice and conditions, in source and with binaries",
        "Advertising with the authors' names; holding them liable",
    ),
    "Apache-2.0": Terms(
        f"{_ANY_USE}; contributors grant their patents",
        "Keep licence and NOTICE, and mark changed files",
        "Using trade marks; a patent suit over it ends the patent grant",
    ),
    "PSF-2.0": Terms(
        _ANY_USE, "Keep licence and copyright, and sum up your changes", "Using the PSF's name"
    ),
    "MPL-2.0": Terms(
        f"{_ANY_USE}, beside files of other licences",
        "Offer the source of its own files, changed ones too, under MPL-2.0",
        "Using trade marks; closing its files",
    ),
    "LGPL": Terms(
        f"{_COPYLEFT}; closed programs may link to it",
        "Offer its source with changes, and let users replace it",
        "Closing the library itself",
    ),
    "GPL": Terms(
        _COPYLEFT, "Offer the source of the whole program passed on, under the GPL", "Closing it"
    ),
    "AGPL": Terms(
        _COPYLEFT,
        "Offer the source of the whole program, to users over a network too",
        "Closing it, also as a service",
    ),
}
NOBODY_KNOWS = Terms("not known: read its licence", "not known", "not known")
# Texts of the old License field and classifiers that name one licence and no other.
NAMES = {
    "mit": "MIT",
    "mit license": "MIT",
    "bsd-3-clause": "BSD-3-Clause",
    "3-clause bsd": "BSD-3-Clause",
    "bsd 3-clause": "BSD-3-Clause",
    "bsd 3-clause license": "BSD-3-Clause",
    "bsd-2-clause": "BSD-2-Clause",
    "apache 2.0": "Apache-2.0",
    "apache-2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "isc": "ISC",
    "isc license (iscl)": "ISC",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "mpl-2.0": "MPL-2.0",
    "psf-2.0": "PSF-2.0",
}


# Words that stand in one licence and in no other of these; the first that fits.
TEXTS = (
    ("Apache-2.0", ("Apache License", "Version 2.0, January 2004")),
    ("MPL-2.0", ("Mozilla Public License", "Version 2.0", "Covered Software")),
    ("BSD-3-Clause", ("Redistribution and use in source and binary forms", "endorse or promote")),
    ("BSD-2-Clause", ("Redistribution and use in source and binary forms",)),
    ("MIT", ("Permission is hereby granted, free of charge", "this permission notice shall be")),
    ("ISC", ("Permission to use, copy, modify, and", "copyright notice and this permission")),
)
FILES = re.compile(r"(^|/)(licen[cs]e|copying)[^/]*$", re.I)


def licence_of(package: str) -> Licence:
    """The licence of an installed package, as its metadata or its licence's text tells it."""
    if package == "python":
        return Licence("PSF-2.0")
    try:
        found = metadata.distribution(package)
    except metadata.PackageNotFoundError:
        return Licence(UNKNOWN)
    if named := _by_name(found.metadata):
        return Licence(named)
    recognised = {_recognised(text) for text in _texts(found)}
    if len(recognised) == 1 and (only := recognised.pop()):
        return Licence(only, by_text=True)
    return Licence(UNKNOWN)


def _by_name(about: metadata.PackageMetadata) -> str:
    if "License-Expression" in about:
        return str(about["License-Expression"])
    named = str(about["License"]) if "License" in about else ""
    if named.strip().lower() in NAMES:
        return NAMES[named.strip().lower()]
    classified = [
        NAMES.get(each.rpartition(" :: ")[2].lower(), "")
        for each in about.get_all("Classifier") or []
        if each.startswith("License :: ")
    ]
    # "BSD License" alone does not say which of them.
    return classified[0] if len(classified) == 1 else ""


def _texts(found: metadata.Distribution) -> list[str]:
    files = [file for file in found.files or () if ".dist-info/" in str(file)]
    named = [file for file in files if FILES.search(str(file))]
    return [file.read_text("utf-8") for file in named if Path(str(file.locate())).is_file()]


def _recognised(text: str) -> str:
    plain = " ".join(text.split())
    return next((name for name, words in TEXTS if all(word in plain for word in words)), "")


def parts_of(expression: str) -> list[str]:
    """The licences that an SPDX expression is made of."""
    words = re.split(r"[\s()]+", re.sub(r"\bWITH\s+\S+", "", expression))
    return [word for word in words if word and word not in ("AND", "OR")]


def terms_of(licence: str) -> Terms:
    """What a licence means."""
    if licence in TERMS:
        return TERMS[licence]
    family = re.fullmatch(r"(A?GPL|LGPL)-\d\.\d(-only|-or-later)?", licence)
    return TERMS[family[1]] if family else NOBODY_KNOWS
