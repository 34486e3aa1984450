"""The mechanical part of the project's style: words, messages and help texts.

    python tests/test_words.py            all rooms
    python tests/test_words.py src/app    one room, also one in NOT_YET

prints what is left to change. What a test cannot see is in CONTRIBUTING.md.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path

import click
import pytest

from carboy.cli import flask, run
from carboy.cli.main import LATE, make_group
from carboy.cli.options import tuning

ROOT = Path(__file__).resolve().parents[1]
KINDS = (".py", ".md", ".tmpl", ".html", ".js", ".css", ".toml")

# Rooms that do not read like this yet; empty since all have been read.
NOT_YET: set[str] = set()

# what is not written here: what to write
TURNS = {
    r"\boctets?\b(?!-stream)": "byte(s)",
    r"(?<!there )\b(is|are|was|were) no\b(?! (longer|more|less|better|different)\b)": "is not a",
    r"(?<!there )\b(is|are|was) (?-i:none)\b": "is not a (name the thing)",
    r"\b(is|are|was|were) (in|on|at|of|below) no\b": "is not in a, is not on any",
    r"\bfor ever\b": "indefinitely, or say what does not end",
    r"\b(nobody|somebody|everybody|anybody)\b": "the client, the user, a thread, nothing",
    r"\bwho(so)?ever\b": "the caller, the thread that …, clients that …",
    r"\bwhom\b": "name the client, the thread, the user",
    r"\b(to|from|by|with|of) who\b(?! (is|are|was|may|can|has)\b)": "to the caller that …",
    r"\b(stands|stood)\b(?! (for|in for)\b)": "is",
    r"\bgo(es)? before\b": "has precedence over, comes first",
    r"\bat work\b": "while a request is being handled; busy",
    r"\bthat was it\b": "leave it out",
    r"\bone's own\b": "your own",
    r"\bwhat is to\b": "name the thing",
    r"\bmend(s|ed|ing)?\b": "fix",
    r"\bin earnest\b": "in production",
    r"\bto the letter\b": "exactly",
    r"\banew\b": "again",
    r"\bso long\b(?! as\b)": "that long",
    r"\bbelieved by\b": "trusted by",
    r"\bwhat (became|becomes) of\b": "what happens to",
    r"\bhelps? (nobody|no one)\b": "is not useful",
    r"\bof yesterday\b": "old",
    r"\b(is|are|was|were) told\b(?! (to|apart|about|how|when|why|which|that)\b)": "is shown",
    r"\b(is|are) said\b|\b(be|are) had\b": "is written, can be read, is available",
    r"\bof (theirs|ours)\b": "of Werkzeug, of Carboy",
    r"\b(those|for|that of) who\b": "for the caller, for applications that …",
    r"\b(deaf|heard of)\b": "does not react, is noticed",
    r"\bas it were\b": "leave it out",
    r"\b(time-out|set-up)s?\b": "timeout, setup",
    r"\bany (more|longer)\b(?! than)": "no longer",
    r", also (in|with|under|if|when|while|as|behind|after)\b": "even in, including",
    r"\btells? (whether|which|what|why)\b": "says, shows",
    r"\b(whence|lest|thereof|wherein|therein|whereof)\b": "a plainer word",
}
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
DOCSTRING = "A docstring begins:"
TURNS[DOCSTRING] = "the noun that the docstring is about"
# text that has one of these words for a reason: the reason
ALLOWED = {
    r"RFC \d+": "a line that names an RFC may quote it",
    r"\b(user|group)\W+nobody\b": "the name of a user of the system",
}

# The places where none of them can begin are passed over first, because there are many.
ANY_TURN = re.compile(
    r"(?:\b(?=\w)|(?=, ))(?:" + "|".join(f"(?P<t{n}>{t})" for n, t in enumerate(TURNS)) + ")",
    re.IGNORECASE,
)
ANY_ALLOWED = re.compile("|".join(ALLOWED))

# Messages whose form is a fact: why. Those of Flask and Werkzeug are in tests/compat/phrases.
FOREIGN = {
    r"variable name \{\} used twice": "Werkzeug's message",
    r"(module|cannot import name) \{\}": "Python's own messages about names",
    r"Object of type \{\} is not JSON serializable$": "json's own message",
    r"I/O operation on closed file$": "the message of Python's files",
}
LOG_METHODS = {"debug", "info", "warning", "error", "critical", "exception"}
LOGGERS = {"log", "_log", "logger", "_logger"}


@cache
def sources() -> list[str]:
    listed = ["git", "ls-files", "-co", "--exclude-standard"]
    found = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True)
    return [
        name
        for name in found.stdout.split("\n")
        if (name.endswith(KINDS) or name == "Makefile")
        and name != "tests/test_words.py"
        and (ROOT / name).is_file()
    ]


def room_of(name: str) -> str:
    """`src/server`, `tests/http`, `docs`, `README.md`: what is read as one piece."""
    parts = name.replace("src/carboy/", "src/").split("/")
    if parts[0] in ("src", "tests"):
        return "/".join(parts[:2]) if len(parts) > 2 else parts[0]
    return parts[0]


@lru_cache(1)
def nodes(name: str) -> list[ast.AST]:
    """All nodes of a file in Python. ast.walk takes twice as long, and there are a million."""
    found: list[ast.AST] = [ast.parse((ROOT / name).read_text("utf-8", "replace"))]
    for node in found:  # which grows
        for value in vars(node).values():
            if type(value) is list:
                found += [each for each in value if isinstance(each, ast.AST)]
            elif isinstance(value, ast.AST):
                found.append(value)
    return found


def passages(name: str) -> Iterator[tuple[int, str]]:
    """Line and text of every comment, string and name of a test in Python; else every line."""
    text = (ROOT / name).read_text("utf-8", "replace")
    if not name.endswith(".py"):
        yield from enumerate(text.splitlines(), 1)
        return
    for node in nodes(name):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from enumerate(node.value.splitlines(), node.lineno)
            if "\n" in node.value:
                yield node.lineno, " ".join(node.value.split())
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name.replace("_", " ")
        if isinstance(node, DOCUMENTED) and (
            first := re.match(r"(What|Who|Whose)\b.*", _doc(node))
        ):
            yield getattr(node, "lineno", 1), f"{DOCSTRING} {first[0]}"
    if not any(map(ANY_TURN.search, re.findall("#.*", text))):
        return  # so the comments have nothing to look at
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def _doc(node: ast.AST) -> str:
    return ast.get_docstring(node) or "" if isinstance(node, DOCUMENTED) else ""


def turns_in(name: str) -> Iterator[str]:
    """A line for each turn of phrase in a file that should be written in another way."""
    shown: set[tuple[str, str]] = set()
    for line, text in passages(name):
        for found in ANY_TURN.finditer(text):
            around = text[max(0, found.start() - 30) : found.end() + 30].strip()
            if (found[0], around[:40]) in shown or ANY_ALLOWED.search(text):
                continue
            shown.add((found[0], around[:40]))
            instead = list(TURNS.values())[int(str(found.lastgroup)[1:])]
            yield f"{name}:{line}: “…{around}…”. Instead of “{found[0]}”: {instead}."


def literal(node: ast.expr) -> str | None:
    """The text of a message, with {} for its values; None if it is not written there."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(getattr(part, "value", 0)) if isinstance(part, ast.Constant) else "{}"
                       for part in node.values)  # fmt: skip
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        parts = [literal(node.left), literal(node.right)]
        return "".join("{}" if part is None else part for part in parts) if any(parts) else None
    return None


