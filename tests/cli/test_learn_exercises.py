"""Each exercise of `carboy learn` with right and wrong requests, over a real socket."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from carboy.dev.learn.assessment import Progress
from carboy.dev.learn.course import EXERCISES, number_of
from carboy.dev.learn.sources import find
from learning import Course, course

pytestmark = pytest.mark.xdist_group("learn")

NUMBERS = range(1, len(EXERCISES) + 1)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Course]:
    with course(tmp_path_factory.mktemp("data"), body_grace=0.2) as found:
        yield found


def send(running: Course, text: str, then: str) -> None:
    running.client.hang_up()
    running.type(text)
    if then == "twice":
        running.client.send_at_once(running.typed(text), 2)
    elif then == ".":
        running.wait(lambda: running.response().status == 200)
        running.client.hang_up()


@pytest.mark.parametrize("number", NUMBERS, ids=[each.key for each in EXERCISES])
def test_the_examples_reach_all_goals_and_the_recording_has_the_answers(
    running: Course, number: int
) -> None:
    exercise = running.lessons.begin(number)
    done = running.lessons.progress.goals_of(exercise)
    for goal in range(len(exercise.goals)):
        example = running.lessons.example()
        assert example is not None
        send(running, *example)
        running.wait(lambda goal=goal: running.lessons.look() or goal in done)
    for question in range(len(exercise.questions)):
        assert running.lessons.question() == (question, exercise.questions[question].text)
        assert not running.lessons.answer(question, "nonsense").reached
        right = exercise.questions[question].find(running.lessons.seen())
        assert right is not None
        verdict = running.lessons.answer(question, f" {right[0].upper()} ")
        assert verdict.reached, verdict.text
    assert running.lessons.is_done()


HELLO = "GET /hello?name=Ada HTTP/1.1\nHost: {host}\n\n"
ECHO = "POST /echo HTTP/1.1\nHost: {host}\n"
ME = "GET /me HTTP/1.1\nHost: {host}\n"
SMUGGLED = "POST /echo HTTP/1.1\nHost: {host}\nContent-Length: 5\nTransfer-Encoding: chunked\n\n"
# exercise, number of the goal, requests (each on a connection), part of the hint
WRONG = [
    ("request-line", 0, [], "No request has arrived yet."),
    ("request-line", 0, ["GET /hello?name=Ada\n\n"], "has no version"),
    ("request-line", 0, ["GET HTTP/1.1\n\n"], "has no target"),
    ("request-line", 0, ["GET\n\n"], "one word only: 'GET'"),
    ("request-line", 0, ["GET  /hello HTTP/1.1\n\n"], "a space too many"),
    ("request-line", 0, ["GET /hello?name=Ada Lovelace HTTP/1.1\n\n"], "written as %20"),
    ("request-line", 0, ["GET /hello http/1.1\n\n"], "in capital letters"),
    ("request-line", 0, ["GET /hello HTTP/2\n\n"], "write that"),
    ("request-line", 0, ["GET /hello FTP/1.1\n\n"], "which is not a version"),
    ("request-line", 0, ["GET hello HTTP/1.1\n\n"], "has to begin with a slash"),
    ("request-line", 0, ["G(T /hello HTTP/1.1\n\n"], "'G(T' is not a method"),
    ("request-line", 0, ["GET /hello HTTP/1.1\\c\n\\n"], "nc -C"),
    ("request-line", 0, ["GET /hello HTTP/1.1\nHost: {host}\n"], "an empty line has to end"),
    ("request-line", 0, ["GET /helo HTTP/1.1\nHost: {host}\n\n"], "was for /helo"),
    ("request-line", 0, ["POST /hello HTTP/1.1\nHost: {host}\n\n"], "Your method is POST"),
    ("request-line", 0, ["GET /hello HTTP/1.1\nHost: {host}\n\n"], "has no query"),
    ("request-line", 0, ["GET /hello?name= HTTP/1.1\nHost: {host}\n\n"], "It needs name="),
    ("request-line", 0, ["\\x16\\x03\\x01\\c\n"], "speaks plain HTTP, not TLS"),
    ("headers", 0, ["GET /headers HTTP/1.1\nHost: a.example\n\n"], "has Host: a.example"),
    ("headers", 0, ["GET /headers HTTP/1.0\n\n"], "Use HTTP/1.1"),
    ("headers", 1, ["GET /headers HTTP/1.1\nX-Color: blue\n\n"], "has no Host header"),
    ("headers", 1, ["GET /headers HTTP/1.1\nHost: x\nAccept: a\n\n"], "that no program adds"),
    ("headers", 1, ["GET /headers HTTP/1.1\nHost: x\nX-Color blue\n\n"], "cannot be read: X-Color"),
    ("headers", 1, ["GET / HTTP/1.1\nHost: x\nX-Color: blue\n\n"], "needs /headers"),
    ("body", 0, [ECHO + "\n"], "has no Content-Length, so it has no body"),
    ("body", 0, [ECHO + "Content-Length: 0\n\n"], "Your Content-Length is 0"),
    ("body", 0, [ECHO + "Content-Length: 9\n\nabc\\c\n"], "is 9, and 3 bytes of the body"),
    ("body", 0, [ECHO + "Content-Length: five\n\n"], "decimal number"),
    ("body", 0, [ECHO + "Transfer-Encoding: chunked\n\n1\na\n0\n\n"], "came in chunks"),
    ("body", 0, ["GET /echo HTTP/1.1\nHost: x\n\n"], "GET is not allowed there, only"),
    ("body", 1, [ECHO + "Content-Length: 1\n\na\\c\n"], "no Transfer-Encoding: chunked"),
    ("body", 1, [ECHO + "Transfer-Encoding: chunked\n\n1\na\n0\n\n"], "has 1 chunk."),
    ("body", 1, [ECHO + "Transfer-Encoding: chunked\n\n1\na\n"], "a chunk of size 0"),
    ("body", 1, [ECHO + "Transfer-Encoding: chunked\n\nx\na\n0\n\n"], "The request breaks a rule"),
    ("keep-alive", 0, [HELLO], "One request so far."),
    ("keep-alive", 0, [HELLO[:-1] + "Connection: close\n\n"], "asked the server to close"),
    ("keep-alive", 1, [HELLO], "no Connection: close"),
    ("keep-alive", 1, [HELLO[:-1] + "Connection: keep-alive\n\n"], "header is keep-alive"),
    ("keep-alive", 1, ["GET / HTTP/1.0\n\n"], "HTTP/1.0 closes by itself"),
    ("request-object", 0, ["GET /headers HTTP/1.1\nHost: x\nX-Color: blue\n\n"], "None of your"),
    ("request-object", 0, ["GET /headers HTTP/1.1\nHost: x\nx-color:  \n\n"], "None of your"),
    ("response", 0, ["HEAD /page HTTP/1.1\nHost: x\n\n"], "Your method is HEAD"),
    ("response", 1, ["GET /page HTTP/1.1\nHost: x\n\n"], "This goal needs HEAD"),
    ("response", 2, ["GET /hello HTTP/1.1\nHost: x\n\n"], "This goal needs /page"),
    ("response", 2, ["GET /page HTTP/1.1\nHost: x\n\n"], "Add the header If-None-Match: "),
    ("response", 2, ['GET /page HTTP/1.1\nHost: x\nIf-None-Match: "a"\n\n'], 'is "a", but'),
    ("session", 0, [ME + "\n"], "needs /login"),
    ("session", 1, [ME + "\n"], "Send the request for /login first"),
    ("session", 1, ["GET /login HTTP/1.1\nHost: x\n\n", ME + "\n"], "has no cookie. Add"),
    ("session", 1, ["GET /login HTTP/1.1\nHost: x\n\n", ME + "Cookie: a=b\n\n"], "cookie is a=b"),
    ("session", 2, ["GET /login HTTP/1.1\nHost: x\n\n", ME + "\n"], "with one character replaced"),
    ("session", 2, ["GET /login HTTP/1.1\nHost: x\n\n", ME + "Cookie: session=x\n\n"], "with one"),
    ("smuggling", 0, [ECHO + "Content-Length: 5\n\nhello\\c\n"], "Add Transfer-Encoding: chunked"),
    ("smuggling", 0, [ECHO + "Transfer-Encoding: chunked\n\n0\n\n"], "Add Content-Length as well"),
    ("smuggling", 0, [HELLO], "neither Content-Length nor"),
    ("smuggling", 0, [SMUGGLED], "nothing came after its head"),
    ("smuggling", 1, [SMUGGLED], "Try one of these"),
    ("smuggling", 1, [HELLO], "Try one of these"),
    ("crew", 0, ["GET /slow HTTP/1.1\nHost: x\n\n"], "one after the other"),
    ("crew", 0, [HELLO], "needs /slow"),
    ("client", 0, [ECHO + "Content-Length: 5\n\nhello\\c\n"], "Your request was complete"),
    ("client", 0, [ECHO + "\n"], "Your request was complete"),
    ("client", 1, ["GET /count HTTP/1.1\nHost: x\n\n"], "Now hang up."),
    ("client", 1, [HELLO], "needs /count"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("key", "goal", "requests", "hint"), WRONG, ids=[f"{w[0]}-{w[3][:24]}" for w in WRONG]
)
def test_a_wrong_attempt_gets_a_specific_hint(
    running: Course, key: str, goal: int, requests: list[str], hint: str
) -> None:
    running.lessons.progress = Progress()
    running.lessons.begin(number_of(key))
    for request in requests:
        running.attempt(request)
    assert hint in running.hint(goal)


def test_hanging_up_in_a_body_is_explained(running: Course) -> None:
    running.lessons.progress = Progress()
    running.lessons.begin(number_of("body"))
    running.attempt(ECHO + "Content-Length: 9\n\nabc\\c\n")
    running.client.hang_up()
    running.wait(lambda: all(each.closed is not None for each in running.lessons.seen()))
    assert "is 9, and 3 bytes of the body have come. Missing: 6 more." in running.hint(0)


def test_every_exercise_names_lines_that_exist() -> None:
    for exercise in EXERCISES:
        for code in exercise.code:
            assert find(code) is not None, code


def test_goals_that_were_reached_before_stay_reached_without_requests(running: Course) -> None:
    progress = Progress.of({"body": {"goals": [0, 1], "questions": [0]}})
    running.lessons.progress = progress
    running.lessons.begin(number_of("body"))
    assert running.lessons.question() == (1, EXERCISES[2].questions[1].text)
    verdict = running.lessons.answer(1, "5")
    assert "Send such a request again." in verdict.text
    assert not verdict.reached
