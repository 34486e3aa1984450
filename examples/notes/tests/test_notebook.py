import re

import pytest


def test_a_note_is_written_and_read(ada):
    number = ada.write("Balcony", "Basil wants a **bigger** pot.", colour="bottle")
    page = ada.get(f"/notes/{number}").text
    assert "<h1>Balcony</h1>" in page
    assert "<p>Basil wants a <strong>bigger</strong> pot.</p>" in page
    assert "Saved." in page


def test_a_note_is_changed(ada):
    number = ada.write("Balcony", "Basil", colour="bottle")
    sent = ada.post(
        f"/notes/{number}/edit",
        {"title": "Garden", "body": "Thyme", "colour": "rose", "pinned": "on"},
        form=f"/notes/{number}/edit",
    )
    assert sent.headers["Location"] == f"/notes/{number}"
    page = ada.get(f"/notes/{number}").text
    assert "<h1>Garden</h1>" in page
    assert "Thyme" in page
    assert "glass-rose" in page
    assert "Pinned" in page


def test_the_form_shows_the_note(ada):
    number = ada.write("Balcony", "Basil & <b>", colour="bottle", pinned="on")
    form = ada.get(f"/notes/{number}/edit").text
    assert 'value="Balcony"' in form
    assert "Basil &amp; &lt;b&gt;</textarea>" in form
    assert 'value="bottle" checked' in form
    assert 'name="pinned" checked' in form


def test_a_note_is_deleted(ada):
    number = ada.write("Balcony")
    sent = ada.post(f"/notes/{number}/delete", form=f"/notes/{number}")
    assert sent.headers["Location"] == "/"
    assert "“Balcony” is deleted." in ada.get("/").text
    assert ada.get(f"/notes/{number}").status_code == 404


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"title": " "}, "A note needs a title."),
        ({"title": "x" * 121}, "A title may have up to 120 characters."),
        ({"title": "x", "body": "y" * 100_001}, "A note may have up to 100,000 characters."),
        ({"title": "x", "colour": "mud"}, "The colours are clear, sea"),
    ],
)
def test_a_form_with_an_error_keeps_the_input(ada, fields, complaint):
    sent = ada.post("/notes/new", {"body": "My words", **fields}, form="/notes/new")
    assert sent.status_code == 422
    assert complaint in sent.text
    assert fields.get("body", "My words")[:50] in sent.text


def test_markup_in_notes_is_escaped(ada):
    number = ada.write("<script>1</script>", "<img src=x> & `<b>` http://a.example/?a=1&b=2.")
    for page in (ada.get(f"/notes/{number}").text, ada.get("/").text):
        assert "<script>1" not in page
        assert "<img src=x>" not in page
    page = ada.get(f"/notes/{number}").text
    assert "<code>&lt;b&gt;</code>" in page
    assert '<a href="http://a.example/?a=1&amp;b=2" rel=' in page


@pytest.mark.parametrize("page", ["", "/edit"])
def test_notes_of_other_users_give_404(ada, grace, page):
    number = ada.write("Secret")
    assert grace.get(f"/notes/{number}{page}").status_code == 404


@pytest.mark.parametrize("action", ["edit", "delete", "pin"])
def test_notes_of_other_users_cannot_be_changed(ada, grace, action):
    number = ada.write("Secret")
    assert grace.post(f"/notes/{number}/{action}", {"title": "x"}, form="/").status_code == 404
    assert "Secret" in ada.get(f"/notes/{number}").text


def test_pinned_notes_come_first(ada):
    first = ada.write("First")
    ada.write("Second")
    page = ada.get("/").text
    assert page.index("Second") < page.index("First")
    ada.post(f"/notes/{first}/pin", form="/")
    page = ada.get("/").text
    assert page.index("First") < page.index("Second")


def test_a_colour_filters_the_list(ada):
    ada.write("Tomatoes", colour="bottle")
    ada.write("Lighthouses", colour="cobalt")
    page = ada.get("/?colour=cobalt").text
    assert "Lighthouses" in page
    assert "Tomatoes" not in page


def test_the_list_names_only_colours_that_are_used(ada):
    ada.write("Balcony", colour="bottle")
    page = ada.get("/").text
    assert "built-in method" not in page
    names = re.findall(r'class="dot glass-\w+"></span>(\w+) ', page)
    assert names == ["Sea", "Bottle"]


def test_long_lists_have_pages(ada, app):
    app.config["PAGE_SIZE"] = 2
    for number in range(4):
        ada.write(f"Note number {number}")
    first, last = ada.get("/").text, ada.get("/?page=3").text
    assert "Page 1 of 3" in first
    assert "Note number 3" in first
    assert "Note number 0" not in first
    assert 'rel="next"' not in last
    assert ada.get("/?page=nonsense").status_code == 200


def test_search_finds_titles_and_texts_in_any_case(ada):
    ada.write("Sourdough", "80 % water")
    ada.write("Train", "Read about SOURDOUGH")
    ada.write("Balcony", "Basil")
    page = ada.get("/?q=sourdough").text
    assert "2 notes with “sourdough”" in page
    assert "<mark>SOURDOUGH</mark>" in page
    assert "Balcony" not in page


@pytest.mark.parametrize(("query", "many"), [("80 %", 1), ("%", 1), ("_", 0), ("\\", 0), ("'", 0)])
def test_search_takes_wildcards_literally(ada, query, many):
    ada.write("Sourdough", "80 % water")
    page = ada.get("/", query_string={"q": query}).text
    assert page.count("<article") == many


def test_search_shows_the_part_of_a_long_note(ada):
    ada.write("Long", "word " * 500 + "needle in it " + "word " * 500)
    page = ada.get("/?q=needle").text
    assert "<mark>needle</mark> in it" in page
    assert page.count("word ") < 100


def test_search_finds_only_the_notes_of_the_user(ada, grace):
    ada.write("Secret recipe")
    assert "No notes with “Secret”" in grace.get("/?q=Secret").text
