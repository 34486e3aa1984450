"""Tagged JSON, the format of session cookies, which keeps Python types.

A value that has no type in JSON becomes an object with one key, the tag: (1, 2) becomes
{" t": [1, 2]}. The format is Flask's.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from carboy.app.json import dumps, loads
from carboy.dates import http_date, parse_date
from carboy.late import base64, markupsafe

__all__ = [
    "JSONTag",
    "PassDict",
    "PassList",
    "TagBytes",
    "TagDateTime",
    "TagDict",
    "TagMarkup",
    "TagTuple",
    "TagUUID",
    "TaggedJSONSerializer",
]


PLAIN = frozenset({str, int, float, bool, type(None)})


class JSONTag:
    """A type of value. To keep another type in sessions, subclass and `register` it."""

    __slots__ = ("serializer",)
    key: str = ""  # the tag; "" for a container that has a type in JSON

    def __init__(self, serializer: TaggedJSONSerializer) -> None:
        self.serializer = serializer

    def check(self, value: Any) -> bool:
        """Whether this tag is for `value`."""
        raise NotImplementedError

    def to_json(self, value: Any) -> Any:
        """`value` as a value that has a type in JSON."""
        raise NotImplementedError

    def to_python(self, value: Any) -> Any:
        """The value from its JSON form, without the tag."""
        raise NotImplementedError

    def tag(self, value: Any) -> dict[str, Any]:
        """The tagged JSON form of `value`."""
        return {self.key: self.to_json(value)}


class TagDict(JSONTag):
    """A dict whose only key looks like a tag, which is escaped."""

    __slots__ = ()
    key = " di"

    def check(self, value: Any) -> bool:
        tags = self.serializer.tags
        return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in tags

    def to_json(self, value: Any) -> Any:
        ((key, inner),) = value.items()
        return {f"{key}__": self.serializer.tag(inner)}

    def to_python(self, value: Any) -> Any:
        ((key, inner),) = value.items()
        return {key.removesuffix("__"): inner}


class PassDict(JSONTag):
    """Any other dict, whose values may need tags."""

    __slots__ = ()

    def check(self, value: Any) -> bool:
        return isinstance(value, dict)

    def to_json(self, value: Any) -> Any:
        return {key: self.serializer.tag(inner) for key, inner in value.items()}

    tag = to_json


class TagTuple(JSONTag):
    __slots__ = ()
    key = " t"

    def check(self, value: Any) -> bool:
        return isinstance(value, tuple)

    def to_json(self, value: Any) -> Any:
        return [self.serializer.tag(item) for item in value]

    def to_python(self, value: Any) -> Any:
        return tuple(value)


class PassList(JSONTag):
    __slots__ = ()

    def check(self, value: Any) -> bool:
        return isinstance(value, list)

    def to_json(self, value: Any) -> Any:
        return [self.serializer.tag(item) for item in value]

    tag = to_json


class TagBytes(JSONTag):
    __slots__ = ()
    key = " b"

    def check(self, value: Any) -> bool:
        return isinstance(value, bytes)

    def to_json(self, value: Any) -> Any:
        return base64.b64encode(value).decode("ascii")

    def to_python(self, value: Any) -> Any:
        return base64.b64decode(value)


class TagMarkup(JSONTag):
    """An object with `__html__`, which becomes Markup."""

    __slots__ = ()
    key = " m"

    def check(self, value: Any) -> bool:
        return callable(getattr(value, "__html__", None))

    def to_json(self, value: Any) -> Any:
        return str(markupsafe.escape(value))

    def to_python(self, value: Any) -> Any:
        return markupsafe.Markup(value)


class TagUUID(JSONTag):
    __slots__ = ()
    key = " u"

    def check(self, value: Any) -> bool:
        # By name, so that `uuid` need not be imported.
        return any(
            base.__module__ == "uuid" and base.__name__ == "UUID" for base in type(value).__mro__
        )

    def to_json(self, value: Any) -> Any:
        return value.hex

    def to_python(self, value: Any) -> Any:
        from uuid import UUID

        return UUID(value)


class TagDateTime(JSONTag):
    """A datetime, to the second, in UTC unless it has a time zone."""

    __slots__ = ()
    key = " d"

    def check(self, value: Any) -> bool:
        return isinstance(value, datetime)

    def to_json(self, value: Any) -> Any:
        return http_date(value)

    def to_python(self, value: Any) -> Any:
        return parse_date(value)


class TaggedJSONSerializer:
    """Converts values to tagged JSON text and back. Types are tried in `order`."""

    __slots__ = ("_default_order", "order", "tags")

    default_tags: list[type[JSONTag]] = [
        TagDict,
        PassDict,
        TagTuple,
        PassList,
        TagBytes,
        TagMarkup,
        TagUUID,
        TagDateTime,
    ]

    def __init__(self) -> None:
        self.tags: dict[str, JSONTag] = {}
        self.order: list[JSONTag] = []
        for tag_class in self.default_tags:
            self.register(tag_class)
        # With this order, a value that has a type in JSON never gets a tag.
        known = {type(tag) for tag in self.order} <= OWN_TAGS
        self._default_order = self.order[:] if known else None

    def register(
        self, tag_class: type[JSONTag], force: bool = False, index: int | None = None
    ) -> None:
        """Add a type, at `index` if it has to be tried before others.

        Raises KeyError when its key is taken and `force` is not set.
        """
        tag = tag_class(self)
        if tag.key:
            if tag.key in self.tags and not force:
                raise KeyError(
                    f"Tag {tag.key!r} is already registered. Pass force=True to replace it."
                )
            self.tags[tag.key] = tag
        self.order.insert(len(self.order) if index is None else index, tag)

    def tag(self, value: Any) -> Any:
        """`value` with tags where they are needed."""
        if value.__class__ in PLAIN and self.order == self._default_order:
            return value
        for tag in self.order:
            if tag.check(value):
                return tag.tag(value)
        return value

    def untag(self, value: dict[str, Any]) -> Any:
        """The value of a tagged object; other objects are returned unchanged."""
        if len(value) != 1:
            return value
        ((key, inner),) = value.items()
        tag = self.tags.get(key)
        return value if tag is None else tag.to_python(inner)

    def dumps(self, value: Any) -> str:
        """Tagged JSON text without spaces, by the active application's provider."""
        return dumps(self.tag(value), separators=(",", ":"))

    def loads(self, value: str | bytes) -> Any:
        """The value of tagged JSON text."""
        return self._untag_all(loads(value))

    def _untag_all(self, value: Any) -> Any:
        if isinstance(value, dict):
            if PLAIN.issuperset(map(type, value.values())):
                return self.untag(value)
            return self.untag({key: self._untag_all(inner) for key, inner in value.items()})
        if isinstance(value, list):
            return [self._untag_all(item) for item in value]
        return value


OWN_TAGS = frozenset(TaggedJSONSerializer.default_tags)
