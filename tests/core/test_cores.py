"""The cores that count are the fewest that the machine, the container or the user allows."""

import os
from pathlib import Path

import pytest

from kdrun.core.cores import allowed_cores, count_cores, cpu_quota


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """The root of a file system whose process is in no group with a quota."""
    (tmp_path / "proc" / "self").mkdir(parents=True)
    (tmp_path / "proc" / "self" / "cgroup").write_text("0::/\n")
    return tmp_path


def group(machine: Path, folder: str, **files: str) -> None:
    path = machine / "sys" / "fs" / "cgroup" / folder
    path.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (path / name.replace("__", ".")).write_text(text)


def test_cores_are_those_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert 1 <= count_cores() == allowed_cores() <= (os.cpu_count() or 1)


def test_without_a_group_there_is_no_quota(tmp_path: Path, machine: Path) -> None:
    assert cpu_quota(machine) is None
    assert cpu_quota(tmp_path / "no_such_root") is None


@pytest.mark.parametrize(
    ("text", "cores"),
    [("400000 100000\n", 4), ("150000 100000\n", 2), ("20000 100000\n", 1), ("max 100000\n", None)],
)
def test_a_quota_of_version_2_counts_in_whole_cores(
    text: str, cores: int | None, machine: Path
) -> None:
    group(machine, "", cpu__max=text)
    assert cpu_quota(machine) == cores


def test_the_smallest_quota_of_the_group_and_those_around_it_counts(machine: Path) -> None:
    (machine / "proc" / "self" / "cgroup").write_text("0::/user/job/step\n")
    group(machine, "user", cpu__max="800000 100000")
    group(machine, "user/job", cpu__max="300000 100000")
    group(machine, "user/job/step", cpu__max="max 100000")
    assert cpu_quota(machine) == 3


@pytest.mark.parametrize("folder", ["cpu", "cpu,cpuacct"])
@pytest.mark.parametrize(("quota", "cores"), [("250000", 3), ("-1", None)])
def test_a_quota_of_version_1(folder: str, quota: str, cores: int | None, machine: Path) -> None:
    (machine / "proc" / "self" / "cgroup").write_text(f"5:memory:/x\n4:{folder}:/docker/7f\n0::/\n")
    group(machine, f"{folder}/docker/7f", cpu__cfs_quota_us=quota, cpu__cfs_period_us="100000")
    assert cpu_quota(machine) == cores


def test_a_container_that_sees_its_own_group_as_the_root_has_its_quota(machine: Path) -> None:
    # The path is that of the host, which is not mounted in the container.
    (machine / "proc" / "self" / "cgroup").write_text("4:cpu,cpuacct:/docker/7f\n")
    group(machine, "cpu,cpuacct", cpu__cfs_quota_us="200000", cpu__cfs_period_us="100000")
    assert cpu_quota(machine) == 2


def test_a_quota_below_the_machines_cores_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kdrun.core.cores.cpu_quota", lambda: 1)
    assert allowed_cores() == 1


@pytest.mark.parametrize(
    ("text", "cores"),
    [("3", 3), ("3,2", 3), (" 5 ", 5), ("64", 8), ("", 8), ("0", 8), ("-2", 8), ("many", 8)],
)
def test_omp_num_threads_counts_if_it_is_the_smallest(
    text: str, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kdrun.core.cores.allowed_cores", lambda: 8)
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    assert count_cores() == cores
