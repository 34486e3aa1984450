from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carboy.server.machine import cpu_quota, memory_limit, usable_cpus, whole_cpus
from carboy.server.serve import count_workers


class Machine:
    """A folder of /proc and a tree of cgroups."""

    def __init__(self, folder: Path) -> None:
        self.proc = folder / "proc"
        self.proc.mkdir()
        self.tree = folder / "sys"
        (self.proc / "mountinfo").write_text("")

    def mount(self, kind: str, place: str, root: str = "/", options: str = "rw") -> Path:
        folder = self.tree / place
        folder.mkdir(parents=True, exist_ok=True)
        shown = str(folder).replace(" ", "\\040")
        with (self.proc / "mountinfo").open("a") as file:
            file.write(f"30 23 0:26 {root} {shown} rw,nosuid shared:4 - {kind} cgroup {options}\n")
        return folder

    def is_in(self, *groups: str) -> None:
        (self.proc / "cgroup").write_text("".join(f"{group}\n" for group in groups))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(f"{text}\n")


def test_without_cgroups_there_is_no_limit(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path) is None
    assert memory_limit(tmp_path) is None


def test_the_smallest_quota_on_the_way_up_counts_in_version_2(machine: Machine) -> None:
    root = machine.mount("cgroup2", "fs")
    machine.is_in("0::/pod/container")
    write(root / "pod", cpu__max="150000 100000", memory__max="268435456")
    write(root / "pod/container", cpu__max="200000 50000", memory__max="max")
    assert cpu_quota(machine.proc) == 1.5
    assert memory_limit(machine.proc) == 256 * 1024**2


def test_a_container_that_sees_its_own_group_as_the_root_has_its_limits(machine: Machine) -> None:
    root = machine.mount("cgroup2", "fs")
    machine.is_in("0::/")
    write(root, cpu__max="50000 100000", memory__max="1000000")
    assert cpu_quota(machine.proc) == 0.5
    assert memory_limit(machine.proc) == 1000000


def test_a_group_without_a_limit_has_that_of_the_groups_above_it(machine: Machine) -> None:
    root = machine.mount("cgroup2", "fs")
    machine.is_in("0::/slice/pod/container")
    write(root / "slice", cpu__max="50000 100000", memory__max="268435456")
    write(root / "slice/pod", cpu__max="max 100000", memory__max="max")
    write(root / "slice/pod/container", cpu__max="max 100000", memory__max="max")
    assert cpu_quota(machine.proc) == 0.5
    assert memory_limit(machine.proc) == 256 * 1024**2


def test_a_group_whose_controllers_are_off_has_the_limits_of_the_groups_above_it(
    machine: Machine,
) -> None:
    # Without a controller, the kernel does not make its files. The root has none of them either.
    root = machine.mount("cgroup2", "fs")
    machine.is_in("0::/pod/container")
    (root / "pod/container").mkdir(parents=True)
    write(root / "pod", memory__max="268435456")
    assert cpu_quota(machine.proc) is None
    assert memory_limit(machine.proc) == 256 * 1024**2


def test_controllers_of_both_versions_are_read_in_a_mixed_system(machine: Machine) -> None:
    # systemd's hybrid mode: version 2 is mounted without controllers.
    machine.mount("cgroup2", "unified")
    cpu = machine.mount("cgroup", "cpu", options="rw,cpu")
    machine.is_in("3:cpu:/shop", "0::/shop")
    write(cpu / "shop", cpu__cfs_quota_us="150000", cpu__cfs_period_us="100000")
    assert cpu_quota(machine.proc) == 1.5
    assert memory_limit(machine.proc) is None


def test_workers_auto_counts_the_processors_of_the_quota(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(machine.mount("cgroup2", "fs"), cpu__max="150000 100000")
    machine.is_in("0::/")
    monkeypatch.setattr("carboy.server.machine._quota", lambda: cpu_quota(machine.proc))
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(8)))
    assert count_workers("auto") == 2


def test_version_1_has_a_hierarchy_for_each_controller(machine: Machine) -> None:
    cpu = machine.mount("cgroup", "cpu dir", "/docker/abc", "rw,cpu,cpuacct")
    memory = machine.mount("cgroup", "memory", "/docker/abc", "rw,memory")
    machine.is_in("4:memory:/docker/abc", "3:cpu,cpuacct:/docker/abc", "1:name=systemd:/x", "0::/y")
    write(cpu, cpu__cfs_quota_us="250000", cpu__cfs_period_us="100000")
    write(memory, memory__limit_in_bytes="9223372036854771712")
    assert cpu_quota(machine.proc) == 2.5
    assert memory_limit(machine.proc) is None
    write(cpu, cpu__cfs_quota_us="-1")
    write(memory, memory__limit_in_bytes="536870912")
    assert cpu_quota(machine.proc) is None
    assert memory_limit(machine.proc) == 512 * 1024**2


def test_a_path_outside_of_the_mount_means_the_mount_itself(machine: Machine) -> None:
    root = machine.mount("cgroup2", "fs", "/kubepods/pod1")
    machine.is_in("0::/../other")
    write(root, cpu__max="100000 100000")
    assert cpu_quota(machine.proc) == 1.0


@pytest.mark.parametrize("text", ["", "max 100000", "x y", "100000", "0 0", "-1 100000", "1 0"])
def test_a_file_without_a_quota_does_not_limit_anything(machine: Machine, text: str) -> None:
    root = machine.mount("cgroup2", "fs")
    machine.is_in("0::/")
    write(root, cpu__max=text)
    assert cpu_quota(machine.proc) is None


@given(st.integers(1, 512), st.none() | st.floats(0.001, 1024))
def test_there_is_always_a_processor_and_never_more_than_the_affinity(
    count: int, quota: float | None
) -> None:
    found = whole_cpus(count, quota)
    assert 1 <= found <= count
    assert quota is None or found >= min(count, quota)


def test_half_a_processor_is_one_and_one_and_a_half_are_two() -> None:
    assert [whole_cpus(8, quota) for quota in (0.5, 1.0, 1.5, 20.0, None)] == [1, 1, 2, 8, 8]
    assert usable_cpus() >= 1
