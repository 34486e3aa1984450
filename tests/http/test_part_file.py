"""Uploaded files inside the temporary file of their request, compared with Werkzeug."""

from __future__ import annotations

import errno
import io
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pytest
import werkzeug.formparser
from hypothesis import given
from hypothesis import strategies as st

from black_box import evaluated
from carboy.http.forms.parser import MAX_IN_MEMORY, MultiPartParser
from carboy.http.forms.part_file import PartContent
from carboy.spooled_body import SpooledBody

# A file that is only collected warns that it was not closed, as Werkzeug's does.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

BOUNDARY = b"XX"


def multipart(*contents: bytes) -> bytes:
    parts = (
        b"--XX\r\nContent-Disposition: form-data; name=f; filename=%d\r\n\r\n%b\r\n" % (i, content)
        for i, content in enumerate(contents)
    )
    return b"".join(parts) + b"--XX--\r\n"


def spooled(data: bytes) -> SpooledBody:
    file = tempfile.TemporaryFile(buffering=0)
    file.write(data)
    file.seek(0)
    return SpooledBody(file)


def small_limit(*arguments: Any, **named: Any) -> IO[bytes]:
    """A stream factory whose files move to the disk after 10 bytes."""
    return tempfile.SpooledTemporaryFile(max_size=10, mode="rb+")


def files_of(
    body: IO[bytes], parser: Any = MultiPartParser, read_size: int = 64 * 1024, **options: Any
) -> list[Any]:
    found = parser(buffer_size=read_size, **options).parse(body, BOUNDARY, 10**7)
    return list(found[1].getlist("f"))


def is_shared(file: Any) -> bool:
    """Whether the content has not been copied."""
    raw = getattr(file.stream._file, "raw", None)
    return isinstance(raw, PartContent) and raw._own is None


LINES = b"first line\nsecond line\n\nlast" * 3


def use_of(file: Any, folder: Path) -> dict[str, Any]:
    def saved(*arguments: Any) -> bytes:
        file.save(folder / "saved", *arguments)
        return (folder / "saved").read_bytes()

    def saved_to_file(mode: str) -> bytes:
        (folder / "open").write_bytes(b"before")
        with open(folder / "open", mode) as target:  # noqa: PTH123
            file.save(target)
        return (folder / "open").read_bytes()

    def saved_in_memory() -> bytes:
        target = io.BytesIO()
        file.save(target)
        return target.getvalue()

    def through_descriptor() -> bytes:
        os.lseek(file.fileno(), 3, 0)
        return os.read(file.fileno(), 100)

    def into(size: int) -> tuple[int, bytes]:
        target = bytearray(size)
        return file.stream.readinto(target), bytes(target)

    return {
        "f": file, "s": file.stream, "raw": file.stream._file, "saved": saved, "into": into,
        "saved_to_file": saved_to_file, "saved_in_memory": saved_in_memory,
        "through_descriptor": through_descriptor, "copied": shutil.copyfileobj, "io": io,
    }  # fmt: skip


