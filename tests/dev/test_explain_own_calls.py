"""The titles of calls that the application makes, from recordings made by hand."""

from __future__ import annotations

import pytest

from carboy.dev.explain.chain import chain_of
from carboy.dev.explain.recording import MODULE, Process, RecordedCall, Recording
from recordings import Given, recording

SELF = (("self", "<Blueprint shop>"),)


def made(*calls: Given, lines: tuple[int, ...] = (), expression: str = "") -> Recording:
    """Calls that the function `mine.hello` makes, one after the other."""
    found = recording(("mine", "hello", ()), *calls)
    process = found.processes[0]
    for number, call in enumerate(process.calls[1:]):
        call.caller = process.calls[0].function
        call.expression = expression
        call.line = lines[number] if lines else number
    return found


def titles(found: Recording) -> list[str]:
    return [step.title for step in chain_of(found)][1:]


@pytest.mark.parametrize(
    ("name", "expression", "title"),
    [
        ("LocalProxy.__getattribute__", "request.headers", "Your hello reads request.headers"),
        ("Headers.__getitem__", 'headers["Host"]', 'Your hello reads headers["Host"]'),
        ("_Globals.__contains__", '"db" in g', 'Your hello tests "db" in g'),
        ("LocalProxy.__setattr__", "g.db", "Your hello sets g.db"),
        ("UserAgent.__str__", "str(agent)", "Your hello evaluates str(agent)"),
        ("Flask.__init__", "Flask(__name__)", "Your hello makes a Flask object"),
        ("HttpResponse.__init__", "", "Your hello makes an HttpResponse object"),
        ("_path", "path('x', view)", "Your hello calls path"),
        ("jsonify", "jsonify(1)", "Your hello calls jsonify"),
        ("route.<locals>.decorator", "", "Your hello calls route"),
        ("Headers.__getitem__", "", "Your hello reads a part of a Headers"),
    ],
)
def test_a_title_has_the_words_of_the_source(name: str, expression: str, title: str) -> None:
    assert titles(made(("flask", name, ()), expression=expression)) == [title]


@pytest.mark.parametrize(
    ("name", "expression"),
    [
        ("LocalProxy.__get__", '"db" in g'),  # `__contains__` follows
        ("cached_property.__get__", ""),
        ("View.__init_subclass__", "View"),
    ],
)
def test_a_call_that_shows_nothing_is_not_a_step(name: str, expression: str) -> None:
    assert titles(made(("flask", name, ()), expression=expression)) == []


def test_a_wrapper_has_the_name_of_the_method_that_it_wraps() -> None:
    found = made(("flask", "setupmethod.<locals>.checked", SELF))
    process = found.processes[0]
    process.calls += [inside(process, "Scaffold.before_request", SELF)]
    assert titles(found)[0] == "Your hello calls Blueprint.before_request"


def test_views_that_are_registered_are_counted() -> None:
    wrapper: Given = ("flask", "setupmethod.<locals>.checked", SELF)
    decorator: Given = ("flask", "Scaffold.route.<locals>.decorator", ())
    found = made(wrapper, decorator, wrapper, decorator, lines=(5, 5, 9, 9))
    process = found.processes[0]
    for number in (1, 3):
        process.calls.append(inside(process, "Scaffold.route", SELF, above=number))
    (_, step) = chain_of(found)[:2]
    assert (step.title, step.times) == ("Your hello registers a view with Blueprint.route", 2)


def test_a_step_that_reads_the_method_that_is_called_is_left_out() -> None:
    found = made(
        ("flask", "LocalProxy.__getattribute__", ()), ("flask", "_Globals.pop", ()), lines=(7, 7)
    )
    found.processes[0].calls[1].expression = "g.pop"
    assert titles(found) == ["Your hello calls _Globals.pop"]


def test_a_module_is_imported_by_the_statement_of_another_module() -> None:
    found = recording(("mine", MODULE, ()), ("importlib", "import other", ()), ("mine", MODULE, ()))
    process = found.processes[0]
    process.calls[1].caller, process.calls[1].line = process.calls[0].function, 4
    process.calls[2].above, process.calls[2].line = 1, 241
    step = chain_of(found)[-1]
    assert step.caller is process.functions[process.calls[0].function]
    assert step.line == 4


def inside(
    process: Process, name: str, args: tuple[tuple[str, str], ...], above: int = 1
) -> RecordedCall:
    """A call in the call number `above`, of a function in the same package."""
    made = recording(("flask", name, args)).processes[0]
    process.functions.append(made.functions[1])
    call = made.calls[0]
    call.function, call.caller = len(process.functions) - 1, process.calls[above].function
    call.above, call.at = above, 100
    return call
