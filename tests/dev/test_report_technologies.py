"""The tables of packages, of modules of the standard library, and of their licences."""

from __future__ import annotations

from importlib import metadata

import pytest

from carboy.dev.explain.places import APPLICATION, C_CODE, KERNEL, PYTHON, Place
from carboy.dev.explain.recording import Function, Process, Recording
from carboy.dev.report import markdown, technologies
from carboy.dev.report.document import Document


def function(module: str, package: str, short: str = "") -> Function:
    return Function("f", module, Place(f"/x/{short}", 3, 4, package, package, short))


def tables(*functions: Function) -> str:
    process = Process(1, "3.11.0", list(functions))
    recording = Recording("app", "wsgiref 3", "127.0.0.1:5000", "GET /", "200 OK", 2, [process])
    return markdown.render(Document("Title", technologies.blocks(recording, [])))


def rows(text: str, name: str) -> dict[str, str]:
    table = text.partition(f"\n|  | {name} |\n| --- | --- |\n")[2].partition("\n\n")[0]
    return dict(line.strip("| ").split(" | ", 1) for line in table.splitlines())


def test_each_package_has_its_repository_licence_and_terms() -> None:
    version = metadata.version("flask")
    found = rows(tables(function("flask.app", "flask", "flask/app.py")), "Flask")
    assert found["repository"] == "<https://github.com/pallets/flask>"
    assert found["version"] == version
    assert found["description"].startswith("A simple framework for building")
    assert found["licence (SPDX)"] == "[BSD-3-Clause](https://spdx.org/licenses/BSD-3-Clause.html)"
    assert f"/pallets/flask/blob/{version}/LICENSE.txt" in found["licence text"]
    for field, text in (("allows", "Use, "), ("requires", "Keep "), ("restricts", "Advertising")):
        assert found[field].startswith(text)


def test_unknown_values_are_marked_as_unknown() -> None:
    found = rows(tables(function("homemade", "homemade", "homemade.py")), "homemade")
    for field in ("repository", "version", "description", "licence (SPDX)", "requires"):
        assert found[field] == "unknown"
    assert found["allows"] == "unknown: read the licence"


def test_a_choice_of_licences_is_explained() -> None:
    found = rows(tables(function("cryptography.x509", "cryptography")), "cryptography")
    assert found["licence (SPDX)"].endswith(": you may choose one of these licences")
    assert "Apache-2.0.html) OR [BSD-3-Clause]" in found["licence (SPDX)"]
    assert found["requires"].startswith("Apache-2.0: Keep the licence and NOTICE files")
    assert "; BSD-3-Clause: Keep the copyright notice" in found["requires"]


def test_the_application_and_the_kernel_are_not_technologies() -> None:
    text = tables(*(function("shop", each) for each in (APPLICATION, KERNEL, C_CODE)))
    assert text.count("\n### ") == 1
    assert "\n### Python " in text


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("http.server", "http.server"),
        ("email.feedparser", "email"),
        ("importlib._bootstrap", "importlib"),
        ("concurrent.futures.thread", "concurrent.futures"),
        ("socket", "socket"),
    ],
)
def test_a_module_of_python_is_named_after_its_library(module: str, name: str) -> None:
    assert technologies._module(function(module, PYTHON)) == name
