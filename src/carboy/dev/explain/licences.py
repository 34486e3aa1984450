"""Licences as package metadata tells them, and what the common ones mean, in our own words.

A help for reading, no legal advice: the licence's own text is what holds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import metadata

UNKNOWN = "unknown"


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


def licence_of(package: str) -> str:
    """The SPDX expression of an installed package, or "unknown"."""
    if package == "python":
        return "PSF-2.0"
    try:
        about = metadata.metadata(package)
    except metadata.PackageNotFoundError:
        return UNKNOWN
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
    return classified[0] if len(classified) == 1 and classified[0] else UNKNOWN


def terms_of(licence: str) -> Terms:
    """What an expression of one licence means; a choice or a sum has to be read."""
    if licence in TERMS:
        return TERMS[licence]
    family = re.fullmatch(r"(A?GPL|LGPL)-\d\.\d(-only|-or-later)?", licence)
    return TERMS[family[1]] if family else NOBODY_KNOWS
