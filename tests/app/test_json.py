"""JSON providers and the tagged JSON of sessions."""

from __future__ import annotations

import dataclasses
import io
import json
import uuid
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup

import carboy
from carboy.app.json.provider import DefaultJSONProvider


@dataclasses.dataclass
class Point:
    x: int
    y: list[int]


@pytest.mark.parametrize(
    "data",
    [
        '{"a": "ł"}'.encode(),
        b'{"a": "\xed\xa0\x80"}',
        b'\xef\xbb\xbf{"a": 1}',
        '[1, "ł"]'.encode("utf-16-le"),
        '[1, "ł"]'.encode("utf-16-be"),
        '{"a": 1}'.encode("utf-32"),
        '{"a": 1}'.encode("utf-32-le"),
        b"[",
        b"{",
        b"",
        b'{"a": "\xff"}',
        b' {"a": 1}',
        b'{"a": 1} x',
        b"[1] ",
        b"7",
        '{"a": 1}',
        '{"a": "\ud800\\ud800ł", "a": [NaN, {}]}',
        '{"a": 1} x',
        '{"a": "\n"}',
        '{"a": ł}',
        "{",
        bytearray(b'{"a": 1}'),
    ],
)
def test_data_is_read_as_by_the_standard_library(data: Any) -> None:
    def outcome(loads: Any) -> Any:
        try:
            return repr(loads(data))
        except ValueError as error:
            return type(error), str(error)

    assert outcome(carboy.Flask("json").json.loads) == outcome(json.loads)


class Html:
    def __html__(self) -> str:
        return "<i>"


class Text(str):
    pass


class OwnUuid(uuid.UUID):
    pass


VALUES = [
    None,
    True,
    1.5,
    float("inf"),
    "é\u2028</script>",
    [1, (2, 3)],
    {"b": 1, "a": {"d": 1, "c": 2}},
    {1: 2, 3: 4},
    {"z": Decimal("1.50")},
    uuid.UUID(int=5),
    OwnUuid(int=5),
    date(2020, 1, 2),
    datetime(2020, 1, 2, 3, 4, 5),
    datetime(2020, 1, 2, 3, tzinfo=timezone(timedelta(hours=2))),
    Point(1, [2]),
    [Point(1, [])],
    Html(),
    Markup("<b>"),
    Text("x"),
    object(),
    Point,
    {"a": object()},
    {(1, 2): 3},
    {"x": {1: 1, "y": 2}},
    b"bytes",
    {1, 2},
]


def outcome(function, *args, **kwargs):
    try:
        return function(*args, **kwargs)
    except Exception as error:
        return type(error).__name__


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__ + str(value)[:9])
@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"debug": True},
        {"compact": False},
        {"compact": True, "debug": True},
        {"sort_keys": False},
        {"ensure_ascii": False},
        {"mimetype": "application/x+json"},
    ],
    ids=str,
)
def test_the_provider_writes_alike(pair, value, attributes) -> None:
    found = []
    for fl in (pair.flask, pair.carboy):
        app = fl.Flask("s")
        for name, setting in attributes.items():
            setattr(app if name == "debug" else app.json, name, setting)
        with app.app_context():
            response = outcome(app.json.response, value)
            found.append(
                (
                    outcome(app.json.dumps, value),
                    outcome(app.json.dumps, value, indent=1, sort_keys=False),
                    outcome(fl.json.dumps, value),
                    (response.data, list(response.headers))
                    if hasattr(response, "data")
                    else response,
                )
            )
    assert found[0] == found[1]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__ + str(value)[:9])
def test_json_outside_an_application_is_written_alike(pair, value) -> None:
    found = [
        (outcome(fl.json.dumps, value), outcome(fl.json.dumps, value, sort_keys=True))
        for fl in (pair.flask, pair.carboy)
    ]
    assert found[0] == found[1]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@settings(deadline=None)
@given(JSON)
def test_the_kept_encoder_writes_the_same_text_as_json_dumps(value) -> None:
    provider = carboy.Carboy("s").json
    assert isinstance(provider, DefaultJSONProvider)
    expected = provider.dumps(value, separators=(",", ":"))
    assert provider.dumps_compact(value, debug=False) == expected


def test_a_value_that_contains_itself_is_refused_alike(pair) -> None:
    loop: list[object] = []
    loop.append(loop)
    for fl in (pair.flask, pair.carboy):
        app = fl.Flask("s")
        with app.app_context(), pytest.raises(ValueError, match="[Cc]ircular"):
            fl.jsonify(loop)


