"""bench.chaos counts correctly: a server that does one thing wrong is detected."""

import contextlib
import itertools
import socket
import threading
import time

import pytest
from bench.chaos import report
from bench.chaos.__main__ import DOCUMENT, chosen
from bench.chaos.client import Client
from bench.chaos.fault import Fault, Scene, judged
from bench.chaos.faults import FAULTS, soak
from bench.chaos.ledger import Ledger, Loss, Outcome
from bench.chaos.load import Load
from bench.chaos.prober import Prober, gaps
from bench.chaos.questions import HELLO_BODY, get
from bench.chaos.servers import SERVERS, Served

QUESTION = get("/double/21", b"42")
RIGHT = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n42"
LAST = RIGHT.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy"


class FakeServer:
    """Answers the n-th request with the n-th bytes, later requests with the last; b"" closes."""

    def __init__(self, *answers, last=RIGHT):
        self.answers = itertools.chain(answers, itertools.repeat(last))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        self.connections = []
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.accept)]
        self.threads[0].start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            self.threads.append(threading.Thread(target=self.serve, args=(connection,)))
            self.threads[-1].start()

    def serve(self, connection):
        with connection, contextlib.suppress(OSError):
            while connection.recv(65536):
                with self.lock:
                    answer = next(self.answers)
                connection.sendall(answer)
                if not answer or b"Connection: close" in answer:
                    return

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.threads[0].join()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self.threads[1:]:
            thread.join()


def asked(server, times=1, **options):
    """The ledger and the outcomes of a client that sends `times` requests."""
    ledger = Ledger()
    client = Client(server.address, ledger, **options)
    outcomes = [client.ask(QUESTION) for _ in range(times)]
    client.close()
    return ledger, outcomes


def counts(ledger):
    assert ledger.open == 0
    return ledger.sent, ledger.right, ledger.refused, ledger.lost


def test_right_responses_are_counted_as_right():
    with FakeServer() as server:
        assert counts(asked(server, 5)[0]) == (5, 5, 0, 0)
        assert len(server.connections) == 1


@pytest.mark.parametrize(
    ("answer", "how"),
    [
        (b"", "connection closed without a response"),
        (LAST[:-1], "connection closed within the response"),
        (RIGHT.replace(b"42", b"43"), "wrong: different body"),
        (RIGHT + b"x", "wrong: bytes after the response"),
        (RIGHT.replace(b"200", b"500"), "wrong: status 500"),
        (b"nonsense\r\n\r\n", "wrong: b'nonsense' is not a status line"),
    ],
)
def test_one_lost_response_is_reported_as_one_lost(answer, how):
    with FakeServer(RIGHT, answer) as server:
        ledger, outcomes = asked(server, 4)
    assert counts(ledger) == (4, 3, 0, 1)
    assert outcomes[1] is Outcome.LOST
    assert [loss.how for loss in ledger.losses] == [how]


def test_a_request_without_a_response_is_lost():
    with FakeServer(RIGHT[:-1]) as server:
        ledger, _ = asked(server, 1, patience=0.05)
    assert [loss.how for loss in ledger.losses] == ["no response in time"]


def test_a_complete_503_and_a_closed_port_are_refusals():
    with FakeServer(BUSY) as server:
        assert counts(asked(server, 2)[0]) == (2, 1, 1, 0)
    assert counts(asked(server)[0]) == (1, 0, 1, 0)


def test_a_503_that_is_cut_is_lost():
    with FakeServer(BUSY.replace(b"\r\n\r\nbusy", b"\r\nConnection: close\r\n\r\nbus")) as server:
        assert counts(asked(server)[0]) == (1, 0, 0, 1)


def test_a_connection_that_was_announced_as_closed_is_not_used_again():
    with FakeServer(LAST) as server:
        assert counts(asked(server, 3)[0]) == (3, 3, 0, 0)
        assert len(server.connections) == 2


