from __future__ import annotations

import io

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carboy.http.containers.multidict import MultiDict
from carboy.http.forms.file_storage import FileStorage
from carboy.http.request.environ_builder import EnvironBuilder
from carboy.testing import encode_multipart, stream_encode_multipart

NAMES = st.text(
    # Without the backslash: HTML leaves it alone, and some readers take it for an escape.
    st.characters(codec="utf-8", categories=("L", "N", "P", "Zs"), exclude_characters="\\"),
    min_size=1,
    max_size=8,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(NAMES, st.text(max_size=30)), max_size=5), st.binary(max_size=100))
def test_a_form_is_read_as_it_was_written(fields: list[tuple[str, str]], content: bytes) -> None:
    fields = [(name, value.encode(errors="replace").decode()) for name, value in fields]
    values = MultiDict(fields)
    values.add("the file", FileStorage(io.BytesIO(content), "näme.bin"))  # type: ignore[arg-type]
    stream, length, boundary = stream_encode_multipart(values)
    kind = f'multipart/form-data; boundary="{boundary}"'
    builder = EnvironBuilder(method="POST", input_stream=stream, content_type=kind)
    with builder.get_request() as request:
        assert sorted(request.form.items(multi=True)) == sorted(fields)
        file = request.files["the file"]
        assert (file.filename, file.read()) == ("näme.bin", content)


def test_quotes_and_line_ends_in_names_are_escaped() -> None:
    _, body = encode_multipart({'a"\r\nX: y': "1"}, boundary="B")
    assert b'name="a%22%0D%0AX: y"\r\n\r\n1' in body


def test_large_forms_are_moved_to_a_temporary_file() -> None:
    stream, length, _ = stream_encode_multipart({"a": "1" * 5000}, threshold=100)
    assert not isinstance(stream, io.BytesIO)
    assert len(stream.read()) == length
    stream.close()


def test_without_a_temporary_file_a_form_stays_in_memory() -> None:
    stream, _, _ = stream_encode_multipart({"a": "1" * 5000}, use_tempfile=False, threshold=100)
    assert isinstance(stream, io.BytesIO)


def test_an_open_file_is_sent_as_a_file() -> None:
    boundary, body = encode_multipart({"f": io.BytesIO(b"x")})
    assert b"Content-Type: application/octet-stream\r\n\r\nx" in body
    assert boundary.encode() in body
