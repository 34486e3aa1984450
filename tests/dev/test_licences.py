"""Licences from all versions of metadata, and from the licence text."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from carboy.dev.licences import (
    TERMS,
    UNKNOWN_TERMS,
    Licence,
    in_words,
    licence_of,
    parts_of,
    terms_of,
)

BSD = "Redistribution and use in source and binary forms, with or without\nmodification"
TEXTS = {
    "BSD-2-Clause": BSD,
    "BSD-3-Clause": BSD + " ... may be used to endorse or\n   promote products",
    "MIT": "Permission is hereby granted, free of charge ... and this permission notice shall be",
    "Apache-2.0": "Apache License\n   Version 2.0, January 2004",
}


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    def install(name: str, fields: str, texts: dict[str, str] | None = None) -> Licence:
        folder = tmp_path / f"{name}-1.0.dist-info"
        (folder / "licenses").mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\n{fields}\n")
        record = [f"{name}-1.0.dist-info/METADATA,,"]
        for file, text in (texts or {}).items():
            (folder / "licenses" / file).write_text(text)
            record.append(f"{name}-1.0.dist-info/licenses/{file},,")
        (folder / "RECORD").write_text("\n".join(record))
        return licence_of(name)

    return install


@pytest.mark.parametrize(
    ("fields", "expression"),
    [
        ("License-Expression: MIT AND PSF-2.0", "MIT AND PSF-2.0"),
        ("License: Apache License, Version 2.0", "Apache-2.0"),
        ("Classifier: License :: OSI Approved :: MIT License", "MIT"),
        ("License: All yours\nClassifier: License :: OSI Approved :: BSD License", "unknown"),
        ("License: MIT OR Apache-2.0", "MIT OR Apache-2.0"),
        ("License: GNU Lesser General Public License v3 (LGPLv3)", "LGPL-3.0-only"),
        ("License: ZPL 2.1", "ZPL-2.1"),
        ("Classifier: License :: OSI Approved :: ISC License (ISCL)", "ISC"),
        ("", "unknown"),
    ],
)
def test_metadata_is_read(install, fields: str, expression: str) -> None:  # type: ignore[no-untyped-def]
    assert install("some_package", fields) == Licence(expression)


@pytest.mark.parametrize("expression", TEXTS)
def test_a_licence_is_recognised_by_its_text(install, expression: str) -> None:  # type: ignore[no-untyped-def]
    is_bsd = expression.startswith("BSD")
    fields = "Classifier: License :: OSI Approved :: BSD License" if is_bsd else ""
    found = install("some_package", fields, {"LICENSE.txt": TEXTS[expression]})
    assert found == Licence(expression, by_text=True)


def test_two_different_texts_are_an_unknown_licence(install) -> None:  # type: ignore[no-untyped-def]
    texts = {"LICENSE": TEXTS["MIT"], "LICENSE.other": TEXTS["Apache-2.0"]}
    assert install("some_package", "", texts) == Licence("unknown")


@pytest.mark.parametrize(
    "fields",
    [
        "Classifier: License :: OSI Approved :: BSD License",
        "License: LicenseRef-Mine",
        "Classifier: License :: Other/Proprietary License",
    ],
)
def test_a_text_that_contradicts_the_metadata_is_that_of_a_part(install, fields: str) -> None:  # type: ignore[no-untyped-def]
    assert install("some_package", fields, {"LICENSE": TEXTS["MIT"]}) == Licence("unknown")


def test_a_package_whose_file_says_more_than_its_metadata_is_in_the_table() -> None:
    assert licence_of("python-dateutil") == Licence("Apache-2.0 OR BSD-3-Clause", by_text=True)


def test_the_licences_of_the_most_used_packages_are_known() -> None:
    for licence in (
        "MIT", "MIT-0", "MIT-CMU", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "PSF-2.0", "ISC",
        "MPL-2.0", "HPND", "Unlicense", "0BSD", "ZPL-2.1", "CC0-1.0", "Zlib", "Python-2.0",
        "CNRI-Python", "LGPL-2.1-or-later", "LGPL-3.0-only", "GPL-2.0-only", "AGPL-3.0-or-later",
    ):  # fmt: skip
        terms = terms_of(licence)
        assert terms is not UNKNOWN_TERMS, licence
        assert terms.allows, licence
        assert terms.requires, licence
        assert terms.restricts, licence


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("MIT", ""),
        ("MIT OR Apache-2.0", "you may choose one of these licences"),
        ("MIT AND PSF-2.0", "parts are under each of these licences; all of them apply"),
        ("MIT AND (BSD-2-Clause OR ISC)", "several parts, of which some let you choose"),
    ],
)
def test_an_expression_of_several_licences_is_explained(expression: str, words: str) -> None:
    found = in_words(expression)
    assert found.startswith(words)
    assert bool(found) == bool(words)


def test_a_package_that_is_not_installed_has_an_unknown_licence() -> None:
    assert licence_of("not-installed-anywhere") == Licence("unknown")


def test_an_expression_is_split_into_licences() -> None:
    found = parts_of("(Apache-2.0 WITH LLVM-exception OR MIT) AND PSF-2.0")
    assert found == ["Apache-2.0", "MIT", "PSF-2.0"]
    assert terms_of("GPL-3.0-or-later") is TERMS["GPL"]
    assert terms_of("LGPL-2.1-only") is TERMS["LGPL"]
    assert terms_of("Unheard-1.0") is UNKNOWN_TERMS
