"""The JSON API under /api, for programs that send `Authorization: Bearer TOKEN`.

Cookies are ignored here. Errors are JSON too: {"error": {"status": …, "message": …}}.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from carboy import Blueprint, Flask, Response, abort, g, jsonify, make_response, request, url_for
from notes import notebook
from notes.accounts import token_hash
from notes.database import db
from notes.notebook import Draft

bp = Blueprint("api", __name__, url_prefix="/api")

MOST = 100
KINDS: dict[str, type] = {"title": str, "body": str, "colour": str, "pinned": bool}
JSON_NAMES = {str: "string", bool: "boolean"}


def install(app: Flask) -> None:
    app.register_blueprint(bp)


@bp.before_request
def authenticate() -> Response | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    row = None
    if scheme.lower() == "bearer" and token:
        found = db().execute("SELECT * FROM users WHERE token = ?", (token_hash(token.strip()),))
        row = found.fetchone()
    if row is None:
        message = "Send your token as Authorization: Bearer TOKEN. Make one on the account page."
        answer = make_response(jsonify(error={"status": 401, "message": message}), 401)
        answer.headers["WWW-Authenticate"] = 'Bearer realm="notes"'
        return answer
    g.user = row
    return None


@bp.get("/notes")
def many() -> Any:
    size = min(max(request.args.get("limit", 20, type=int), 1), MOST)
    page = notebook.find(
        g.user["id"],
        query=request.args.get("q", "").strip(),
        colour=request.args.get("colour", ""),
        number=request.args.get("page", 1, type=int),
        size=size,
    )
    return {
        "notes": [public(row) for row in page.notes],
        "total": page.total,
        "page": page.number,
        "pages": page.last,
    }


@bp.post("/notes")
def create() -> Any:
    note_id = notebook.add(g.user["id"], _draft({"title": ""}))
    note = public(notebook.own(g.user["id"], note_id))
    return note, 201, {"Location": note["url"]}


@bp.get("/notes/<int:note_id>")
def one(note_id: int) -> Any:
    return public(notebook.own(g.user["id"], note_id))


@bp.patch("/notes/<int:note_id>")
def change(note_id: int) -> Any:
    row = notebook.own(g.user["id"], note_id)
    known = {name: row[name] for name in KINDS} | {"pinned": bool(row["pinned"])}
    notebook.change(row, _draft(known), None)
    return public(notebook.own(g.user["id"], note_id))


@bp.delete("/notes/<int:note_id>")
def delete(note_id: int) -> Any:
    notebook.remove(notebook.own(g.user["id"], note_id))
    return "", 204


def public(row: sqlite3.Row) -> dict[str, Any]:
    """A note as programs see it."""
    return {
        "id": row["id"],
        "title": row["title"],
        "body": row["body"],
        "colour": row["colour"],
        "pinned": bool(row["pinned"]),
        "picture": row["picture"] and url_for("pictures.show", name=row["picture"]),
        "created": row["created"],
        "updated": row["updated"],
        "url": url_for("api.one", note_id=row["id"]),
    }


def _draft(known: dict[str, Any]) -> Draft:
    """The `known` fields with the changes from the request's JSON; aborts with 400 or 422."""
    sent = request.get_json()
    if not isinstance(sent, dict):
        abort(400, "Send a JSON object.")
    if unknown := sorted(set(sent) - set(KINDS)):
        abort(422, f"Unknown fields: {', '.join(unknown)}. A note has {', '.join(KINDS)}.")
    for name, value in sent.items():
        if not isinstance(value, KINDS[name]):
            abort(422, f"The field {name} has to be a {JSON_NAMES[KINDS[name]]}.")
    draft = Draft(**{**known, **sent})
    if errors := draft.complaints():
        abort(422, " ".join(errors.values()))
    return draft