def test_a_connection_that_closed_while_it_was_idle_loses_nothing():
    with FakeServer() as server:
        ledger = Ledger()
        client = Client(server.address, ledger)
        client.ask(QUESTION)
        server.connections[0].shutdown(socket.SHUT_RDWR)
        client._socket.settimeout(10)
        assert client._socket.recv(1, socket.MSG_PEEK) == b""
        client.ask(QUESTION)
        client.close()
        assert counts(ledger) == (2, 2, 0, 0)


def test_a_load_with_many_clients_reports_the_one_lost_response():
    enough = threading.Event()

    def questions(number):
        for _ in range(10):
            yield QUESTION
        enough.set()

    ledger = Ledger()
    with FakeServer(RIGHT, RIGHT, b"") as server:
        with Load(server.address, ledger, clients=4, source=questions, pause=0):
            assert enough.wait(10)
        sent, right, refused, lost = counts(ledger)
    assert (right, refused, lost) == (sent - 1, 0, 1)


HELLO_ANSWER = LAST.replace(b"2\r\n", b"%d\r\n" % len(HELLO_BODY)).replace(b"42", HELLO_BODY)


def probed(server, enough):
    ledger = Ledger()
    with Prober(server.address, ledger) as prober:
        end = time.monotonic() + 20
        while not enough(ledger) and time.monotonic() < end:
            time.sleep(0.01)
    return prober, ledger


def test_the_prober_counts_each_probe():
    with FakeServer(b"", last=HELLO_ANSWER) as server:
        prober, ledger = probed(server, lambda ledger: ledger.right >= 3)
    assert ledger.open == 0
    assert ledger.lost == 1
    assert len(prober.answers) == ledger.right
    assert not prober.gaps


def test_a_gap_of_more_than_a_second_counts_with_its_length():
    assert gaps(0, [0.5, 1.4, 1.2], 2) == []
    (gap,) = gaps(0, [0.5, 3.0], 3.5)
    assert gap.seconds == 2.5
    assert [gap.seconds for gap in gaps(10, [], 12)] == [2]


def test_only_requests_inside_a_killed_process_are_excused():
    killed = [100.0]
    assert Loss(99, 100.1, "cut", cut=True).ran_in(killed)
    assert not Loss(99, 100.1, "wrong", cut=False).ran_in(killed)
    assert not Loss(98, 99, "cut", cut=True).ran_in(killed)
    assert not Loss(101, 102, "cut", cut=True).ran_in(killed)


def scene(tmp_path, **options):
    fault = Fault("test", "a test", run=lambda scene: None, **options)
    return Scene(fault, Served(SERVERS["carboy"], fault.setup, tmp_path), 1)


def lose_one(scene, at):
    scene.ledger.asked()
    scene.ledger.was_lost(Loss(at - 1, at, "connection closed within the response", cut=True))


def test_a_lost_request_misses_the_goal_unless_its_process_was_killed(tmp_path):
    strict, lenient = scene(tmp_path), scene(tmp_path, kills=True)
    for each in (strict, lenient):
        lose_one(each, at=50.0)
        each.deaths.append(50.0)
    assert judged(strict, None).misses == ["lost: 1 connection closed within the response"]
    assert judged(lenient, None).misses == []
    assert judged(lenient, None).excused == 1


def test_seconds_without_service_miss_the_goal_unless_the_fault_costs_them(tmp_path):
    for down, word in ((0.0, "missed"), (5.0, "met")):
        each = scene(tmp_path, down=down)
        each.injected.append(101.0)
        prober = Prober(("127.0.0.1", 1), each.ledger)
        prober.begin, prober.end = 100.0, 106.0
        prober.answers = [100.5, 101.0, 104.0, 104.9, 105.5]
        prober._selector.close()
        result = judged(each, prober)
        assert (result.without, result.recovery) == (3.0, 3.0)
        assert report.cells("carboy", result)[-1] == word


