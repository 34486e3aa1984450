import sqlite3

import pytest
from browsing import PASSWORD, Visitor

from notes import create_app


def test_a_visitor_sees_how_to_register(visitor):
    page = visitor.get("/")
    assert page.status_code == 200
    assert "Create an account" in page.text
    assert "Set-Cookie" not in page.headers


def test_registering_logs_in_and_welcomes_the_user(visitor):
    sent = visitor.register("ada")
    assert sent.headers["Location"] == "/"
    page = visitor.get("/").text
    assert "Welcome, ada." in page
    assert "A place for what you think" in page


def test_a_message_is_shown_once(ada):
    assert "Welcome" in ada.get("/").text
    assert "Welcome, ada." not in ada.get("/").text


def test_a_name_is_taken_regardless_of_case(ada, app):
    sent = Visitor(app).register("ADA")
    assert sent.status_code == 422
    assert "This name is taken." in sent.text


@pytest.mark.parametrize(
    ("name", "password", "complaint"),
    [
        ("a", PASSWORD, "2 to 32 letters"),
        ("no spaces", PASSWORD, "2 to 32 letters"),
        ("<script>", PASSWORD, "2 to 32 letters"),
        ("ada", "short", "At least 8 characters"),
        ("ada", "x" * 257, "At least 8 characters"),
    ],
)
def test_names_and_passwords_have_rules(visitor, name, password, complaint):
    sent = visitor.post("/register", {"name": name, "password": password}, form="/register")
    assert sent.status_code == 422
    assert complaint in sent.text
    assert "<script>" not in sent.text


def test_the_password_is_stored_as_a_slow_hash(tmp_path):
    app = create_app({"INSTANCE_PATH": str(tmp_path)})
    assert Visitor(app).register("ada").status_code == 302
    connection = sqlite3.connect(app.config["DATABASE"])
    (kept,) = connection.execute("SELECT password FROM users").fetchone()
    connection.close()
    assert PASSWORD not in kept
    assert kept.startswith("scrypt:")


def test_logging_in_and_out(ada, app):
    visitor = Visitor(app)
    assert visitor.log_in("ada").headers["Location"] == "/"
    assert "All" in visitor.get("/").text
    assert visitor.post("/logout", form="/").status_code == 302
    assert "Create an account" in visitor.get("/").text


@pytest.mark.parametrize(("name", "password"), [("ada", "wrong horse"), ("unknown", PASSWORD)])
def test_a_wrong_name_and_a_wrong_password_give_the_same_message(ada, app, name, password):
    sent = Visitor(app).log_in(name, password)
    assert sent.status_code == 422
    assert "do not match" in sent.text


def test_a_protected_page_redirects_to_the_login_and_back(ada, app):
    visitor = Visitor(app)
    sent = visitor.get("/notes/new?x=1")
    assert sent.headers["Location"] == "/login?next=/notes/new?x%3D1"
    back = visitor.log_in("ada", path=sent.headers["Location"])
    assert back.headers["Location"] == "/notes/new?x=1"


@pytest.mark.parametrize(
    "target", ["//evil.example", "/\\evil.example", "/%09/evil.example", "https://evil.example"]
)
def test_the_redirect_after_a_login_stays_on_this_site(ada, app, target):
    sent = Visitor(app).post(
        f"/login?next={target}", {"name": "ada", "password": PASSWORD}, form="/login"
    )
    assert sent.headers["Location"] == "/"


def test_a_form_without_its_token_is_refused(visitor):
    sent = visitor.client.post("/register", data={"name": "ada", "password": PASSWORD})
    assert sent.status_code == 400
    assert "is not from this site" in sent.text


def test_a_form_with_the_token_of_another_user_is_refused(ada, grace):
    token = grace.token("/")
    sent = ada.client.post("/logout", data={"csrf_token": token})
    assert sent.status_code == 400
    assert "Create an account" not in ada.get("/").text
