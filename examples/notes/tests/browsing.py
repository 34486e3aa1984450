"""A visitor for the tests."""

from __future__ import annotations

import re
from typing import Any

from carboy import Flask

PASSWORD = "correct horse"


class Visitor:
    """A test client that keeps cookies and reads the tokens of forms."""

    def __init__(self, app: Flask) -> None:
        self.client = app.test_client()

    def get(self, path: str, **options: Any) -> Any:
        return self.client.get(path, **options)

    def post(self, path: str, data: dict[str, Any] | None = None, *, form: str = "/login") -> Any:
        """Post `data` with the token found in the page `form`."""
        token = self.token(form)
        return self.client.post(path, data={**(data or {}), "csrf_token": token})

    def token(self, form: str) -> str:
        page = self.client.get(form, follow_redirects=True).text
        found = re.search(r'name="csrf_token" value="([^"]+)"', page)
        assert found, page
        return found[1]

    def register(self, name: str) -> Any:
        return self.post("/register", {"name": name, "password": PASSWORD}, form="/register")

    def log_in(self, name: str, password: str = PASSWORD, path: str = "/login") -> Any:
        return self.post(path, {"name": name, "password": password})

    def write(self, title: str, body: str = "", **more: Any) -> int:
        """Write a note and return its number."""
        sent = self.post("/notes/new", {"title": title, "body": body, **more}, form="/notes/new")
        assert sent.status_code == 302, sent.text
        return int(sent.headers["Location"].rpartition("/")[2])
