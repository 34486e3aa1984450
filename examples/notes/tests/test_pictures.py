import io
import struct
from pathlib import Path

import pytest
from notes.pictures import Refused, examine

from notes import pictures

GIF = b"GIF89a" + struct.pack("<HH", 7, 5) + b"\0" * 20
JPEG = (
    b"\xff\xd8\xff\xe0\x00\x10JFIF\0\1\1\0\0\1\0\1\0\0"
    b"\xff\xc0\x00\x0b\x08" + struct.pack(">HH", 5, 7) + b"\1\1\x11\0"
)
WEBP = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\6\0\0" + b"\4\0\0"


def upload(visitor, content, name="photo.png", title="With a picture"):
    picture = (io.BytesIO(content), name)
    return visitor.post("/notes/new", {"title": title, "picture": picture}, form="/notes/new")


def picture_of(visitor, note):
    page = visitor.get(note).text
    return page.partition('class="picture" href="')[2].partition('"')[0]


def test_a_picture_is_stored_and_shown(ada, png):
    sent = upload(ada, png(30, 20))
    page = ada.get(sent.headers["Location"]).text
    assert 'width="30" height="20"' in page
    with ada.get(picture_of(ada, sent.headers["Location"])) as shown:
        assert shown.data == png(30, 20)
        assert shown.headers["Content-Type"] == "image/png"


def test_a_picture_is_served_without_permission_to_run_scripts(ada, png):
    sent = upload(ada, png())
    with ada.get(picture_of(ada, sent.headers["Location"])) as shown:
        headers = shown.headers
    assert headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "private" in headers["Cache-Control"]


def test_the_name_of_the_upload_is_not_used(ada, app, png):
    upload(ada, png(), name="../../evil.html")
    (kept,) = Path(app.config["PICTURES"]).iterdir()
    assert kept.suffix == ".png"
    assert "evil" not in kept.name


def test_a_range_of_a_picture(ada, png):
    path = picture_of(ada, upload(ada, png()).headers["Location"])
    with ada.get(path, headers={"Range": "bytes=0-7"}) as part:
        assert part.status_code == 206
        assert part.data == b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize(
    "content", [b"<svg onload=alert(1)>", b"<html>", b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0"]
)
def test_an_upload_that_is_not_a_picture_is_refused(ada, app, content):
    sent = upload(ada, content)
    assert sent.status_code == 422
    assert "not a PNG, JPEG, GIF or WebP" in sent.text
    assert 'value="With a picture"' in sent.text
    assert not list(Path(app.config["PICTURES"]).iterdir())


def test_a_picture_beyond_the_limit_is_refused(ada, png, monkeypatch):
    monkeypatch.setattr(pictures, "LARGEST_FILE", 1000)
    sent = upload(ada, png() + b"\0" * 1000)
    assert sent.status_code == 422
    assert "A picture may have up to 5 MiB." in sent.text


def test_a_request_beyond_the_limit_gets_a_page(ada, app):
    app.config["MAX_CONTENT_LENGTH"] = 1000
    sent = upload(ada, b"x" * 2000)
    assert sent.status_code == 413
    assert "Too large" in sent.text


def test_pictures_of_other_users_give_404(ada, grace, png):
    path = picture_of(ada, upload(ada, png()).headers["Location"])
    assert grace.get(path).status_code == 404


def test_a_new_picture_replaces_the_old_one(ada, app, png):
    note = upload(ada, png()).headers["Location"]
    ada.post(
        f"{note}/edit", {"title": "x", "picture": (io.BytesIO(GIF), "new.gif")}, form=f"{note}/edit"
    )
    (kept,) = Path(app.config["PICTURES"]).iterdir()
    assert kept.read_bytes() == GIF


def test_a_picture_is_removed(ada, app, png):
    note = upload(ada, png()).headers["Location"]
    ada.post(f"{note}/edit", {"title": "x", "drop_picture": "on"}, form=f"{note}/edit")
    assert not list(Path(app.config["PICTURES"]).iterdir())
    assert "<img" not in ada.get(note).text


def test_deleting_a_note_deletes_its_picture(ada, app, png):
    note = upload(ada, png()).headers["Location"]
    ada.post(f"{note}/delete", form=note)
    assert not list(Path(app.config["PICTURES"]).iterdir())


@pytest.mark.parametrize(("content", "ending"), [(GIF, "gif"), (JPEG, "jpg"), (WEBP, "webp")])
def test_the_size_is_read_from_the_file(content, ending):
    picture = examine(content)
    assert (picture.ending, picture.width, picture.height) == (ending, 7, 5)


def test_absurd_sizes_are_refused(png):
    with pytest.raises(Refused, match="12,000 pixels"):
        examine(png(20_000, 1))
