"""The device, the arithmetic and the threads are what was asked for, or the reason is said."""

import os

import pytest
import torch
from torch import nn

from kdrun.core.device import Hardware, choose_hardware, name_memory_errors
from kdrun.core.errors import OutOfMemory, UserError


@pytest.fixture
def machine(monkeypatch):
    """Pretend that the machine has these devices."""

    def has(cuda: int = 0, mps: bool = False, bf16: bool = True) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return has


def chosen(device: str = "cpu", precision: str = "fp32") -> Hardware:
    return choose_hardware(device, precision, 1)


def test_auto_takes_cuda_then_mps_then_cpu(machine):
    machine(cuda=1, mps=True)
    assert chosen("auto").device == torch.device("cuda")
    machine(mps=True)
    assert chosen("auto").device == torch.device("mps")
    machine()
    assert chosen("auto").device == torch.device("cpu")


def test_the_device_asked_for_is_taken(machine):
    machine(cuda=2)
    assert chosen("cpu").device == torch.device("cpu")
    assert chosen("cuda:1").device == torch.device("cuda:1")


@pytest.mark.parametrize(
    ("device", "cuda", "found"),
    [
        ("cuda", 0, "sees no CUDA device"),
        ("cuda:0", 0, "sees no CUDA device"),
        ("mps", 1, "sees no MPS device"),
        ("cuda:1", 1, "sees 1 CUDA device"),
        ("cuda:7", 4, "sees 4 CUDA devices"),
    ],
)
def test_a_device_that_is_not_there_is_refused(machine, device, cuda, found):
    machine(cuda=cuda)
    with pytest.raises(UserError) as error:
        chosen(device)
    assert error.value.lines == (
        f"device={device} was asked for, but this PyTorch {found}.",
        "  use device=cpu, or device=auto for the best that there is",
    )


def test_auto_precision_is_bf16_where_the_gpu_has_it_and_fp32_elsewhere(machine):
    machine(cuda=1)
    assert chosen("cuda", "auto").precision == "bf16"
    assert chosen("cpu", "auto").precision == "fp32"
    machine(cuda=1, bf16=False)
    assert chosen("cuda", "auto").precision == "fp32"


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)],
)
def test_the_precision_asked_for_is_what_autocast_computes_in(precision, dtype):
    hardware = chosen(precision=precision)
    assert hardware.dtype == dtype
    with hardware.autocast():
        assert nn.Linear(2, 2)(torch.ones(1, 2)).dtype == dtype


def test_the_reason_says_what_was_chosen_and_why(machine):
    machine()
    assert choose_hardware("auto", "auto", 3).reason == (
        "cpu (auto: neither CUDA nor MPS is there),"
        " fp32 (auto: the same results on every machine of its kind), 3 CPU threads"
    )
    assert (
        choose_hardware("cpu", "fp16", 1).reason == "cpu (as asked), fp16 (as asked), 1 CPU thread"
    )


@pytest.mark.parametrize(
    ("unit", "told"),
    [
        ("avx512_bf16", "bf16 (as asked)"),
        ("amx_bf16", "bf16 (as asked)"),
        (None, "bf16 (as asked, but this CPU has no units for it: fp32 is faster)"),
    ],
)
def test_bf16_on_a_cpu_without_units_for_it_is_warned_of(monkeypatch, unit, told):
    able = {"architecture": "x86_64", "avx512_bf16": False, "amx_bf16": False}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {**able, unit: True})
    assert choose_hardware("cpu", "bf16", 1).reason == f"cpu (as asked), {told}, 1 CPU thread"


def test_threads_of_parallel_jobs_stay_within_the_cores(monkeypatch):
    monkeypatch.setattr("kdrun.core.device.count_cores", lambda: 8)
    assert [choose_hardware("cpu", "fp32", "auto", jobs).threads for jobs in (1, 3, 8, 20)] == [
        8, 2, 1, 1,
    ]  # fmt: skip
    assert choose_hardware("cpu", "fp32", 5, 3).threads == 5


@pytest.mark.parametrize(("jobs", "threads"), [(1, 6), (2, 3), (6, 1)])
def test_jobs_share_no_more_cores_than_omp_num_threads(monkeypatch, jobs, threads):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(16), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    monkeypatch.setattr("kdrun.core.cores.cpu_quota", lambda: None, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "6")
    assert choose_hardware("cpu", "fp32", "auto", jobs).threads == threads


def test_prepare_sets_threads_and_kernels(monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")  # so that it is put back
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    before = (
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
        torch.backends.cudnn.benchmark,
    )
    try:
        choose_hardware("cpu", "fp32", 1).prepare(deterministic=True)
        assert torch.get_num_threads() == 1
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.backends.cudnn.benchmark
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
        choose_hardware("cpu", "fp32", 1).prepare(deterministic=False)
        assert not torch.are_deterministic_algorithms_enabled()
        assert torch.backends.cudnn.benchmark
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])
        torch.backends.cudnn.benchmark = before[2]


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA: out"), MemoryError()])
def test_out_of_memory_says_what_to_do(error):
    with pytest.raises(OutOfMemory) as found, name_memory_errors("out of memory.", "  do this"):
        raise error
    assert found.value.lines == ("out of memory.", "  do this")


def test_a_cpu_that_can_not_allocate_is_out_of_memory_too():
    with pytest.raises(OutOfMemory), name_memory_errors("out of memory.", "  do this"):
        torch.empty(2**60)


def test_other_errors_pass():
    with (
        pytest.raises(RuntimeError, match="shape"),
        name_memory_errors("out of memory.", "  do this"),
    ):
        raise RuntimeError("shape")
