"""Authorization and WWW-Authenticate, compared with Werkzeug."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import werkzeug.datastructures as theirs
from hypothesis import given
from hypothesis import strategies as st

import carboy.http as ours
from black_box import evaluated, outcome

FIELDS = [
    "Basic dXNlcjpwYXNz",
    "basic  dXNlcjpwYXNz ",
    "BASIC dXNlcjpwYXNzw6k=",
    "Basic dXNlcg==",
    "Basic Og==",
    "Basic OmI=",
    "Basic",
    "Basic x",
    "Basic a=b",
    "Basic dXNlcjpw8Q==",
    "Basic dXNl:cjpwYXNz",
    "Basic dXNlcjpwYXNz=",
    "Basic dXNlcjpwYXN",
    "Basic YTpi\nYw==",
    "Bearer abc",
    "Bearer  abc= ",
    "bearer a=b",
    "Bearer a b",
    'Bearer "x"',
    'Digest username="a", realm="b c", nonce=c, qop=auth, uri="/x?y=z", stale=false',
    'Digest realm="a", nonce="b", qop="auth,auth-int", opaque=o, algorithm=MD5, domain=d',
    "Foo",
    "Foo a=b=",
    "Foo abc==",
    "Foo =",
    "Foo a=",
    "Foo a,b",
    'X a="b',
    "NTLM TlRMTVNTUAA=",
    " Basic x",
    "Foo\ta=b",
    'Basic realm="x", Digest realm="y"',
    "",
    None,
]


def told(credentials: Any) -> Any:
    if credentials is None:
        return None
    return (
        credentials.type,
        dict(credentials.parameters),
        credentials.token,
        str(credentials),
        repr(credentials),
        [credentials[name] for name in ("username", "password", "realm", "zz")],
        [credentials.get(name, "d") for name in ("username", "realm", "zz")],
        "realm" in credentials,
        credentials.realm,
        credentials.zz,
    )


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("kind", ["Authorization", "WWWAuthenticate"])
def test_fields_are_parsed_as_in_werkzeug(kind: str, field: str | None) -> None:
    mine, other = (getattr(library, kind).from_header(field) for library in (ours, theirs))
    assert told(mine) == told(other)


@given(st.text('Basic =,"a:', max_size=16))
def test_any_text_is_parsed_as_in_werkzeug(text: str) -> None:
    for kind in ("Authorization", "WWWAuthenticate"):
        answers = [
            outcome(lambda c=getattr(library, kind): told(c.from_header(text)))
            for library in (ours, theirs)
        ]
        assert answers[0] == answers[1]


@given(st.text(), st.text())
def test_basic_credentials_that_were_written_are_read_back(username: str, password: str) -> None:
    made = ours.Authorization("basic", {"username": username, "password": password})
    if ":" not in username:
        assert ours.Authorization.from_header(str(made)) == made
    assert str(made) == str(
        theirs.Authorization("basic", {"username": username, "password": password})
    )


MADE = [
    "('basic', {'username': 'u', 'password': 'p:é'})",
    "('Basic', {'username': 'u', 'password': 'p'})",
    "('bearer', token='x y')",
    "('digest', {'a': 'b', 'c': None, 'd': 'e f'})",
    "('foo')",
    "('foo', {})",
    "('FOO', {'a': 'b'})",
    "('digest', {'realm': 'a', 'nonce': 'n', 'qop': 'auth', 'algorithm': 'MD5', 'x': 'y z'})",
    "('foo', {'a': 'b'}, 'tok')",
]


@pytest.mark.parametrize("made", MADE)
@pytest.mark.parametrize("kind", ["Authorization", "WWWAuthenticate"])
def test_objects_are_written_as_in_werkzeug(kind: str, made: str) -> None:
    if kind == "WWWAuthenticate" and "None" in made:
        return  # see below
    mine, other = (
        eval(f"{kind}{made}", {kind: getattr(library, kind)}) for library in (ours, theirs)
    )
    assert told(mine) == told(other)
    assert mine == eval(f"{kind}{made}", {kind: getattr(ours, kind)})
    assert mine != 5
    assert evaluated("hash(value)", {"value": mine}) == "raises TypeError"


CHANGES = st.lists(
    st.sampled_from(
        [
            "setattr(w, 'realm', 'y z')",
            "setattr(w, 'realm', None)",
            "w.__setitem__('q', '1')",
            "w.__setitem__('q', None)",
            "w.__delitem__('q')",
            "w.__delitem__('realm')",
            "delattr(w, 'realm')",
            "delattr(w, 'zz')",
            "w.parameters.update(a='b')",
            "w.parameters.clear()",
        ]
    ),
    max_size=6,
)


@given(CHANGES)
def test_a_challenge_reports_the_same_changes_as_in_werkzeug(changes: list[str]) -> None:
    logs = []
    for library in (ours, theirs):
        header, log = ["Basic realm=x"], []
        w = library.WWWAuthenticate("basic", {"realm": "x"})
        w._on_update = lambda value, header=header: header.__setitem__(0, str(value))
        for change in changes:
            log += [evaluated(change, {"w": w}), header[0]]
            assert header[0] == str(w)
        logs.append(log)
    assert logs[0] == logs[1]


# intentional differences


def test_type_token_and_parameters_can_be_set_while_werkzeug_adds_parameters() -> None:
    log: list[str] = []
    challenge = ours.WWWAuthenticate("basic", {"realm": "x"})
    challenge._on_update = lambda value: log.append(str(value))
    challenge.type = "Digest"
    challenge.parameters = {"nonce": "n"}
    challenge.token = "t"
    challenge.parameters["a"] = "b"
    assert log == ['Digest realm="x"', 'Digest nonce="n"', "Digest t", "Digest t"]


@pytest.mark.parametrize("field", ["Digest a=b, realm=c", "Bearer abc"])
@pytest.mark.parametrize("kind", [ours.Authorization, ours.WWWAuthenticate])
def test_both_can_be_copied_and_pickled_while_werkzeug_recurses(kind: Any, field: str) -> None:
    made = kind.from_header(field)
    for copied in (copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert copied == made
        assert copied is not made


def test_credentials_that_are_not_ascii_give_none_while_werkzeug_raises() -> None:
    assert ours.Authorization.from_header("Basic é") is None
    with pytest.raises(ValueError):
        theirs.Authorization.from_header("Basic é")


def test_a_digest_parameter_of_none_is_left_out_while_werkzeug_writes_none() -> None:
    challenge = ours.WWWAuthenticate("digest", {"realm": "r", "stale": None})
    assert str(challenge) == 'Digest realm="r"'


ODD = [
    *("Basic =", "Basic ==", "Basic ===", "Basic", "Basic ", "Basic =eDp5", "Basic ====eDp5"),
    *("Basic eDp5=", "Basic eDp5==", "Basic eDp5===", "Basic eDp5====", "Basic eDp", "Basic e"),
    *("Basic eA", "Basic eA=", "Basic eA==", "Basic eA==eA==", "Basic eDp5=eDp5", "Basic eDp5,"),
    *("Basic YTpiOmM=", "Basic YTpiOmM==", "Basic YTpiOmM", "Basic  eDp5", "Basic eDp5 "),
    *(
        "Basic eD p5",
        "Basic eD\tp5",
        "Basic eDp5\n",
        "Basic \teDp5",
        "Basic\teDp5",
    ),
    *("Basic /w==", "Basic Og==", 'Basic "eDp5"', "Basic realm=x", "Basic eDp5 eDp5", "Basic e-_="),
    *(" Basic eDp5", ", Basic eDp5", "basic eDp5", "BASIC eDp5", "Basic eDp5\x00", "Basic %%%%"),
    *("Bearer", "Bearer ", "Bearer =", "Bearer ==", "Bearer a=", "Bearer a==", "Bearer a=b="),
    *("Bearer =a", "Bearer a b", "Bearer a, b", "Bearer a=b, c", "Bearer ,", "Bearer ,,a=b"),
    *(
        "Bearer x\xa0",
        "Bearer \x85x",
        "Bearer \xa0a=b",
        "Bearer a=b\x85",
        "Bearer \xe4",
        "x",
        "",
        " ",
    ),
    *(
        "Digest =b",
        "Digest a=",
        "Digest a=, b=c",
        'Digest "a"=b',
        "Digest a=1, a=2",
        "Digest A=\xe4",
    ),
]


def seen(kind: Any, value: str) -> object:
    found = kind.from_header(value)
    return found and (found.type, found.token, dict(found.parameters or {}))


@pytest.mark.parametrize("value", ODD)
def test_unusual_credentials_are_parsed_as_in_werkzeug(value: str) -> None:
    assert seen(ours.Authorization, value) == seen(theirs.Authorization, value)


@given(
    st.sampled_from(["Basic ", "Bearer ", "Digest ", "basic", "Basic  "]),
    st.text("aeDp5=,:\"\\ +/-_;*%'A\t\n", max_size=9),
)
def test_any_ascii_credentials_are_parsed_as_in_werkzeug(scheme: str, rest: str) -> None:
    value = scheme + rest
    assert seen(ours.Authorization, value) == seen(theirs.Authorization, value)
