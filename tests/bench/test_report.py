"""The reports of the benchmarks. Speed is not tested."""

from xml.etree import ElementTree

import pytest
from bench.measure import medians
from bench.run import Outcome, Record, read_record
from bench.servers import SERVERS
from bench.work import Kind
from bench.works import WORKS

from bench import chart, expect, load, report

MACHINE = {
    "processor": "Test",
    "cores": 2,
    "memory_gib": 4,
    "system": "Linux",
    "python": "CPython",
    "wrk": "4.1",
    "carboy": "0.1.0",
    "commit": "abc",
    "rivals": {"bjoern": "3.2.2"},
}
FIGURES = [
    "p50_ms",
    "p99_ms",
    "cpu_us",
    "rss_mib",
    "beside_ms",
    "alone_per_second",
    "connection_kib",
    "kept",
    "import_ms",
    "interpreter_mib",
    "open_us",
    "alone_p99_ms",
]


@pytest.fixture
def record():
    """Figures for all servers of all works; the first server is the fastest."""
    settings = {"rounds": 3, "seconds": 3.0}
    record = Record(MACHINE)
    for work in WORKS:
        outcome = Outcome(when="2026-01-02T03:04:05+00:00", settings=settings)
        for place, name in enumerate(work.servers, start=1):
            figures = dict.fromkeys(FIGURES, float(place))
            outcome.figures[name] = {**figures, "requests_per_second": 100_000 / place}
        record.outcomes[work.key] = outcome
    return record


def test_every_promise_is_about_servers_that_are_measured(record):
    assert all(verdict.value is not None for verdict in expect.judge(record.results))


def test_every_server_of_a_work_is_known():
    assert {name for work in WORKS for name in work.servers} == set(SERVERS)


def test_works_are_chosen_by_letters_and_by_names():
    from bench import __main__ as command

    def keys(*names: str) -> list[str]:
        return [work.key for work in command.chosen_works(list(names))]

    assert keys("bc", "k") == keys("b,c,k") == ["b", "c", "k"]
    assert keys("asgi", "b") == ["b", "asgi"]
    assert keys() == [work.key for work in WORKS]
    with pytest.raises(SystemExit, match="Unknown work: A"):
        keys("A")


def test_a_promise_is_compared_with_its_bound(record):
    figures = record.outcomes["a"].figures
    figures["carboy-wsgi"]["requests_per_second"] = 109.0
    figures["granian"]["requests_per_second"] = 100.0
    assert expect.judge(record.results)[0].word == "not met"
    figures["carboy-wsgi"]["requests_per_second"] = 110.1
    assert expect.judge(record.results)[0].word == "met"
    del figures["granian"]
    assert expect.judge(record.results)[0].word == "not measured"


def test_the_median_is_taken_of_each_figure():
    rounds = [{"a": 1.0, "b": 9.0}, {"a": 3.0, "b": 8.0}, {"a": 2.0, "b": 1.0}]
    assert medians(rounds) == {"a": 2.0, "b": 8.0}


def test_a_record_is_read_as_it_was_written(record, tmp_path):
    record.outcomes["b"].failures["flask-run"] = "missing: Flask"
    record.write(tmp_path / "results.json")
    again = read_record(tmp_path / "results.json")
    again.write(tmp_path / "again.json")
    assert again.outcomes["b"].failures == {"flask-run": "missing: Flask"}
    assert (tmp_path / "again.json").read_text() == (tmp_path / "results.json").read_text()


def test_only_the_text_between_the_markers_is_replaced(record, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    report.write_document(record, page)
    report.write_document(record, page)
    text = page.read_text()
    assert text.startswith(f"before\n{report.BEGIN}\n")
    assert text.endswith(f"{report.END}\nafter\n")
    assert "old" not in text
    assert text.count("### (b) framework hello") == 1


def test_a_page_without_markers_is_not_changed(record, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("mine")
    with pytest.raises(SystemExit, match="has no markers"):
        report.write_document(record, page)
    assert page.read_text() == "mine"


def test_the_page_names_missing_servers(record):
    record.outcomes["a"].figures.pop("bjoern")
    record.outcomes["a"].failures["bjoern"] = "missing: libev's\nheaders | compiler"
    text = report.markdown(record)
    assert "bjoern was not measured: missing: libev's headers \\| compiler" in text


def test_the_chart_is_a_picture_with_a_bar_for_every_server(record):
    root = ElementTree.fromstring(chart.svg(record))
    bars = [one for one in root.iter() if one.get("class") == "bar"]
    drawn = [work for work in WORKS if work.kind not in (Kind.PROCESS, Kind.SOCKETS)]
    assert len(bars) == sum(len(work.servers) for work in drawn)


def test_a_request_is_written_as_the_script_reads_it(tmp_path):
    form = next(work.exchange for work in WORKS if work.key == "f")
    load.write_request(form, tmp_path / "request")
    head, _, body = (tmp_path / "request").read_bytes().partition(b"\n\n")
    assert head == b"POST /form\nContent-Type: application/x-www-form-urlencoded"
    assert body == form.body


def test_carboy_is_compared_with_another_checkout(tmp_path, monkeypatch):
    from bench import __main__ as command
    from bench import servers

    monkeypatch.setattr(command, "SERVERS", dict(servers.SERVERS))
    (tmp_path / "src" / "carboy").mkdir(parents=True)
    (work,) = command.beside(command.chosen_works(["b"]), tmp_path)
    ours = ("carboy", "carboy-compiled", "carboy-flask")
    assert work.servers == tuple(name for each in ours for name in (each, f"{each}-before"))

    started = command.SERVERS["carboy-before"].command(work, 8000)
    assert started[1].startswith(f"PYTHONPATH={tmp_path / 'src'}")
    assert started[2:] == servers.SERVERS["carboy"].command(work, 8000)
    with pytest.raises(SystemExit, match="not a checkout of Carboy"):
        command.beside([work], tmp_path / "elsewhere")


def test_servers_run_without_the_compiled_functions_unless_their_name_says_so():
    work = next(each for each in WORKS if each.key == "a")
    words = [SERVERS[name].command(work, 8000) for name in work.servers[:2]]
    assert work.servers[:2] == ("carboy-wsgi", "carboy-wsgi-compiled")
    assert [each[1] for each in words] == ["CARBOY_NO_SPEEDUPS=1", "CARBOY_NO_SPEEDUPS=0"]
    assert words[0][2:] == words[1][2:]
