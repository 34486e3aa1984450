from __future__ import annotations

from carboy.server.default_fields import DefaultFields


def test_the_lines_of_every_response_follow_the_clock() -> None:
    extra = DefaultFields("carboy")
    assert extra.refresh(0.0) == b"Server: carboy\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
    assert extra.refresh(86400.9).endswith(b"Fri, 02 Jan 1970 00:00:00 GMT\r\n")
    assert extra.lines == extra.refresh(86400.0)


def test_an_empty_server_name_makes_no_server_line() -> None:
    assert DefaultFields("").refresh(0.0) == b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
