"""A description of the machine that results were measured on."""

import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import torch

# Instruction sets that decide how fast a processor is.
_FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "asimd", "bf16", "sve")
_HALF = ("avx512_bf16", "amx_bf16", "bf16")


def describe_machine(device: torch.device = torch.device("cpu")) -> str:  # noqa: B008 - immutable
    """Processor or GPU, versions, number of threads, and the load before the measurement."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    lines = [
        f"processor: {name_processor()} ({os.cpu_count()} cores), "
        f"{', '.join(_features()) or 'unknown'}"
        f"; torch uses {torch.backends.cpu.get_cpu_capability()}",
        f"versions: Python {platform.python_version()}, torch {torch.__version__}, torchvision"
        f" {version('torchvision')}, Pillow {version('pillow')}, {sys.platform}",
        f"threads: {torch.get_num_threads()}; load before: {load:.1f}",
    ]
    if device.type == "cuda":
        lines.insert(0, f"GPU: {torch.cuda.get_device_name(device)}, CUDA {torch.version.cuda}")
    return "\n".join(lines)


def has_half_units() -> bool:
    """Whether the processor multiplies bfloat16 in hardware."""
    return any(feature in _HALF for feature in _features())


def name_processor() -> str:
    """The processor's model."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def _features() -> list[str]:
    available = set((_cpuinfo("flags") or _cpuinfo("Features")).split())
    return [feature for feature in _FEATURES if feature in available]


def _cpuinfo(key: str) -> str:
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return ""
    for line in path.read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return ""
