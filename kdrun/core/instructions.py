"""Names the CPU instructions that PyTorch and its libraries compute with: last bits depend on them.

PyTorch's own kernels can tell. oneDNN (convolutions) and the BLAS library (products, and with MKL
also exp and tanh) can't be asked: they choose by the CPU, and environment variables limit that.
"""

import os
from collections.abc import Iterable

import torch

_LIMITS_OF_ONEDNN = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ONEDNN_CPU_ISA_HINTS")
_LIMITS_OF_BLAS = ("MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "OPENBLAS_CORETYPE")

# What oneDNN distinguishes CPUs by, the newest first.
_EXTENSIONS = (
    "avx10_2",
    "amx_fp16",
    "amx_bf16",
    "avx10_1",
    "avx512_fp16",
    "avx512_bf16",
    "avx512_vnni",
    "avx512_bw",
    "avx_vnni_int8",
    "avx_vnni",
    "avx2",
    "avx",
    "sse4_1",
    "sve",
)


def instruction_set() -> str:
    """Return a text that differs where the same computation may differ in its last bits.

    Example: `AVX512 (PyTorch), amx_bf16 at ONEDNN_MAX_CPU_ISA=AVX2 (oneDNN), Intel Xeon (BLAS)`.
    """
    cpu = torch.cpu.get_capabilities()
    architecture = str(cpu.get("architecture", "unknown"))
    newest = next((name for name in _EXTENSIONS if cpu.get(name)), architecture)
    processor = str(cpu.get("cpu_name", architecture))
    return (
        f"{torch.backends.cpu.get_cpu_capability()} (PyTorch),"
        f" {_limited(newest, _LIMITS_OF_ONEDNN)} (oneDNN),"
        f" {_limited(processor, _LIMITS_OF_BLAS)} (BLAS)"
    )


def _limited(instructions: str, variables: Iterable[str]) -> str:
    limits = [f"{name}={os.environ[name]}" for name in variables if os.environ.get(name)]
    return f"{instructions} at {' '.join(limits)}" if limits else instructions
