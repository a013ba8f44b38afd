"""Where and in which arithmetic a run computes: chosen here once, with the reason in words."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
import torch.utils.deterministic
from torch import nn

from kdrun.core.cores import cores
from kdrun.core.errors import OutOfMemory, UserError

_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Hardware:
    """The device, the arithmetic and the threads of a run, and why these.

    Attributes:
        device: where networks and data live.
        precision: fp32, bf16 or fp16: the arithmetic under autocast; weights stay float32.
        threads: CPU threads of this process.
        jobs: how many jobs of a sweep share the machine at the same time.
        reason: one sentence that is printed and recorded.
    """

    device: torch.device
    precision: str
    threads: int
    jobs: int
    reason: str

    @property
    def dtype(self) -> torch.dtype:
        return _TYPES[self.precision]

    def autocast(self) -> AbstractContextManager[object]:
        """Run operations in the chosen precision; nothing for fp32."""
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)

    def prepare(self, deterministic: bool) -> None:
        """Set the process's threads and its choice of kernels; count its memory from here."""
        torch.set_num_threads(self.threads)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)
        torch.backends.cudnn.benchmark = not deterministic
        if deterministic:
            # cuBLAS repeats its sums only with a fixed workspace.
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(deterministic, warn_only=True)
        # Else every new tensor is filled with NaN first: a tenth of a step's time on a CPU.
        # (A property of the module, which the type checker does not see.)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]

    def peak_memory(self) -> int | None:
        """The most bytes of a GPU that this process has held since `prepare`; None elsewhere."""
        return torch.cuda.max_memory_reserved(self.device) if self.device.type == "cuda" else None

    def seed(self, value: int) -> None:
        """Start the generators that dropout and its like draw from.

        torch.manual_seed also keeps a formatted stack for each kind of GPU that isn't in use.
        """
        torch.default_generator.manual_seed(value)
        if self.device.type == "cuda":
            torch.cuda.manual_seed_all(value)
        elif self.device.type == "mps":
            torch.mps.manual_seed(value)


def choose_hardware(
    device: str, precision: str, threads: int | str, jobs: int = 1, readers: int = 0
) -> Hardware:
    """Turn the words of the config into a device, a precision and a number of threads.

    Args:
        device: auto, cpu, mps, cuda or cuda:N.
        precision: auto, fp32, bf16 or fp16.
        threads: a number, or auto for this job's share of the cores.
        jobs: how many jobs of a sweep run at the same time on this machine.
        readers: processes of this job that read data, and take their share of the cores.

    Raises:
        UserError: the device is not there.
    """
    place, why_device = _device(device)
    arithmetic, why_precision = _precision(precision, place)
    count = max(1, cores() // max(1, jobs) - readers) if threads == "auto" else int(threads)
    reason = f"{place} ({why_device}), {arithmetic} ({why_precision}), {count} CPU thread"
    reason += "s" if count > 1 else ""
    return Hardware(place, arithmetic, count, jobs, reason)


def place_network(network: nn.Module, device: torch.device) -> nn.Module:
    """The network on the device, its weights in the memory format that convolutions like best."""
    return network.to(device).to(memory_format=torch.channels_last)


@contextmanager
def name_memory_errors(stage: str, batch_size: int) -> Iterator[None]:
    """Turn the device's out-of-memory error into a sentence that says what to do.

    Raises:
        OutOfMemory: the work inside did not fit.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not _is_memory_error(error):
            raise
        raise OutOfMemory(
            f"out of memory in stage {stage!r} at batches of {batch_size}.",
            "  start a new run with recipe.accumulate=2 (the same batch in two parts) or a smaller"
            " recipe.batch_size",
        ) from error


def _is_memory_error(error: RuntimeError | MemoryError) -> bool:
    # The CPU's allocator has no error class of its own.
    named = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return named or "DefaultCPUAllocator" in str(error)


def _device(asked: str) -> tuple[torch.device, str]:
    if asked == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda"), "auto: CUDA is there"
        if torch.backends.mps.is_available():
            return torch.device("mps"), "auto: no CUDA, MPS is there"
        return torch.device("cpu"), "auto: neither CUDA nor MPS is there"
    kind, _, number = asked.partition(":")
    there = {
        "cpu": True,
        "mps": torch.backends.mps.is_available(),
        "cuda": torch.cuda.is_available() and int(number or 0) < torch.cuda.device_count(),
    }
    if not there[kind]:
        seen = torch.cuda.device_count() if kind == "cuda" else 0
        count = f"{seen} CUDA device{'s' if seen > 1 else ''}"
        found = f"sees {count}" if seen else f"sees no {kind.upper()} device"
        raise UserError(
            f"device={asked} was asked for, but this PyTorch {found}.",
            "  use device=cpu, or device=auto to take what is there",
        )
    return torch.device(asked), "as asked"


def _precision(asked: str, device: torch.device) -> tuple[str, str]:
    if asked != "auto":
        if asked == "bf16" and device.type == "cpu" and not _computes_in_bf16():
            return asked, "as asked, but this CPU has no units for it: fp32 is faster"
        return asked, "as asked"
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return "bf16", "auto: this GPU computes in it"
    return "fp32", "auto: the same answers on every machine of its kind"


def _computes_in_bf16() -> bool:
    """Whether this CPU multiplies bf16 numbers itself; known of x86 alone, where most don't."""
    able = torch.cpu.get_capabilities()
    return able.get("architecture") != "x86_64" or able["avx512_bf16"] or able["amx_bf16"]
