"""Twenty rows of a database as JSON, with Flask-SQLAlchemy, for Flask and for Carboy."""

from pathlib import Path
from typing import Any

from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from bench.apps import payload

ROWS = 20
app = Flask("rows")
app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{Path(payload.STATIC_FOLDER, 'rows.db')}"
db = SQLAlchemy(app)


class Note(db.Model):  # type: ignore[name-defined, misc]
    id = db.Column(db.Integer, primary_key=True)
    title = db.Column(db.String(80), nullable=False)
    text = db.Column(db.Text, nullable=False)
    done = db.Column(db.Boolean, nullable=False)


with app.app_context():
    db.create_all()
    if not db.session.query(Note).count():
        for n in range(100):
            db.session.add(Note(title=f"Note {n}", text="To be done. " * 5, done=n % 3 == 0))
        db.session.commit()


@app.get("/rows")
def rows() -> list[dict[str, Any]]:
    found = db.session.execute(db.select(Note).order_by(Note.id).limit(ROWS)).scalars()
    return [{"id": n.id, "title": n.title, "text": n.text, "done": n.done} for n in found]


@app.get("/")
def hello() -> str:
    return payload.HELLO
