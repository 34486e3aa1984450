"""The recorder of a server's process, with scripts that run in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from carboy.dev.explain import journal, moved_bytes
from carboy.dev.explain.places import APPLICATION, C_CODE
from carboy.dev.explain.recording import MODULE, Process, RecordedCall, read

ARMED = """
import os, sys, threading
from pathlib import Path
from carboy.dev.explain.start_recorder import StartRecorder

def work(number=0):
    return number + 1

recorder = StartRecorder(Path({folder!r}), {{"kept"}}, most={most})
recorder.arm()
"""


def recorded(tmp_path: Path, script: str, most: int = 1000) -> list[Process]:
    """The recordings of a script and of the processes that it starts, the first one first."""
    folder = tmp_path / "recording"
    folder.mkdir()
    file = tmp_path / "script.py"
    file.write_text(ARMED.format(folder=str(folder), most=most) + script)
    subprocess.run([sys.executable, file], check=True, cwd=tmp_path, timeout=60)
    found = [read(each.read_text("utf-8", "surrogatepass")) for each in folder.glob("*.json")]
    return sorted(found, key=lambda each: min(call.at for call in each.calls if not call.copied))


def named(process: Process, name: str) -> list[RecordedCall]:
    return [call for call in process.calls if process.function_of(call).name == name]


def test_a_call_has_its_caller_and_the_line_that_made_it(tmp_path: Path) -> None:
    (process,) = recorded(tmp_path, "def outer():\n    return work(number=3)\nouter()\n")
    (call,) = named(process, "work")
    caller = process.caller_of(call)
    assert caller is not None and caller.name == "outer"
    assert (tmp_path / "script.py").read_text().splitlines()[call.line - 1].strip() == (
        "return work(number=3)"
    )
    assert (call.args, call.result) == ((("number", "3"),), "4")
    assert process.above(call) is named(process, "outer")[0]


def test_calls_through_c_belong_to_the_function_that_called_c(tmp_path: Path) -> None:
    (process,) = recorded(tmp_path, "def outer():\n    list(map(work, range(20)))\nouter()\n")
    (outer,) = named(process, "outer")
    assert [process.above(call) for call in named(process, "work")] == [outer] * 20


def test_an_import_is_one_call_and_its_inside_is_counted(tmp_path: Path) -> None:
    (process,) = recorded(tmp_path, "import wsgiref.simple_server\n")
    (call,) = named(process, "import wsgiref.simple_server")
    assert call.ended > call.began
    assert process.left_out["in imports"] > 100
    assert [each for each in process.calls if process.above(each) is call] == []


def test_what_a_module_of_the_application_does_at_its_import_is_recorded(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import wave\ndef made(): pass\nmade()\n")
    (process,) = recorded(tmp_path, "import mine\n")
    (module,) = named(process, MODULE)
    assert process.function_of(module).module == "mine"
    assert process.function_of(module).place.room == APPLICATION
    assert [process.above(call) for call in named(process, "made")] == [module]
    assert [process.above(call) for call in named(process, "import wave")] == [module]


def test_a_system_call_has_the_addresses_of_its_socket(tmp_path: Path) -> None:
    script = """
import socket
class Own(socket.socket): pass
sock = Own()
sock.bind(("127.0.0.1", 0))
sock.listen()
client = socket.create_connection(sock.getsockname())
served = sock.accept()[0]
served.sendall(b"bytes")
sock.close()
"""
    (process,) = recorded(tmp_path, script)
    (bind,), (accept,) = named(process, "socket.bind"), named(process, "socket._accept")
    assert bind.result.startswith("127.0.0.1:")
    assert dict(accept.args) == {"own": bind.result, "listens": "True"}
    (sent,) = named(process, "socket.sendall")
    (connected,) = named(process, "socket.connect")
    assert dict(sent.args)["own"] == bind.result
    assert dict(sent.args)["peer"].startswith("127.0.0.1:")
    assert not connected.raised


def test_a_compiled_function_that_the_application_calls_is_recorded(tmp_path: Path) -> None:
    speedups = pytest.importorskip("markupsafe._speedups")
    assert speedups.__file__.endswith((".so", ".pyd"))
    script = """
from markupsafe import Markup
from markupsafe._speedups import _escape_inner
_escape_inner("<")
len("<")
Markup("a").encode()  # of str, which belongs to Python
"""
    (process,) = recorded(tmp_path, script)
    (call,) = named(process, "markupsafe._speedups._escape_inner")
    place = process.function_of(call).place
    assert (place.package, place.room, place.first) == ("markupsafe", C_CODE, 0)
    assert call.ended >= call.began
    compiled = {each.name for each in process.functions if each.place.room == C_CODE}
    assert compiled == {"markupsafe._speedups._escape_inner"}


def test_a_thread_is_recorded_with_its_name(tmp_path: Path) -> None:
    script = (
        "thread = threading.Thread(target=work, name='second')\nthread.start()\nthread.join()\n"
    )
    (process,) = recorded(tmp_path, script)
    (call,) = named(process, "work")
    assert process.threads[call.thread] == "second"


def test_a_forked_process_records_on_below_the_calls_of_its_parent(tmp_path: Path) -> None:
    script = """
