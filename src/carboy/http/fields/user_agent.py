"""`User-Agent`, unparsed. For a parser, subclass UserAgent and set `user_agent_class`."""

from __future__ import annotations


class UserAgent:
    """The User-Agent field. Subclasses set `platform`, `browser`, `version` and `language`."""

    platform: str | None = None
    browser: str | None = None
    version: str | None = None
    language: str | None = None

    def __init__(self, string: str) -> None:
        self.string = string

    def to_header(self) -> str:
        """The field's value."""
        return self.string

    def __str__(self) -> str:
        return self.string

    def __bool__(self) -> bool:
        return bool(self.browser)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.browser}/{self.version}>"