def test_only_a_missed_goal_of_carboy_changes_the_exit_code(tmp_path):
    good, bad = judged(scene(tmp_path), None), scene(tmp_path)
    bad.miss("a goal")
    fault = bad.fault
    assert not report.Outcome(fault, {"carboy": good, "gunicorn": judged(bad, None)}).missed
    assert report.Outcome(fault, {"carboy": judged(bad, None), "gunicorn": good}).missed
    assert report.Outcome(fault, {}, {"carboy": "did not start"}).missed
    assert not report.Outcome(fault, {}, {"granian": "did not start"}).missed


@pytest.mark.parametrize(("grown", "misses"), [(0, 0), (4, 0), (40, 1)])
def test_memory_that_grows_misses_the_goal(tmp_path, grown, misses):
    each = scene(tmp_path)
    found = soak.Samples()
    for number in range(101):
        found.times.append(10.0 * number)
        found.memory.append(100 * soak.MIB + grown * soak.MIB * number / 100)
        found.descriptors.append(20 + number % 3)
        found.threads.append(10)
    found.judge(each, 4711)
    assert len(each.misses) == misses
    assert f"slope {grown * 3.6:+.2f} MiB/h" in each.notes[0]


def test_descriptors_that_become_more_miss_the_goal(tmp_path):
    each = scene(tmp_path)
    found = soak.Samples()
    for number in range(101):
        found.times.append(10.0 * number)
        found.memory.append(100 * soak.MIB)
        found.descriptors.append(20 + number)
        found.threads.append(10)
    found.judge(each, 4711)
    assert each.misses == ["worker 4711 has more and more descriptors"]


def test_a_long_fault_runs_only_if_it_is_named():
    known = ["killed", "soak"]
    assert chosen([], known, ["killed"]) == ["killed"]
    assert chosen(["soak"], known, ["killed"]) == ["soak"]
    assert chosen([], known) == known
    with pytest.raises(SystemExit, match="Unknown name: sock"):
        chosen(["sock"], known, ["killed"])


def test_each_fault_has_its_own_name_and_a_row_in_the_documentation():
    names = [fault.name for fault in FAULTS]
    assert len(set(names)) == len(names)
    rows = [line for line in report_page().splitlines() if line.startswith("| ")]
    cells = " ".join(line.split("|")[1] for line in rows).replace(",", " ").split()
    assert set(names) <= set(cells)


def report_page():
    return DOCUMENT.read_text().partition(report.BEGIN)[0]


def test_only_the_text_between_the_markers_is_replaced(tmp_path):
    outcome = report.Outcome(scene(tmp_path).fault, {"carboy": judged(scene(tmp_path), None)})
    machine = dict.fromkeys(("processor", "cores", "system", "python", "carboy", "commit"), "x")
    text = report.markdown([outcome], {**machine, "rivals": {"gunicorn": "27"}}, "2026-01-02")
    page = tmp_path / "page.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    report.write_document(text, page)
    assert page.read_text().startswith(f"before\n{report.BEGIN}\n")
    assert page.read_text().endswith(f"{report.END}\nafter\n")
    assert "| Carboy | 0 |" in page.read_text()

    new = report.tables([outcome], {**machine, "rivals": {}}, "2026-01-03")
    old = "first\n\n### a: one\n\nold\n\n### test: old\n\nold\n\n### z: last\n\nlast\n"
    merged = report.merged(old, new, ["a", "test", "z"])
    assert merged == report.merged(merged, {}, ["a", "test", "z"])
    assert merged.startswith("first\n\n### a: one\n\nold\n\n### test: a test\n\n2026-01-03; x")
    assert merged.endswith("\n\n### z: last\n\nlast\n")
    assert "### test: old" not in merged
    page.write_text("mine")
    with pytest.raises(SystemExit, match="has no markers"):
        report.write_document(text, page)
