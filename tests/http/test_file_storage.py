"""Uploaded files, compared with Werkzeug."""

from __future__ import annotations

import copy
import io
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import werkzeug.datastructures as theirs

import carboy.http as ours
from black_box import evaluated


def made(library: Any) -> Any:
    return library.FileStorage(
        io.BytesIO(b"abc\ndef"),
        "é.txt",
        "field",
        "Text/Plain; charset=x",
        7,
        library.Headers([("X", "y")]),
    )


@pytest.mark.parametrize(
    "expression",
    [
        "f",
        "f.filename, f.name, f.content_type, f.content_length, f.mimetype, f.mimetype_params",
        "f.headers, bool(f)",
        "list(f)",
        "f.read(2), f.tell(), f.seek(0), f.readline(), f.seekable()",
        "f.nonexistent",
        "f.close(), f.stream.closed",
        "f.close() or f.read()",
        "FileStorage(), bool(FileStorage()), FileStorage().read()",
        "FileStorage().content_length, FileStorage().mimetype, FileStorage().mimetype_params",
        "FileStorage(headers=Headers({'Content-Length': 'x'})).content_length",
        "FileStorage(headers=Headers({'Content-Length': '7'})).content_length",
        "FileStorage(headers=Headers({'Content-Type': 'A/B'})).mimetype",
        "FileStorage(headers=Headers({'Content-Type': 'A/B'}), content_type='c/d').headers",
        "FileStorage(content_length=0).headers, FileStorage(content_type='').headers",
        "FileStorage(named('<stdin>')).filename, FileStorage(named(b'foo')).filename",
        "FileStorage(named('a/b')).filename, FileStorage(named('a'), filename='z').filename",
    ],
)
def test_the_methods_of_a_file_return_what_werkzeug_returns(expression: str) -> None:
    answers = []
    for library in (ours, theirs):
        names = {"FileStorage": library.FileStorage, "Headers": library.Headers, "named": named}
        answers.append(evaluated(expression, {**names, "f": made(library)}))
    assert answers[0] == answers[1]


def named(name: Any) -> io.BytesIO:
    stream = Named()
    stream.name = name
    return stream


class Named(io.BytesIO):
    name: Any


class FullAfterTheFirstPiece(io.RawIOBase):
    pieces = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self.pieces += 1
        if self.pieces > 1:
            raise OSError(28, "No space left on device")
        return len(data)


def test_a_file_is_saved_to_a_path_or_a_stream(tmp_path: Path) -> None:
    data = bytes(range(256)) * 300
    for target in (tmp_path / "a", str(tmp_path / "a")):
        ours.FileStorage(io.BytesIO(data)).save(target)
        assert (tmp_path / "a").read_bytes() == data
    stream = io.BytesIO()
    ours.FileStorage(io.BytesIO(data)).save(stream, buffer_size=7)
    assert stream.getvalue() == data


def test_large_files_are_saved_whole_one_after_another_and_at_once() -> None:
    contents = [bytes([n]) + bytes(3 * 1024 * 1024 // 2 + n) + bytes([n]) for n in range(1, 5)]
    contents.append(bytes(2 * 1024 * 1024))

    def saved(content: bytes) -> bytes:
        with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as target:
            source.write(content)
            source.seek(0)
            ours.FileStorage(source).save(target)
            target.seek(0)
            return target.read()

    assert [saved(content) == content for content in contents] == [True] * 5
    with ThreadPoolExecutor(4) as threads:
        assert [a == b for a, b in zip(threads.map(saved, contents), contents, strict=True)] == (
            [True] * 5
        )


def test_after_an_error_while_a_large_file_is_saved_the_next_one_is_whole(tmp_path: Path) -> None:
    content = bytes(range(256)) * 4 * 1024 * 2
    full = io.BufferedWriter(FullAfterTheFirstPiece())
    with pytest.raises(OSError, match="No space left"):
        ours.FileStorage(io.BytesIO(content)).save(full)
    full.raw.pieces = -1  # type: ignore[attr-defined]  # so that it can be closed
    ours.FileStorage(io.BytesIO(content)).save(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == content


def test_save_begins_at_the_position_of_the_stream() -> None:
    file, stream = ours.FileStorage(io.BytesIO(b"abc")), io.BytesIO()
    file.read(1)
    file.save(stream)
    assert stream.getvalue() == b"bc"


def test_a_spooled_file_has_the_methods_of_a_file() -> None:
    with tempfile.SpooledTemporaryFile() as stream:
        file = ours.FileStorage(stream)  # type: ignore[arg-type]
        assert file.seekable()
        assert file.filename is None


def test_files_are_added_by_path_stream_or_file_storage(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(b"hello")
    told = []
    for library in (ours, theirs):
        files = library.FileMultiDict()
        files.add_file("a", str(path))
        files.add_file("b", io.BytesIO(b"q"), "q.png")
        files.add_file("c", library.FileStorage(filename="z"))
        files.add_file("d", io.BytesIO(b"q"))
        files.add_file("e", path, content_type="a/b")
        files.add_file("f", path, "zz.unknown-type")
        told.append(
            [
                (key, repr(f), f.name, f.filename, f.content_type, f.read())
                for key, f in files.items()
            ]
        )
        for file in files.values():
            file.close()
    assert str(told[0]) == str(told[1])


def test_a_missing_path_raises() -> None:
    with pytest.raises(FileNotFoundError):
        ours.FileMultiDict().add_file("a", "/nonexistent/file")


def test_a_file_of_a_descriptor_has_no_name_while_werkzeug_raises() -> None:
    with tempfile.TemporaryFile() as stream:
        assert ours.FileStorage(stream).filename is None
        with pytest.raises(TypeError):
            theirs.FileStorage(stream)


def test_a_file_can_be_copied() -> None:
    file = copy.copy(made(ours))
    assert (file.filename, file.read()) == ("é.txt", b"abc\ndef")


NAMES = [None, "", "a.txt", b"a.txt", b"\xff", Path("a/b"), "<", "<a>", b"<a>", Path("<a>")]


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_names_of_all_types_become_the_same_text_as_in_werkzeug(name: Any) -> None:
    stream = named(name)
    for arguments in ({"stream": stream}, {"stream": stream, "filename": "q"}, {"filename": name}):
        expected = theirs.FileStorage(**arguments).filename
        assert ours.FileStorage(**arguments).filename == expected