def test_files_are_read_and_written(pair) -> None:
    found = []
    for fl in (pair.flask, pair.carboy):
        app = fl.Flask("s")
        rows = []
        for context in (False, True):
            if context:
                ctx = app.app_context()
                ctx.push()
            file = io.StringIO()
            fl.json.dump({"b": Decimal(1), "a": 2}, file)
            rows.append(file.getvalue())
            rows.append(fl.json.load(io.StringIO("[1]")))
            rows.append(fl.json.load(io.BytesIO(b'{"a": 1}')))
            rows.append(fl.json.loads(b"[2]"))
            rows.append(outcome(fl.json.loads, "{"))
        ctx.pop()
        found.append(rows)
    assert found[0] == found[1]


def test_jsonify_takes_arguments_or_keywords(pair) -> None:
    for fl in (pair.flask, pair.carboy):
        with fl.Flask("s").app_context():
            assert fl.jsonify(1, 2).data == b"[1,2]\n"
            with pytest.raises(TypeError):
                fl.jsonify(1, a=2)


def test_a_custom_provider_is_used_everywhere(pair) -> None:
    def build(fl, log):
        class Own(fl.provider.JSONProvider):
            def dumps(self, obj, **kwargs):
                log.append(f"dumps {obj} {kwargs}")
                return "own"

            def loads(self, s, **kwargs):
                log.append(f"loads {s}")
                return {"own": 1}

        class App(fl.Flask):
            json_provider_class = Own

        app = App("scenario")
        app.add_url_rule("/", "v", lambda: {"a": 1})
        app.add_url_rule("/jsonify", "j", lambda: fl.jsonify(a=1))
        app.add_url_rule("/read", "r", lambda: str(fl.request.get_json()), methods=["POST"])
        app.add_url_rule("/response", "s", lambda: str(fl.jsonify(1).get_json()))
        app.add_url_rule("/template", "t", lambda: fl.render_template_string("{{ [1]|tojson }}"))
        return app

    json = {"Content-Type": "application/json"}
    pair(
        build,
        "/",
        "/jsonify",
        pair.Req("/read", "POST", json, b"[1]"),
        "/response",
        "/template",
        status=200,
    )


def test_a_custom_default_function_and_dumps_are_used(pair) -> None:
    def build(fl, log):
        class Own(fl.provider.DefaultJSONProvider):
            @staticmethod
            def default(o):
                return f"own {type(o).__name__}"

            def dumps(self, obj, **kwargs):
                log.append(sorted(kwargs))
                return super().dumps(obj, **kwargs)

        app = fl.Flask("scenario")
        app.json = Own(app)
        app.add_url_rule("/", "v", lambda: {"a": object(), "b": 1})
        return app

    pair(build, "/", status=200)


TAGGED = [
    {" t": 1},
    {"a": (1, 2)},
    b"x",
    Markup("<a>"),
    uuid.UUID(int=5),
    datetime(2020, 1, 1, tzinfo=UTC),
    datetime(2020, 1, 1, 1, 2, 3, 4),
    date(2020, 1, 1),
    [1, (2, [b"3"])],
    {" t__": 1},
    {" x": 1},
    {1: 2},
    {" di": {" t__": (1,)}},
    {"a": 1, " t": 2},
    Html(),
    Decimal(1),
    object(),
    (),
    {},
]


@pytest.mark.parametrize("value", TAGGED, ids=lambda value: str(value)[:20])
def test_tagged_json_is_the_same_text_and_can_be_read(pair, value) -> None:
    found = []
    for fl in (pair.flask, pair.carboy):
        serializer = fl.tag.TaggedJSONSerializer()
        text = outcome(serializer.dumps, value)
        found.append((text, outcome(serializer.loads, text)))
    assert found[0] == found[1]


@settings(deadline=None)
@given(
    st.recursive(
        JSON | st.binary() | st.uuids(), lambda inner: st.lists(inner).map(tuple), max_leaves=5
    )
)
def test_tagged_json_keeps_every_value(value) -> None:
    serializer = carboy.app.sessions.session_json_serializer
    assert serializer.loads(serializer.dumps(value)) == value


def test_a_custom_tag_is_tried_at_its_index(pair) -> None:
    found = []
    for fl in (pair.flask, pair.carboy):

        class TagSet(fl.tag.JSONTag):
            __slots__ = ()
            key = " s"

            def check(self, value):
                return isinstance(value, set)

            def to_json(self, value):
                return sorted(value)

            def to_python(self, value):
                return set(value)

        serializer = fl.tag.TaggedJSONSerializer()
        serializer.register(TagSet, index=0)
        text = serializer.dumps({"s": {2, 1}})
        second = outcome(serializer.register, TagSet)
        serializer.register(TagSet, force=True, index=-1)
        order = [type(tag).__name__ for tag in serializer.order]
        found.append((text, serializer.loads(text), second, order))
    assert found[0] == found[1]
