"""How the tests are divided between the workers of pytest-xdist, and how workers report them.

A worker gets tests of one file together, so that fixtures of a module are made once. The tests of a
group (`xdist_group`) stay together, as with pytest-xdist's own `--dist loadgroup`. Groups and files
with slow tests come first, so that no worker has a long batch when the others have finished.

With 17,000 tests, pytest-xdist itself would take more than a minute of processor time:

    Its scheduler counts all tests of a worker at the end of each test. Here, tests that have ended
    are removed, so that there are few to count.

    A worker sends six messages about a test. The terminal uses those about a beginning and an end
    with --verbose only, and shows no setup or teardown that passes in less than 5 ms.

    A garbage collection looks at all collected tests, which are most of the objects of a worker.
    Here, they are left out.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

# Folders of slow tests, the slowest first.
SLOW = ("demo", "extensions", "docs", "cli", "dev", "realtime", "server", "gateway", "compat")
PARTS = 8  # A batch has at most this part of the tests that each worker would have.
HIDDEN = 0.005  # seconds, the default of --durations-min


def batches(tests: list[str], largest: int) -> dict[str, list[str]]:
    """The tests of each group, then those of each file, in batches of up to `largest` tests.

    A group is the end of a test's name after an @, where pytest-xdist puts it.
    """
    groups: dict[str, list[str]] = {}
    files: dict[str, list[str]] = {}
    for test in tests:
        if test.rfind("@") > test.rfind("]"):
            groups.setdefault(test.rsplit("@", 1)[1], []).append(test)
        else:
            files.setdefault(test.split("::", 1)[0], []).append(test)
    result = dict(sorted(groups.items(), key=lambda group: -len(group[1])))
    for file in sorted(files, key=_turn):
        for start in range(0, len(files[file]), largest):
            result[f"{file} {start}"] = files[file][start : start + largest]
    return result


def _turn(file: str) -> int:
    folder = Path(file).parent.name
    return SLOW.index(folder) if folder in SLOW else len(SLOW)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: Any, log: Any) -> Any:
    """Make the scheduler of `--dist loadgroup`."""
    if config.getvalue("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadGroupScheduling  # type: ignore[import-untyped]

    class Batches(LoadGroupScheduling):  # type: ignore[misc]
        collection: list[str] | None

        def schedule(self) -> None:
            """Give each worker a batch when all have collected their tests."""
            if self.collection is None:
                if not self._check_nodes_have_same_collection():
                    return
                collected: list[str] = next(iter(self.registered_collections.values()))
                self.collection = collected
                self.places = {test: place for place, test in enumerate(collected)}
                largest = max(1, len(collected) // (PARTS * self.numnodes))
                self.scopes: dict[str, str] = {}
                for scope, tests in batches(collected, largest).items():
                    self.workqueue[scope] = dict.fromkeys(tests, False)
                    self.scopes.update(dict.fromkeys(tests, scope))
            for node in self.nodes:
                self._reschedule(node)

        def _split_scope(self, nodeid: str) -> str:
            return self.scopes[nodeid]

        def _assign_work_unit(self, node: Any) -> None:
            scope, tests = self.workqueue.popitem(last=False)
            self.assigned_work[node][scope] = tests
            node.send_runtest_some([self.places[test] for test in tests])
            self._reschedule(node)

        def mark_test_complete(self, node: Any, item_index: int, duration: float = 0) -> None:
            """Remove a test that has ended."""
            test = self.registered_collections[node][item_index]
            scope = self.scopes[test]
            tests = self.assigned_work[node][scope]
            del tests[test]
            if not tests:
                del self.assigned_work[node][scope]
            self._reschedule(node)

    return Batches(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, Any, Any]:
    """Collect the tests without garbage collections, and leave the tests out of later ones."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse names of tests with an address: the workers would have to agree about it."""
    for item in items:
        if re.search(r" at 0x[0-9a-f]{6,}", item.nodeid):
            raise pytest.UsageError(f"Use ids= for the parameters of {item.nodeid}.")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Have a worker of pytest-xdist send the messages that the terminal shows."""
    option = session.config.option
    if not hasattr(session.config, "workerinput") or option.verbose > 0 or option.xmlpath:
        return
    unseen = ["logstart"] if pytest.version_tuple < (9, 1) else ["logstart", "logfinish"]
    for plugin in session.config.pluginmanager.get_plugins():
        if type(plugin).__name__ == "WorkerInteractor":
            plugin.sendevent = Seen(plugin.sendevent, unseen)


class Seen:
    """Sends the messages of a worker, without those that change nothing in the terminal."""

    def __init__(self, send: Any, unseen: list[str]) -> None:
        self._send = send
        self._unseen = unseen

    def __call__(self, name: str, **values: Any) -> None:
        if name in self._unseen:
            return
        if name == "testreport" and values["data"]["outcome"] == "passed":
            report = values["data"]
            if report["when"] != "call" and report["duration"] < HIDDEN and not report["sections"]:
                return
            report["keywords"] = {}
        self._send(name, **values)
