"""A guest book with five extensions, written for Flask. Run it on Carboy:

carboy run --flask app
"""

from __future__ import annotations

import os

from flask import Flask, flash, jsonify, redirect, render_template_string, url_for
from flask_caching import Cache
from flask_cors import cross_origin
from flask_login import (
    LoginManager,
    UserMixin,
    current_user,
    login_required,
    login_user,
    logout_user,
)
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import FlaskForm
from werkzeug.security import check_password_hash, generate_password_hash
from wtforms import PasswordField, StringField, SubmitField
from wtforms.validators import DataRequired

app = Flask(__name__)
app.config.update(
    SECRET_KEY=os.environ.get("SECRET_KEY", "for this example only"),
    SQLALCHEMY_DATABASE_URI=os.environ.get("DATABASE", "sqlite:///guests.db"),
    CACHE_TYPE="RedisCache",
    CACHE_REDIS_URL=os.environ.get("REDIS", "redis://localhost:6379/0"),
)
db = SQLAlchemy(app)
cache = Cache(app)
login = LoginManager(app)
login.login_view = "sign_in"


class Guest(UserMixin, db.Model):
    id = db.Column(db.Integer, primary_key=True)
    name = db.Column(db.String(80), unique=True, nullable=False)
    password = db.Column(db.String(200), nullable=False)


class Entry(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    text = db.Column(db.String(400), nullable=False)
    guest_id = db.Column(db.ForeignKey(Guest.id), nullable=False)
    guest = db.relationship(Guest)


class Credentials(FlaskForm):
    name = StringField("Name", validators=[DataRequired()])
    password = PasswordField("Password", validators=[DataRequired()])
    send = SubmitField("Send")


class EntryForm(FlaskForm):
    text = StringField("Text", validators=[DataRequired()])
    send = SubmitField("Write")


with app.app_context():
    db.create_all()

PAGE = """<!doctype html>
<html lang="en"><title>Guest book</title>
<style>body { font: 16px/1.5 system-ui; max-width: 40em; margin: 2em auto }</style>
<h1>Guest book</h1>
{% for message in get_flashed_messages() %}<p role="alert">{{ message }}</p>{% endfor %}
<p>{% if current_user.is_authenticated %}Hello, {{ current_user.name }}.
<a href="{{ url_for('sign_out') }}">Sign out</a>{% else %}
<a href="{{ url_for('sign_in') }}">Sign in</a>{% endif %}</p>
<form method="post">{{ form.hidden_tag() }}
{% for field in form if field.widget.input_type != "hidden" %}
<p>{% if field.type != "SubmitField" %}{{ field.label }} {% endif %}{{ field }}
{% for error in field.errors %}<strong>{{ error }}</strong>{% endfor %}</p>{% endfor %}
</form>
<ul>{% for entry in entries %}<li>{{ entry.text }} ({{ entry.guest.name }})</li>{% endfor %}</ul>
"""


@login.user_loader
def load_guest(number: str) -> Guest | None:
    return db.session.get(Guest, int(number))


@app.route("/", methods=["GET", "POST"])
@login_required
def book():
    form = EntryForm()
    if form.validate_on_submit():
        db.session.add(Entry(text=form.text.data, guest=current_user._get_current_object()))
        db.session.commit()
        flash("Thank you.")
        return redirect(url_for("book"))
    return render_template_string(PAGE, form=form, entries=Entry.query.order_by(Entry.id).all())


@app.route("/sign-in", methods=["GET", "POST"])
def sign_in():
    """Sign in; a new name is registered."""
    form = Credentials()
    if form.validate_on_submit():
        guest = Guest.query.filter_by(name=form.name.data).first()
        if guest is None:
            password = generate_password_hash(form.password.data)
            guest = Guest(name=form.name.data, password=password)
            db.session.add(guest)
            db.session.commit()
        if check_password_hash(guest.password, form.password.data):
            login_user(guest)
            return redirect(url_for("book"))
        flash("That is not the password.")
    return render_template_string(PAGE, form=form, entries=[])


@app.get("/sign-out")
@login_required
def sign_out():
    logout_user()
    return redirect(url_for("sign_in"))


@app.get("/api/count")
@cross_origin(origins="https://elsewhere.example")
@cache.cached(timeout=300, key_prefix="count")
def count():
    return jsonify(entries=Entry.query.count())


@app.post("/api/forget")
def forget():
    cache.clear()
    return "", 204
