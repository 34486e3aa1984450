"""Fixtures: an application in a temporary folder, and users who are logged in."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from browsing import Visitor

from carboy import Flask
from notes import create_app


@pytest.fixture(scope="session")
def compiled_templates(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with the code of templates, so that each is compiled once and not in each test."""
    return str(tmp_path_factory.mktemp("templates"))


@pytest.fixture
def app(tmp_path: Path, compiled_templates: str) -> Flask:
    return create_app(
        {
            "TESTING": True,
            "INSTANCE_PATH": str(tmp_path),
            "TEMPLATE_BYTECODE_CACHE": compiled_templates,
            "SECRET_KEY": "test",
            "PASSWORD_METHOD": "pbkdf2:sha256:1000",  # quick, and only good enough for tests
        }
    )


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    return Visitor(app)


@pytest.fixture
def ada(app: Flask) -> Visitor:
    visitor = Visitor(app)
    assert visitor.register("ada").status_code == 302
    return visitor


@pytest.fixture
def grace(app: Flask) -> Visitor:
    visitor = Visitor(app)
    assert visitor.register("grace").status_code == 302
    return visitor


@pytest.fixture
def png() -> Callable[[int, int], bytes]:
    def make(width: int = 3, height: int = 2) -> bytes:
        """A grey picture."""
        rows = (b"\0" + b"\x80" * width) * min(height, 100)
        head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
        parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
        return b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            for kind, data in parts
        )

    return make
