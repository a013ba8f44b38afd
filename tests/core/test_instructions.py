"""The text of the CPU instructions differs where last bits may."""

import pytest

from kdrun.core.instructions import instruction_set


def test_the_text_is_the_same_every_time() -> None:
    assert instruction_set() == instruction_set()


@pytest.mark.parametrize(
    ("variable", "library"), [("ONEDNN_MAX_CPU_ISA", "oneDNN"), ("MKL_CBWR", "BLAS")]
)
def test_a_variable_that_limits_a_library_is_named(
    variable: str, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = instruction_set()
    monkeypatch.setenv(variable, "AVX2")
    assert instruction_set() != before
    assert f" at {variable}=AVX2 ({library})" in instruction_set()


@pytest.mark.parametrize(
    ("cpu", "expected"),
    [
        (
            {"architecture": "x86_64", "avx2": True, "avx512_bw": False, "cpu_name": "Zen 3"},
            "avx2 (oneDNN), Zen 3 (BLAS)",
        ),
        ({"architecture": "aarch64"}, "aarch64 (oneDNN), aarch64 (BLAS)"),
        ({}, "unknown (oneDNN), unknown (BLAS)"),
    ],
)
def test_a_cpu_is_named_by_what_it_has(
    cpu: dict[str, object], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: cpu)
    assert instruction_set().endswith(expected)