def messages(nodes: list[ast.AST]) -> Iterator[tuple[int, str]]:
    """Line and text of each exception that is raised and of each line that is logged."""
    for node in nodes:
        call = node.exc if isinstance(node, ast.Raise) else node
        if not isinstance(call, ast.Call) or not call.args:
            continue
        method = str(getattr(call.func, "attr", None) or getattr(call.func, "id", ""))
        if not isinstance(node, ast.Raise) and method not in LOG_METHODS:
            continue
        owner = ast.unparse(call.func).rpartition(".")[0]
        raised = isinstance(node, ast.Raise) and method[:1].isupper()
        logged = method in LOG_METHODS and owner.rpartition(".")[2] in LOGGERS
        text = literal(call.args[0])
        if (raised or logged) and text and text not in ("{}", "%s"):
            yield node.lineno, text  # type: ignore[attr-defined]


@cache
def phrases() -> str:
    """Every string in the table of messages that programs match, of Flask and of Werkzeug."""
    trees = (ast.parse(file.read_text()) for file in (ROOT / "tests/compat/phrases").glob("*.py"))
    texts = (
        literal(node) for tree in trees for node in ast.walk(tree) if isinstance(node, ast.expr)
    )
    return "\n".join(text for text in texts if text)


def is_a_fact(message: str) -> bool:
    """Whether the form of a message is not ours to choose."""
    if any(re.match(foreign, message) for foreign in FOREIGN):
        return True
    parts = re.split(r"\{\}|[.,:;] ", message)
    return any(len(part.strip()) > 9 and part.strip() in phrases() for part in parts)