@pytest.mark.parametrize(
    "expression",
    [
        "f.read()",
        "f.read(4), f.tell(), f.read(4), f.tell(), f.read(), f.read(), f.tell()",
        "f.readline(), f.readline(3), f.readlines(), f.tell()",
        "list(f), next(iter(f), None)",
        "into(4), into(20), f.tell(), into(1000), into(5)",
        "s.read1(4), s.read1(), s.readinto1(bytearray(3))",
        "f.seek(-3, 2), f.read(), f.seek(2), f.seek(3, 1), f.read(2)",
        "f.seek(10_000), f.read(), f.tell()",
        "f.seek(-1)",
        "f.seek(-10_000, 2)",
        "f.seek(0, 17)",
        "f.seekable(), f.readable(), f.writable(), f.closed, f.isatty()",
        "f.mode, raw.mode, type(f.name), type(raw.name), type(s.name), s._rolled",
        "type(s).__name__, type(raw).__name__, isinstance(s, io.IOBase)",
        "type(f.fileno()), f.fileno() == f.fileno(), f.read()",
        "f.read(5), type(f.fileno()), f.read(5), f.seek(0), f.read()",
        "f.readline(), type(f.name), f.readline(), f.tell()",
        "through_descriptor()",
        "f.write(b'new'), f.tell(), f.read(4), f.seek(0), f.read()",
        "f.read(6), f.write(b'new'), f.read(4), f.seek(0), f.read()",
        "f.seek(0, 2), f.write(b'new'), f.seek(0), f.read()",
        "f.seek(200), f.write(b'new'), f.seek(0), f.read()",
        "f.writelines([b'a', b'b']), f.seek(0), f.read(), f.flush()",
        "f.truncate(4), f.seek(0), f.read()",
        "f.read(4), f.truncate(), f.seek(0), f.read()",
        "f.truncate(500), f.seek(0), len(f.read())",
        "saved(), f.tell(), saved(), f.seek(0), saved()",
        "f.read(7), saved(), f.read()",
        "saved(3), f.tell()",
        "saved(1 << 20), f.read()",
        "saved(0)",
        "saved_to_file('wb'), f.tell()",
        "saved_to_file('ab'), saved_to_file('rb+')",
        "saved_to_file('rb')",
        "saved_in_memory(), f.tell(), saved_in_memory()",
        "f.write(b'new'), saved(), f.seek(0), saved()",
        "saved('/nowhere/at/all')",
        "f.close(), f.closed, s.closed, f.read()",
        "f.close(), f.close(), f.seek(0)",
        "f.close(), f.write(b'x')",
        "f.close(), f.fileno()",
        "f.close(), saved()",
        "f.fileno() * 0, f.close(), f.read()",
        "s.rollover(), f.read(5)",
        "s.__enter__() is s, s.__exit__(None, None, None), f.closed",
        "raw.peek(3)[:3], raw.tell()",
    ],
)
def test_an_uploaded_file_does_what_that_of_werkzeug_does(expression: str, tmp_path: Path) -> None:
    body = multipart(b"before" * 20, LINES, b"behind" * 20)
    theirs = files_of(
        io.BytesIO(body), werkzeug.formparser.MultiPartParser, stream_factory=small_limit
    )
    ours = files_of(spooled(body), stream_factory=small_limit)
    assert is_shared(ours[1])
    outcomes = []
    for name, files in (("ours", ours), ("theirs", theirs)):
        (tmp_path / name).mkdir()
        outcomes.append(evaluated(expression, use_of(files[1], tmp_path / name)))
    assert outcomes[0] == outcomes[1]


def test_a_large_file_of_a_form_is_read_from_the_body_without_a_copy() -> None:
    content = bytes(range(256)) * 4000
    small, large = files_of(spooled(multipart(b"small", content)))
    assert small.read() == b"small"
    assert not is_shared(small)
    assert large.read() == content
    assert is_shared(large)


def test_the_limit_of_the_memory_of_a_file_is_as_with_a_copy() -> None:
    for size in (0, 1, MAX_IN_MEMORY - 1, MAX_IN_MEMORY, MAX_IN_MEMORY + 1):
        body = multipart(b"x" * size)
        theirs = files_of(io.BytesIO(body), werkzeug.formparser.MultiPartParser)[0]
        ours = files_of(spooled(body))[0]
        assert ours.stream._rolled == theirs.stream._rolled, size
        assert len(ours.read()) == size


@given(
    st.lists(st.binary(max_size=60) | st.sampled_from([b"\r\n--X", b"\r\n", b"\r"]), max_size=6),
    st.integers(1, 80),
    st.binary(max_size=5),
)
def test_contents_are_the_same_however_the_body_is_split(
    contents: list[bytes], read_size: int, before: bytes
) -> None:
    body = spooled(before + multipart(*contents))
    body.read(len(before))  # an application may have read a part
    files = files_of(body, read_size=read_size, stream_factory=small_limit)
    assert [file.read() for file in files] == contents
    assert [is_shared(file) for file in files] == [len(content) > 10 for content in contents]


