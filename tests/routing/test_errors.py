from __future__ import annotations

import pytest
import werkzeug.routing

import carboy.http.response.response  # noqa: F401  # makes responses of errors
import carboy.routing
from carboy.routing import NoMatch, RequestPath, RequestRedirect


@pytest.mark.parametrize("url", ["/x", "http://h/s/a b/é?q=<&>\"'", "http://bücher.example/"])
def test_a_redirect_answers_as_werkzeugs_does(url: str) -> None:
    theirs = werkzeug.routing.RequestRedirect(url).get_response({})
    ours = carboy.routing.RequestRedirect(url).get_response({})
    assert ours.status == theirs.status
    assert list(ours.headers) == list(theirs.headers)
    assert ours.get_data() == theirs.get_data()


def test_a_redirect_is_permanent_and_knows_its_url() -> None:
    redirect = RequestRedirect("/x")
    assert (redirect.code, redirect.new_url, redirect.name) == (308, "/x", "Permanent Redirect")


def test_internal_exceptions_have_the_data_for_the_adapter() -> None:
    assert RequestPath("/x").path_info == "/x"
    nothing = NoMatch({"GET"}, True)
    assert (nothing.have_match_for, nothing.websocket_mismatch) == ({"GET"}, True)
