"""Chooses the device, precision and CPU threads of a run, and explains the choice."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import torch
import torch.utils.deterministic

from kdrun.core.cores import count_cores
from kdrun.core.errors import OutOfMemory, UserError
from kdrun.core.number_format import many

T = TypeVar("T")
_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Hardware:
    """The device, precision and CPU threads of a run.

    Attributes:
        device: the device of networks and data.
        precision: fp32, bf16 or fp16, the precision under autocast. Weights stay in float32.
        threads: number of CPU threads of this process.
        jobs: number of jobs of a sweep that share the machine at the same time.
        reason: one line that explains the choice; it is printed and recorded.
    """

    device: torch.device
    precision: str
    threads: int
    jobs: int
    reason: str

    @property
    def dtype(self) -> torch.dtype:
        return _TYPES[self.precision]

    @property
    def settings(self) -> dict[str, str | int]:
        """The config keys of the hardware, with the chosen values in place of `auto`."""
        return {
            "device": str(self.device),
            "precision": self.precision,
            "threads": self.threads,
        }

    def autocast(self) -> AbstractContextManager[object]:
        """Return a context that runs operations in the precision; it does nothing for fp32."""
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)

    def prepare(self, deterministic: bool) -> None:
        """Set the threads and kernels of this process, and reset the measured peak of memory."""
        torch.set_num_threads(self.threads)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)
        torch.backends.cudnn.benchmark = not deterministic
        if deterministic:
            # Only with a fixed workspace are results of cuBLAS reproducible.
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(deterministic, warn_only=True)
        # Otherwise deterministic mode fills every new tensor with NaN, a tenth of a step's time on
        # a CPU. (The attribute is a property of the module, which the type checker does not see.)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]

    def peak_memory(self) -> int | None:
        """Return the peak of reserved GPU memory since `prepare`, in bytes; None without a GPU."""
        return torch.cuda.max_memory_reserved(self.device) if self.device.type == "cuda" else None

    def seed(self, value: int) -> None:
        """Seed the generators that dropout and similar operations use.

        torch.manual_seed is not used, as it formats and keeps a stack trace for each kind of GPU
        that is not in use.
        """
        torch.default_generator.manual_seed(value)
        if self.device.type == "cuda":
            torch.cuda.manual_seed_all(value)
        elif self.device.type == "mps":
            torch.mps.manual_seed(value)


def choose_hardware(
    device: str, precision: str, threads: int | str, jobs: int = 1, data_workers: int = 0
) -> Hardware:
    """Choose device, precision and threads as the config says.

    Args:
        device: auto, cpu, mps, cuda or cuda:N.
        precision: auto, fp32, bf16 or fp16.
        threads: a number, or auto for this job's share of the cores.
        jobs: number of jobs of a sweep that run at the same time on this machine.
        data_workers: number of this job's processes that read data; one core is reserved for each.

    Raises:
        UserError: PyTorch has no such device.
    """
    chosen_device = _choose_device(device)
    chosen_precision = _choose_precision(precision, chosen_device.value)
    share = max(1, count_cores() // max(1, jobs) - data_workers)
    count = share if threads == "auto" else int(threads)
    reason = f"{chosen_device}, {chosen_precision}, {many(count, 'CPU thread')}"
    return Hardware(chosen_device.value, chosen_precision.value, count, jobs, reason)


@contextmanager
def name_memory_errors(*lines: str) -> Iterator[None]:
    """Turn out-of-memory errors in the block into an error that says what to do.

    Args:
        lines: the message.

    Raises:
        OutOfMemory: the device or the host ran out of memory in the block.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not _is_memory_error(error):
            raise
        raise OutOfMemory(*lines) from error


def _is_memory_error(error: RuntimeError | MemoryError) -> bool:
    # PyTorch has no error class for the CPU's allocator.
    is_class = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return is_class or "DefaultCPUAllocator" in str(error)


class _Chosen(NamedTuple, Generic[T]):
    """A value, and why it was chosen."""

    value: T
    reason: str

    def __str__(self) -> str:
        return f"{self.value} ({self.reason})"


def _choose_device(setting: str) -> _Chosen[torch.device]:
    if setting == "auto":
        if torch.cuda.is_available():
            return _Chosen(torch.device("cuda"), "auto: CUDA is there")
        if torch.backends.mps.is_available():
            return _Chosen(torch.device("mps"), "auto: no CUDA, MPS is there")
        return _Chosen(torch.device("cpu"), "auto: neither CUDA nor MPS is there")
    kind, _, number = setting.partition(":")
    available = {
        "cpu": True,
        "mps": torch.backends.mps.is_available(),
        "cuda": torch.cuda.is_available() and int(number or 0) < torch.cuda.device_count(),
    }
    if not available[kind]:
        count = torch.cuda.device_count() if kind == "cuda" else 0
        available_text = many(count, "CUDA device") if count else f"no {kind.upper()} device"
        raise UserError(
            f"device={setting} was asked for, but this PyTorch sees {available_text}.",
            "  use device=cpu, or device=auto for the best that there is",
        )
    return _Chosen(torch.device(setting), "as asked")


def _choose_precision(setting: str, device: torch.device) -> _Chosen[str]:
    if setting != "auto":
        if setting == "bf16" and device.type == "cpu" and not _computes_in_bf16():
            reason = "as asked, but this CPU has no units for it: fp32 is faster"
            return _Chosen(setting, reason)
        return _Chosen(setting, "as asked")
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return _Chosen("bf16", "auto: this GPU computes in it")
    return _Chosen("fp32", "auto: the same results on every machine of its kind")


def _computes_in_bf16() -> bool:
    """Return whether this CPU has instructions for bf16.

    PyTorch can tell for x86 alone; of other CPUs it is assumed.
    """
    cpu = torch.cpu.get_capabilities()
    return cpu.get("architecture") != "x86_64" or cpu["avx512_bf16"] or cpu["amx_bf16"]
