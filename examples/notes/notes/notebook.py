"""The notes: listing, reading, writing and deleting them."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from carboy import (
    Blueprint,
    Flask,
    abort,
    current_app,
    flash,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from notes import pictures
from notes.accounts import current_user, login_required
from notes.database import db, now
from notes.pictures import Picture, Refused

bp = Blueprint("notebook", __name__)

COLOURS = ("clear", "sea", "bottle", "amber", "rose", "cobalt")
LONGEST_TITLE = 120
LONGEST_BODY = 100_000
FULL_BOTTLE = 40


def install(app: Flask) -> None:
    app.register_blueprint(bp)
    app.jinja_env.globals["colours"] = COLOURS


@dataclass(frozen=True)
class Draft:
    """The content of a note as the user has entered it."""

    title: str
    body: str = ""
    colour: str = "clear"
    pinned: bool = False

    def complaints(self) -> dict[str, str]:
        """Messages for the user, by field."""
        errors = {}
        if not self.title:
            errors["title"] = "A note needs a title."
        if len(self.title) > LONGEST_TITLE:
            errors["title"] = f"A title may have up to {LONGEST_TITLE} characters."
        if len(self.body) > LONGEST_BODY:
            errors["body"] = f"A note may have up to {LONGEST_BODY:,} characters."
        if self.colour not in COLOURS:
            errors["colour"] = f"The colours are {', '.join(COLOURS)}."
        return errors


@dataclass(frozen=True)
class Page:
    """One page of a list of notes."""

    notes: list[sqlite3.Row]
    number: int
    total: int
    size: int

    @property
    def last(self) -> int:
        return max(1, -(-self.total // self.size))


# Stored notes


def find(user_id: int, *, query: str = "", colour: str = "", number: int = 1, size: int) -> Page:
    """One page of a user's notes with `query` in title or body, pinned and newest first."""
    where = "user_id = ?"
    values: list[int | str] = [user_id]
    if query:
        pattern = "%" + query.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        where += " AND (title LIKE ? ESCAPE '\\' OR body LIKE ? ESCAPE '\\')"
        values += [pattern, pattern]
    if colour:
        where += " AND colour = ?"
        values += [colour]
    total = db().execute(f"SELECT COUNT(*) FROM notes WHERE {where}", values).fetchone()[0]
    rows = db().execute(
        f"SELECT * FROM notes WHERE {where} ORDER BY pinned DESC, updated DESC, id DESC"
        " LIMIT ? OFFSET ?",
        [*values, size, (max(1, number) - 1) * size],
    )
    return Page(rows.fetchall(), max(1, number), total, size)


def own(user_id: int, note_id: int) -> sqlite3.Row:
    """A note of the user. Notes of other users give 404, as if they did not exist."""
    row: sqlite3.Row | None = (
        db()
        .execute("SELECT * FROM notes WHERE id = ? AND user_id = ?", (note_id, user_id))
        .fetchone()
    )
    return row or abort(404)


def add(user_id: int, draft: Draft, picture: Picture | None = None) -> int:
    moment = now()
    with db() as connection:
        cursor = connection.execute(
            "INSERT INTO notes (user_id, title, body, colour, pinned, created, updated)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (user_id, draft.title, draft.body, draft.colour, draft.pinned, moment, moment),
        )
        note_id = cursor.lastrowid
        assert note_id is not None
        if picture:
            _attach(connection, note_id, picture)
    return note_id


def change(row: sqlite3.Row, draft: Draft, picture: Picture | None, *, drop: bool = False) -> None:
    """Replace a note by `draft`. A new picture, or `drop`, removes the old picture."""
    with db() as connection:
        connection.execute(
            "UPDATE notes SET title = ?, body = ?, colour = ?, pinned = ?, updated = ?"
            " WHERE id = ?",
            (draft.title, draft.body, draft.colour, draft.pinned, now(), row["id"]),
        )
        if picture:
            _attach(connection, row["id"], picture)
        elif drop:
            connection.execute(
                "UPDATE notes SET picture = NULL, width = NULL, height = NULL WHERE id = ?",
                (row["id"],),
            )
    if row["picture"] and (picture or drop):
        pictures.discard(row["picture"])


