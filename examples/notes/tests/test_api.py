import re

import pytest


@pytest.fixture
def api(ada, app):
    """A program with ada's token."""
    page = ada.post("/account/token", form="/account").text
    token = re.search(r'id="token">([^<]+)<', page)[1]

    def call(method, path, **options):
        headers = {"Authorization": f"Bearer {token}"}
        return app.test_client().open(path, method=method, headers=headers, **options)

    return call


def test_a_request_without_a_token_gets_401(app):
    answer = app.test_client().get("/api/notes")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="notes"'
    assert answer.json["error"]["status"] == 401


def test_the_api_ignores_the_cookies_of_a_browser(ada):
    assert ada.get("/api/notes").status_code == 401


def test_a_new_token_replaces_the_old_one(ada, api):
    assert api("GET", "/api/notes").status_code == 200
    ada.post("/account/token", form="/account")
    assert api("GET", "/api/notes").status_code == 401


def test_a_note_is_made_read_changed_and_deleted(api):
    made = api("POST", "/api/notes", json={"title": "Train", "body": "Calvino"})
    assert made.status_code == 201
    path = made.headers["Location"]
    assert api("GET", path).json["body"] == "Calvino"
    changed = api("PATCH", path, json={"pinned": True, "colour": "amber"}).json
    assert (changed["title"], changed["pinned"], changed["colour"]) == ("Train", True, "amber")
    assert api("DELETE", path).status_code == 204
    assert api("GET", path).status_code == 404


def test_notes_are_listed_and_searched(api):
    for number in range(3):
        api("POST", "/api/notes", json={"title": f"Lighthouse {number}"})
    found = api("GET", "/api/notes?q=lighthouse&limit=2").json
    assert [note["title"] for note in found["notes"]] == ["Lighthouse 2", "Lighthouse 1"]
    assert (found["total"], found["page"], found["pages"]) == (3, 1, 2)


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({}, "A note needs a title."),
        ({"title": 5}, "The field title has to be a string."),
        ({"title": "x", "owner": 1}, "Unknown fields: owner."),
        ({"title": "x", "colour": "mud"}, "The colours are"),
    ],
)
def test_errors_are_reported_in_json(api, sent, message):
    answer = api("POST", "/api/notes", json=sent)
    assert answer.status_code == 422
    assert message in answer.json["error"]["message"]


@pytest.mark.parametrize(("body", "kind"), [("{", "application/json"), ("[]", "application/json")])
def test_a_body_that_is_not_a_json_object_is_refused(api, body, kind):
    assert api("POST", "/api/notes", data=body, content_type=kind).status_code == 400


def test_another_content_type_is_refused(api):
    answer = api("POST", "/api/notes", data="title=x", content_type="text/plain")
    assert answer.status_code == 415
    assert answer.json["error"]["status"] == 415


def test_notes_of_other_users_give_404(api, grace):
    number = grace.write("Secret")
    assert api("GET", f"/api/notes/{number}").status_code == 404
    assert api("DELETE", f"/api/notes/{number}").status_code == 404
    assert "Secret" in grace.get(f"/notes/{number}").text
