"""Dispatch keys from the shapes of paths."""

from __future__ import annotations

import pytest

from carboy.gateway.path_shapes import PathShapes, path_shape
from gateway.test_wsgi import FakeExchange, head


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/", "/"),
        ("/user/name", "/user/name"),
        ("/user/1234/edit", "/user/*/edit"),
        ("/f/" + "x" * 40, "/f/*"),
        ("/v2/x", "/*/x"),
    ],
)
def test_paths_of_one_shape_share_a_dispatch_key(path: str, shape: str) -> None:
    assert path_shape(path) == shape


def test_the_table_of_shapes_is_bounded() -> None:
    shapes = PathShapes()
    for number in range(5000):
        assert shapes.prepare(FakeExchange(head(f"/item/{number}"))) == "GET /item/*"
    assert len(shapes._keys) <= 1024
