"""Notes: a small, complete application on Carboy.

It has accounts, notes with pictures, search, and a JSON API, on SQLite. `create_app` creates the
application, which stores all its data in the instance folder.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from carboy import Flask
from notes import accounts, api, csrf, database, errors, headers, notebook, pictures, text

MEBIBYTE = 1024 * 1024


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """Create the application; `config` overrides the defaults."""
    app = Flask(__name__, instance_path=_instance_path(config))
    app.config.from_mapping(
        DATABASE=str(Path(app.instance_path) / "notes.sqlite3"),
        PICTURES=str(Path(app.instance_path) / "pictures"),
        MAX_CONTENT_LENGTH=6 * MEBIBYTE,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_NAME="notes",
        PERMANENT_SESSION_LIFETIME=60 * 60 * 24 * 30,
        PAGE_SIZE=24,
        PASSWORD_METHOD="scrypt",
    )
    app.config.from_prefixed_env("NOTES")
    app.config.update(config or {})
    Path(app.config["PICTURES"]).mkdir(parents=True, exist_ok=True)
    if not app.config.get("SECRET_KEY"):
        app.config["SECRET_KEY"] = _secret_key(Path(app.instance_path) / "secret_key")
    for part in (database, csrf, headers, text, errors, accounts, notebook, pictures, api):
        part.install(app)
    return app


def _instance_path(config: Mapping[str, Any] | None) -> str:
    """The folder from the configuration, from NOTES_INSTANCE_PATH, or beside the package."""
    chosen = (config or {}).get("INSTANCE_PATH") or os.environ.get("NOTES_INSTANCE_PATH")
    return str(chosen or Path(__file__).resolve().parent.parent / "instance")


def _secret_key(file: Path) -> str:
    """The key that signs sessions, created once, in a file that only its owner can read."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        # Several workers may start at once. The file appears with its content, and all workers
        # use the key of the first one.
        fresh = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
        fresh.touch(mode=0o600)
        try:
            fresh.write_text(secrets.token_urlsafe(32))
            with suppress(FileExistsError):
                file.hardlink_to(fresh)
        finally:
            fresh.unlink()
    return file.read_text()
