"""Registering, logging in and out, and the user of the current request."""

from __future__ import annotations

import functools
import hashlib
import re
import secrets
import sqlite3
from collections.abc import Callable
from typing import Any, ParamSpec

from carboy import (
    Blueprint,
    Flask,
    current_app,
    flash,
    g,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from carboy.http.security import check_password_hash, generate_password_hash
from notes import csrf
from notes.database import db, now

bp = Blueprint("accounts", __name__)

NAME = re.compile(r"[\w.-]{2,32}")
LOCAL = re.compile(r"/(?!/)[^\\\x00-\x20\x7f]*")
SHORTEST_PASSWORD = 8
LONGEST_PASSWORD = 256
WELCOME = """\
This is your first note. Change it or delete it.

- Pin the notes that you need every day
- Give each note a colour of glass
- Add a picture, up to 5 MiB

You can write `code` and **strong words**. Links work as they are: https://www.python.org"""

P = ParamSpec("P")


def install(app: Flask) -> None:
    app.register_blueprint(bp)
    app.add_template_global(current_user)
    # Checked when the name is unknown, so that the response takes as long as for a known name.
    app.extensions["unknown_user"] = generate_password_hash(
        secrets.token_hex(), app.config["PASSWORD_METHOD"]
    )


def current_user() -> sqlite3.Row | None:
    """The user who is logged in, looked up once for each request."""
    if "user" not in g:
        known = session.get("user_id")
        row = db().execute("SELECT * FROM users WHERE id = ?", (known,)).fetchone()
        g.user = row
    user: sqlite3.Row | None = g.user
    return user


def login_required(view: Callable[P, Any]) -> Callable[P, Any]:
    """Redirect to the login page if no user is logged in, and back after the login."""

    @functools.wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> Any:
        if current_user() is None:
            back = request.full_path.rstrip("?") if request.method == "GET" else None
            return redirect(url_for("accounts.login", next=back))
        return view(*args, **kwargs)

    return guarded


@bp.route("/register", methods=["GET", "POST"])
def register() -> Any:
    if request.method == "GET":
        return render_template("register.html", errors={})
    name = request.form.get("name", "").strip()
    password = request.form.get("password", "")
    errors = _complaints(name, password)
    if not errors:
        user_id = _create(name, password)
        if user_id is not None:
            _enter(user_id)
            flash(f"Welcome, {name}. Your account is ready.", "success")
            return redirect(url_for("notebook.index"))
        errors["name"] = "This name is taken. Choose another one."
    return render_template("register.html", errors=errors), 422


@bp.route("/login", methods=["GET", "POST"])
def login() -> Any:
    if request.method == "GET":
        return render_template("login.html", errors={})
    name = request.form.get("name", "").strip()
    row = db().execute("SELECT * FROM users WHERE name = ?", (name,)).fetchone()
    if not _right(row, request.form.get("password", "")):
        errors = {"name": "Name and password do not match."}
        return render_template("login.html", errors=errors), 422
    _enter(row["id"])
    flash(f"Good to see you, {row['name']}.", "success")
    return redirect(local_path(request.args.get("next")) or url_for("notebook.index"))


@bp.post("/logout")
def logout() -> Any:
    session.clear()
    flash("You are logged out.", "success")
    return redirect(url_for("notebook.index"))


@bp.get("/account")
@login_required
def account() -> Any:
    return render_template("account.html", token=None)


@bp.post("/account/token")
@login_required
def new_token() -> Any:
    """Replace the API token. The page shows it once; only its hash is stored."""
    token = secrets.token_urlsafe(32)
    with db():
        db().execute(
            "UPDATE users SET token = ? WHERE id = ?", (token_hash(token), session["user_id"])
        )
    g.pop("user")
    return render_template("account.html", token=token)


def token_hash(token: str) -> str:
    """The hash to store. A token is long and random, so one round of SHA-256 is enough."""
    return hashlib.sha256(token.encode()).hexdigest()


def local_path(target: str | None) -> str | None:
    """`target` if it is on this site, otherwise None.

    Browsers read a backslash as a slash, and ignore tabs and line ends.
    """
    return target if target and LOCAL.fullmatch(target) else None


def _right(row: sqlite3.Row | None, password: str) -> bool:
    known = row["password"] if row else current_app.extensions["unknown_user"]
    return check_password_hash(known, password[:LONGEST_PASSWORD]) and row is not None


def _complaints(name: str, password: str) -> dict[str, str]:
    errors = {}
    if not NAME.fullmatch(name):
        errors["name"] = "2 to 32 letters, digits, dots, dashes or underscores."
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        errors["password"] = f"At least {SHORTEST_PASSWORD} characters."
    return errors


def _create(name: str, password: str) -> int | None:
    """Create a user; return the new id, or None if the name is taken."""
    moment = now()
    hashed = generate_password_hash(password, current_app.config["PASSWORD_METHOD"])
    try:
        with db() as connection:
            user_id = connection.execute(
                "INSERT INTO users (name, password, created) VALUES (?, ?, ?)",
                (name, hashed, moment),
            ).lastrowid
            connection.execute(
                "INSERT INTO notes (user_id, title, body, colour, created, updated)"
                " VALUES (?, 'A place for what you think', ?, 'sea', ?, ?)",
                (user_id, WELCOME, moment, moment),
            )
    except sqlite3.IntegrityError:
        return None
    return user_id


def _enter(user_id: int) -> None:
    """Start a new session, so that data from before the login is not kept."""
    session.clear()
    session["user_id"] = user_id
    session.permanent = True
    csrf.token()
    g.pop("user", None)