def test_a_change_of_a_file_changes_neither_the_body_nor_other_files() -> None:
    contents = [b"a" * 30, b"b" * 30]
    data = multipart(*contents)
    body = spooled(data)
    first, second = files_of(body, stream_factory=small_limit)
    first.seek(0, 2)
    first.write(b"c" * 200)
    first.flush()
    os.write(first.fileno(), b"d" * 200)
    assert second.read() == contents[1]
    body.seek(0)
    assert body.read() == data


def test_a_file_can_be_read_after_the_request_has_closed_its_body() -> None:
    body = spooled(multipart(b"a" * 30))
    (file,) = files_of(body, stream_factory=small_limit)
    body.close()
    assert file.read() == b"a" * 30
    file.seek(0)
    assert os.pread(file.fileno(), 100, 0) == b"a" * 30


def test_the_body_of_a_request_cannot_be_written() -> None:
    body = spooled(b"abc")
    with pytest.raises(io.UnsupportedOperation):
        body.write(b"x")


def descriptors_of(file: Any) -> int:
    """The number of descriptors of this process for the file of `file`."""
    known = os.fstat(file.fileno())
    found = 0
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found += os.path.samestat(entry.stat(), known)
        except OSError:  # closed in the meantime
            continue
    return found


@pytest.mark.parametrize("use", ["f.close()", "f.fileno(), f.close()", "f.read(), f.close()"])
def test_a_closed_file_keeps_no_descriptor_of_the_body(use: str, tmp_path: Path) -> None:
    body = spooled(multipart(LINES))
    (file,) = files_of(body, stream_factory=small_limit)
    assert descriptors_of(body) == 2
    evaluated(use, use_of(file, tmp_path))
    assert descriptors_of(body) == 1


def test_a_closed_file_keeps_no_descriptor_of_its_copy() -> None:
    (file,) = files_of(spooled(multipart(LINES)), stream_factory=small_limit)
    kept = open(os.dup(file.fileno()), "rb")  # noqa: PTH123, SIM115
    assert descriptors_of(kept) == 2
    file.close()
    assert descriptors_of(kept) == 1
    kept.close()


def test_a_collected_file_keeps_no_descriptor() -> None:
    body = spooled(multipart(LINES))
    files = files_of(body, stream_factory=small_limit)
    assert descriptors_of(body) == 2
    files.clear()
    assert descriptors_of(body) == 1


def test_a_malformed_form_keeps_no_descriptor() -> None:
    body = spooled(multipart(LINES, LINES)[:-30])
    with pytest.raises(ValueError):
        files_of(body, stream_factory=small_limit)
    assert descriptors_of(body) == 1


class FullDisk(io.FileIO):
    def write(self, data: Any, /) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_file_stays_readable_when_the_disk_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    (file,) = files_of(spooled(multipart(LINES)), stream_factory=small_limit)
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda *a, **b: FullDisk(os.devnull, "rb+"))
    with pytest.raises(OSError, match="No space"):
        file.fileno()
    assert file.read() == LINES


def to_folder(folder: Path) -> Callable[..., IO[bytes]]:
    return lambda **options: tempfile.SpooledTemporaryFile(10, "rb+", dir=str(folder))


def own_class(folder: Path) -> Callable[..., IO[bytes]]:
    class Own(tempfile.SpooledTemporaryFile):  # type: ignore[type-arg]
        pass

    return lambda **options: Own(10, "rb+")


def never_rolled(folder: Path) -> Callable[..., IO[bytes]]:
    return lambda **options: tempfile.SpooledTemporaryFile(0, "rb+")


def begun(folder: Path) -> Callable[..., IO[bytes]]:
    def factory(**options: Any) -> IO[bytes]:
        file = tempfile.SpooledTemporaryFile(10, "rb+")
        file.write(b"x")
        file.seek(0)
        file.read(1)
        return file

    return factory


@pytest.mark.parametrize("factory", [to_folder, own_class, never_rolled, begun])
def test_a_stream_that_an_application_makes_its_own_way_gets_the_content(
    factory: Any, tmp_path: Path
) -> None:
    (file,) = files_of(spooled(multipart(LINES)), stream_factory=factory(tmp_path))
    assert not is_shared(file)
    assert file.read().endswith(LINES)