def outer():
    if os.fork() == 0:
        work()
        os._exit(0)
    os.wait()
outer()
"""
    parent, child = recorded(tmp_path, script)
    (call,) = named(child, "work")
    above = child.above(call)
    assert above is not None and above.copied
    assert child.function_of(above).name == "outer"
    assert named(parent, "work") == []
    assert [call.copied for call in named(parent, "outer")] == [False]


def test_after_too_many_calls_only_possible_steps_are_kept(tmp_path: Path) -> None:
    script = "def kept(): pass\nfor _ in range(50):\n    work()\nkept()\n"
    (process,) = recorded(tmp_path, script, most=20)
    assert len(named(process, "work")) <= 20
    assert len(named(process, "kept")) == 1
    assert sum(process.left_out.values()) >= 30


def test_a_secret_argument_is_listed_for_removal(tmp_path: Path) -> None:
    script = "def login(password): pass\nlogin('hunter2')\n"
    (process,) = recorded(tmp_path, script)
    assert "hunter2" in process.secrets
    process.clean(lambda text: text.replace("hunter2", "…"))
    assert "hunter2" not in str(process.calls)


def test_a_system_call_has_the_number_of_bytes_it_moved(tmp_path: Path) -> None:
    if not moved_bytes.is_counted():
        pytest.skip("this system does not count the bytes")
    script = """
import socket
sock = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(sock.getsockname())
served = sock.accept()[0]
client.sendall(b"x" * 1000)
served.recv(10)
served.recv_into(bytearray(20))
client.shutdown(socket.SHUT_WR)
while served.recv(500): pass
served.send(b"y" * 7)
served.sendall(b"")
client.close()
"""
    (process,) = recorded(tmp_path, script)
    found = {name: [call.size for call in named(process, f"socket.{name}")]
             for name in ("recv", "recv_into", "send", "sendall", "bind")}  # fmt: skip
    assert found.pop("bind") == [-1]
    recv = found.pop("recv")
    assert recv[0] == 10 and recv[-1] == 0 and sum(recv) == 980
    assert found == {"recv_into": [20], "send": [7], "sendall": [1000, 0]}


def test_a_call_that_raised_has_the_exception(tmp_path: Path) -> None:
    script = """
import socket
def inner():
    raise ValueError("é\\ud800")
def outer():
    inner()
def caught():
    try:
        outer()
    except ValueError:
        return 1
caught()
def connects():
    try:
        socket.socket().connect(("127.0.0.1", 1))
    except OSError:
        pass
connects()
"""
    (process,) = recorded(tmp_path, script)
    for name in ("inner", "outer"):
        (call,) = named(process, name)
        assert (call.raised, call.result) == (True, "ValueError: é\ud800")
    (call,) = named(process, "caught")
    assert (call.raised, call.result) == (False, "1")
    (call,) = named(process, "socket.connect")
    assert call.raised and call.result.startswith("ConnectionRefusedError: ")


def test_what_a_killed_process_did_is_in_its_journal(tmp_path: Path) -> None:
    script = """
def outer(password):
    work(7)
    dies()
def dies():
    os.kill(os.getpid(), 9)
outer("hunter2")
"""
    folder = tmp_path / "recording"
    with pytest.raises(subprocess.CalledProcessError):
        recorded(tmp_path, script)
    assert not list(folder.glob("*.json"))
    (file,) = folder.glob("*.journal")
    process = journal.read(file)
    (outer,), (work,), (dies,) = (named(process, name) for name in ("outer", "work", "dies"))
    assert (work.args, work.result, work.is_running) == ((("number", "7"),), "8", False)
    assert process.above(work) is outer and process.above(dies) is outer
    assert outer.is_running and dies.is_running
    assert outer.ended >= dies.ended >= work.ended
    assert process.secrets == ["hunter2"]
    assert process.threads == ["MainThread"]
    assert process.function_of(dies).place.room == APPLICATION
    # A record that the process had no time to complete is left out.
    text = file.read_bytes()
    file.write_bytes(text[: text.index(b"\0") - 5] + bytes(10))
    assert [call.function for call in journal.read(file).calls] == [
        call.function for call in process.calls[: len(journal.read(file).calls)]
    ]


def test_what_follows_after_the_recursion_limit_is_recorded(tmp_path: Path) -> None:
    (process,) = recorded(
        tmp_path,
        "def down(n): return down(n + 1)\ntry: down(0)\nexcept RecursionError: work(7)\n",
        most=5000,
    )
    (call,) = named(process, "work")
    assert call.args == (("number", "7"),)
    assert {each.result for each in named(process, "down")} == {
        "RecursionError: maximum recursion depth exceeded"
    }