def remove(row: sqlite3.Row) -> None:
    with db() as connection:
        connection.execute("DELETE FROM notes WHERE id = ?", (row["id"],))
    if row["picture"]:
        pictures.discard(row["picture"])


def _attach(connection: sqlite3.Connection, note_id: int, picture: Picture) -> None:
    connection.execute(
        "UPDATE notes SET picture = ?, width = ?, height = ? WHERE id = ?",
        (pictures.keep(picture), picture.width, picture.height, note_id),
    )


# The pages


@bp.get("/")
def index() -> Any:
    if current_user() is None:
        return render_template("landing.html")
    query = request.args.get("q", "").strip()
    colour = request.args.get("colour", "")
    page = find(
        session["user_id"],
        query=query,
        colour=colour if colour in COLOURS else "",
        number=request.args.get("page", 1, type=int),
        size=current_app.config["PAGE_SIZE"],
    )
    return render_template("index.html", page=page, query=query, colour=colour, **_bottle())


@bp.route("/notes/new", methods=["GET", "POST"])
@login_required
def new() -> Any:
    if request.method == "GET":
        return render_template("edit.html", note=None, draft=Draft(""), errors={})
    draft, picture, errors = _sent()
    if errors:
        return render_template("edit.html", note=None, draft=draft, errors=errors), 422
    note_id = add(session["user_id"], draft, picture)
    flash("Saved.", "success")
    return redirect(url_for(".show", note_id=note_id))


@bp.get("/notes/<int:note_id>")
@login_required
def show(note_id: int) -> Any:
    return render_template("show.html", note=own(session["user_id"], note_id))


@bp.route("/notes/<int:note_id>/edit", methods=["GET", "POST"])
@login_required
def edit(note_id: int) -> Any:
    note = own(session["user_id"], note_id)
    if request.method == "GET":
        draft = Draft(note["title"], note["body"], note["colour"], bool(note["pinned"]))
        return render_template("edit.html", note=note, draft=draft, errors={})
    draft, picture, errors = _sent()
    if errors:
        return render_template("edit.html", note=note, draft=draft, errors=errors), 422
    change(note, draft, picture, drop="drop_picture" in request.form)
    flash("Saved.", "success")
    return redirect(url_for(".show", note_id=note_id))


@bp.post("/notes/<int:note_id>/delete")
@login_required
def delete(note_id: int) -> Any:
    note = own(session["user_id"], note_id)
    remove(note)
    flash(f"“{note['title']}” is deleted.", "success")
    return redirect(url_for(".index"))


@bp.post("/notes/<int:note_id>/pin")
@login_required
def pin(note_id: int) -> Any:
    """Pin or unpin a note, without changing its date."""
    note = own(session["user_id"], note_id)
    with db() as connection:
        connection.execute(
            "UPDATE notes SET pinned = ? WHERE id = ?", (not note["pinned"], note["id"])
        )
    return redirect(url_for(".index"))


def _sent() -> tuple[Draft, Picture | None, dict[str, str]]:
    """Draft, picture and error messages of the submitted form."""
    draft = Draft(
        title=request.form.get("title", "").strip(),
        body=request.form.get("body", "").replace("\r\n", "\n"),
        colour=request.form.get("colour", "clear"),
        pinned="pinned" in request.form,
    )
    errors = draft.complaints()
    picture = None
    file = request.files.get("picture")
    if file is not None and file.filename:
        try:
            picture = pictures.examine(file.read())
        except Refused as error:
            errors["picture"] = str(error)
        finally:
            file.close()
    return draft, picture, errors


def _bottle() -> dict[str, Any]:
    """How full the bottle on the page is, and the number of notes of each colour."""
    rows = db().execute(
        "SELECT colour, COUNT(*) AS many FROM notes WHERE user_id = ? GROUP BY colour",
        (session["user_id"],),
    )
    # All colours, because a template would find dict.clear in place of a missing "clear".
    counts = dict.fromkeys(COLOURS, 0) | {row["colour"]: row["many"] for row in rows}
    total = sum(counts.values())
    return {"counts": counts, "total": total, "level": min(1.0, total / FULL_BOTTLE)}