def wrong_with(message: str) -> str:
    """What is wrong with the form of a message; "" if it is right."""
    first = message.split(maxsplit=1)[0]
    if is_a_fact(message):
        return ""
    if not (message[0].isupper() or message[0] in "'\"`-{%(" or re.search(r"[_.(=/]", first)):
        return "begins with a small letter"
    if not message.rstrip().endswith((".", "?", "!", "{}", "%s")):
        return "does not end with a full stop"
    return ""


def messages_in(name: str) -> Iterator[str]:
    if name.startswith("src/carboy/") and name.endswith(".py"):
        for line, message in messages(nodes(name)):
            if problem := wrong_with(message):
                yield f"{name}:{line}: “{message[:70]}” {problem}."


def offences(room: str) -> list[str]:
    names = [name for name in sources() if room_of(name) == room]
    return [each for name in names for find in (turns_in, messages_in) for each in find(name)]


def rooms() -> list[str]:
    return sorted({room_of(name) for name in sources()})


@pytest.mark.parametrize("room", rooms())
def test_a_room_reads_as_the_style_asks(room: str) -> None:
    found = offences(room)
    if room in NOT_YET and found:
        pytest.xfail(f"{len(found)} places are left: python tests/test_words.py {room}")
    assert not found, "\n" + "\n".join(found)


# --- help texts


def options() -> Iterator[tuple[str, click.Option]]:
    """Every option of every command, with the command's name."""
    group = make_group()
    with click.Context(group, info_name="carboy") as context:
        commands = [group, *(group.get_command(context, name) for name in LATE), run.command]
    commands += [flask.cli, *flask.cli.commands.values()]
    for command in commands:
        assert command is not None
        for each in command.params:
            if isinstance(each, click.Option):
                yield str(command.name), each


def test_a_help_text_is_a_sentence_that_can_be_read_alone() -> None:
    wrong = []
    for command, option in options():
        text = (option.help or "").partition("  [")[0]
        if not 20 <= len(text) <= 180 or not text[0].isupper() or not text.endswith("."):
            wrong.append(f"{command} {option.opts[0]}: {text}")
    assert not wrong, "\n" + "\n".join(wrong)


def test_a_help_text_does_not_refer_to_the_line_above_it() -> None:
    assert [
        f"{command} {option.opts[0]}"
        for command, option in options()
        if re.match(r"(Like|The same|As above|Its|Their|Only|Of|For|A|With|Without|Not)\b",
                    option.help or "")
    ] == []  # fmt: skip


def test_every_option_of_run_shows_its_unit_and_its_default() -> None:
    for parameter in tuning():
        assert isinstance(parameter, click.Option)
        assert parameter.secondary_opts or parameter.metavar or isinstance(
            parameter.type, click.Choice
        ), parameter.name  # fmt: skip
        assert "  [default: " in (parameter.help or ""), parameter.name


if __name__ == "__main__":
    asked = sys.argv[1:] or rooms()
    for room in asked:
        lines = offences(room)
        print(*lines, f"{room}: {len(lines)}", sep="\n")
