import os
import stat

import pytest

from notes import create_app


def test_the_application_creates_its_files(tmp_path):
    app = create_app({"INSTANCE_PATH": str(tmp_path / "deep" / "instance")})
    assert app.test_client().get("/").status_code == 200
    made = {entry.name for entry in (tmp_path / "deep" / "instance").iterdir()}
    assert {"notes.sqlite3", "pictures", "secret_key"} <= made


def test_the_secret_key_is_stored_and_only_its_owner_can_read_it(tmp_path):
    first = create_app({"INSTANCE_PATH": str(tmp_path)})
    second = create_app({"INSTANCE_PATH": str(tmp_path)})
    assert first.config["SECRET_KEY"] == second.config["SECRET_KEY"]
    assert stat.S_IMODE(os.stat(tmp_path / "secret_key").st_mode) == 0o600


def test_a_missing_page_has_the_style_of_the_application(visitor):
    page = visitor.get("/nowhere")
    assert page.status_code == 404
    assert "Page not found" in page.text


def test_a_405_keeps_its_allow_header(visitor):
    page = visitor.get("/logout")
    assert page.status_code == 405
    assert "POST" in page.headers["Allow"]
    assert "This method is not allowed" in page.text


def test_an_exception_gives_an_error_page(app, visitor):
    app.config["PROPAGATE_EXCEPTIONS"] = False

    @app.get("/broken")
    def broken():
        raise RuntimeError("secret detail")

    page = visitor.get("/broken")
    assert page.status_code == 500
    assert "Something went wrong" in page.text
    assert "secret detail" not in page.text


@pytest.mark.parametrize("path", ["/", "/login", "/static/notes.css", "/nowhere"])
def test_each_response_has_security_headers(visitor, path):
    with visitor.get(path) as page:
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        assert page.headers["X-Content-Type-Options"] == "nosniff"


def test_static_files_are_revalidated(visitor):
    with visitor.get("/static/notes.css") as first:
        tag = first.headers["ETag"]
    with visitor.get("/static/notes.css", headers={"If-None-Match": tag}) as second:
        assert second.status_code == 304
