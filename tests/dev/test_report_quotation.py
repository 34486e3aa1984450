"""The lines that a report quotes."""

from pathlib import Path

from carboy.dev.explain.places import Place
from carboy.dev.report.quotation import quoted


def test_a_line_after_the_end_of_the_file_is_not_quoted(tmp_path: Path) -> None:
    """The file may be shorter now than when it was loaded, as a template that was saved."""
    file = tmp_path / "page.html"
    file.write_text("<p>line</p>\n" * 20)
    place = Place(str(file), 1, 90, "your application", "your application", "page.html")
    assert quoted(place, [], [80], 8) is None
    found = quoted(place, [], [80, 12], 8)
    assert found is not None and list(found.numbers or ()) == [12]
