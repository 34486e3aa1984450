"""Entity and hop-by-hop fields, compared with Werkzeug, and the names of carboy.http."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import werkzeug.datastructures
import werkzeug.http
import werkzeug.urls

import carboy.http as ours

NAMES = [
    "Allow",
    "content-encoding",
    "Content-Language",
    "Content-Length",
    "Content-Location",
    "Content-MD5",
    "Content-Range",
    "Content-Type",
    "EXPIRES",
    "Last-Modified",
    "ETag",
    "Connection",
    "Keep-Alive",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "TE",
    "Trailer",
    "Trailers",
    "Transfer-Encoding",
    "upgrade",
    "Proxy-Connection",
    "X-Other",
]


@pytest.mark.parametrize("name", NAMES)
def test_the_kind_of_a_field_is_that_of_werkzeug(name: str) -> None:
    assert ours.is_entity_header(name) == werkzeug.http.is_entity_header(name)
    assert ours.is_hop_by_hop_header(name) == werkzeug.http.is_hop_by_hop_header(name)


@pytest.mark.parametrize("remove", ["remove_entity_headers", "remove_hop_by_hop_headers"])
@pytest.mark.parametrize("kind", ["Headers", "list"])
def test_fields_of_a_kind_are_removed_in_place_as_in_werkzeug(remove: str, kind: str) -> None:
    left = []
    for library, structures in ((ours, ours), (werkzeug.http, werkzeug.datastructures)):
        fields: Any = [(name, "v") for name in NAMES]
        if kind == "Headers":
            fields = structures.Headers(fields)
        getattr(library, remove)(fields)
        left.append(repr(fields))
    assert left[0] == left[1]


def test_allowed_names_are_kept() -> None:
    fields = [("Expires", "x"), ("Content-Type", "a")]
    ours.remove_entity_headers(fields, allowed=["content-type"])
    assert fields == [("Content-Type", "a")]


def public(module: Any) -> set[str]:
    return {
        name
        for name, value in vars(module).items()
        if name[0] != "_" and getattr(value, "__module__", "").startswith("werkzeug")
    }


@pytest.mark.parametrize("module", [werkzeug.datastructures, werkzeug.http, werkzeug.urls])
def test_every_public_name_of_werkzeug_exists(module: Any) -> None:
    assert public(module) - set(ours.__all__) == set()


def test_every_listed_name_can_be_imported() -> None:
    for name in ours.__all__:
        assert getattr(ours, name) is not None
    assert set(ours.__all__) <= set(dir(ours))
    assert len(ours.__all__) == len(set(ours.__all__))
    with pytest.raises(AttributeError, match="nonsense"):
        ours.nonsense  # noqa: B018


def test_the_values_import_no_slow_module() -> None:
    """`import carboy` has to stay fast."""
    program = (
        "import sys\n"
        "import carboy.http as h\n"
        "h.Headers, h.MultiDict, h.parse_cookie, h.Accept, h.Range, h.ETags, h.iri_to_uri\n"
        "h.FileStorage, h.Authorization, h.ContentSecurityPolicy, h.RequestCacheControl\n"
        "heavy = {'email', 'http.cookies', 'urllib.request', 'hashlib', 'mimetypes', 'tempfile',\n"
        "         'socket', 'ssl', 'asyncio', 'jinja2', 'carboy.http.request.request'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
