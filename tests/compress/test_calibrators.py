"""Calibrators against their formulas in plain Python, and on known distributions."""

import math

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor

from kdrun.compress.activation_statistics import BINS, ActivationStatistics
from kdrun.compress.calibrators import (
    CALIBRATORS,
    KLDivergence,
)
from kdrun.compress.kl_divergence import kl_divergences
from kdrun.compress.quantization_grid import (
    QuantizationGrid,
    ValueRange,
    affine_map,
    quantize_dequantize,
)
from kdrun.config.choices import conf_folder
from kdrun.core.errors import UserError
from kdrun.core.registry import build

GRID = QuantizationGrid(8, symmetric=True)
GRIDS = [QuantizationGrid(bits, symmetric) for bits in (8, 6, 4) for symmetric in (True, False)]


def drawn(kind: str, batches: int = 4) -> list[Tensor]:
    random = torch.Generator().manual_seed(0)
    batches = [torch.randn(4, 5000, generator=random) for _ in range(batches)]
    if kind == "heavy":  # Student's t of 3 degrees of freedom
        return [one[0] / one[1:].square().mean(0).sqrt() for one in batches]
    return [one[0].relu() if kind == "relu" else one[0] for one in batches]


def seen(batches: list[Tensor]) -> ActivationStatistics:
    found = ActivationStatistics()
    for batch in batches:
        found.update_extremes(batch)
    for batch in batches:
        found.update_histogram(batch)
    return found


def chosen(name: str, batches: list[Tensor], grid: QuantizationGrid, **keys) -> tuple[float, float]:
    """The range of a calibrator with the settings of its file in conf/, or with these keys."""
    file = conf_folder() / "calibrator" / f"{name}.yaml"
    node = {**yaml.safe_load(file.read_text(encoding="utf-8")), **keys}
    return build("calibrator", CALIBRATORS, node).range(seen(batches), grid)


def test_statistics_equal_plain_extremes_and_histograms():
    batches = drawn("heavy")
    values = torch.cat(batches).double().tolist()
    found = seen(batches)
    assert (found.low, found.high) == (min(values), max(values))
    assert found.batch_maxima == [max(map(abs, batch.tolist())) for batch in batches]
    assert found.counts.sum() == len(values)
    width = found.limit / BINS
    sizes = [0] * BINS
    for value in values:
        sizes[min(BINS - 1, int(abs(value) / width))] += 1
    assert np.abs(found.magnitude_counts - sizes).sum() <= 4  # of those that lie on an edge


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("kind", ["normal", "relu", "heavy"])
def test_ranges_of_minmax_and_the_maxima_equal_their_formulas(kind, grid):
    batches = drawn(kind)
    values = torch.cat(batches).tolist()
    largest = max(map(abs, values))
    assert chosen("minmax", batches, grid) == (min(values), max(values))
    even = -1.0 if min(values) < 0 else 0.0
    assert chosen("cumulative_max", batches, grid) == (even * largest, largest)
    average = max(map(abs, batches[0].tolist()))
    for batch in batches[1:]:
        average = 0.75 * average + 0.25 * max(map(abs, batch.tolist()))
    expected = even * average, average
    assert chosen("moving_max", batches, grid, momentum=0.75) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "key", "value"), [("moving_max", "momentum", 0.9), ("percentile", "percentile", 99.9)]
)
def test_a_calibrators_settings_by_default(name, key, value):
    batches, grid = drawn("heavy"), GRID
    assert chosen(name, batches, grid) == chosen(name, batches, grid, **{key: value})


@pytest.mark.parametrize("percentile", [90.0, 99.0, 99.9, 100.0])
@pytest.mark.parametrize("kind", ["normal", "relu"])
def test_percentile_clips_equal_numbers_at_both_ends(kind, percentile):
    batches = drawn(kind)
    values = torch.cat(batches).double()
    low, high = chosen("percentile", batches, GRID, percentile=percentile)
    width, tail = values.abs().max().item() / BINS, (100 - percentile) / 200 * len(values)
    assert (values < low - 1e-6).sum() <= tail <= (values < low + width + 1e-6).sum()
    assert (values > high + 1e-6).sum() <= tail <= (values > high - width - 1e-6).sum()


def plain_error(values: list[float], low: float, high: float, grid: QuantizationGrid) -> float:
    low, high = min(low, 0), max(high, 0)
    most, least = 2 ** (grid.bits - 1) - 1, -(2 ** (grid.bits - 1))
    if grid.symmetric:
        scale, zero, least = max(-low, high) / most, 0, -most
    else:
        scale = (high - low) / (2**grid.bits - 1)
        zero = round(least - low / scale)
    error = 0.0
    for value in values:
        whole = min(most, max(least, round(value / scale) + zero))
        error += ((whole - zero) * scale - value) ** 2
    return error / len(values)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("kind", ["normal", "relu", "heavy"])
def test_mse_has_the_smallest_error_of_all_candidates(kind, grid):
    batches = drawn(kind, batches=2)
    values = torch.cat(batches).double().tolist()
    largest = max(map(abs, values))
    errors = []
    for part in range(1, 129):
        limit = largest * part / 128
        ends = max(min(values), -limit), min(max(values), limit)
        errors.append(plain_error(values, *ends, grid))
    found = plain_error(values, *chosen("mse", batches, grid), grid)
    assert found <= 1.02 * min(errors)  # bins stand for their middles
    if grid.bits == 4 and kind == "normal":
        assert found < 0.9 * errors[-1]


def plain_kl(sizes: list[float], kept: int, levels: int) -> float:
    reference = sizes[:kept]
    reference[-1] += sum(sizes[kept:])
    groups: dict[int, list[int]] = {}
    for at in range(kept):
        groups.setdefault(at * levels // kept, []).append(at)
    spread = [0.0] * kept
    for members in groups.values():
        full = [at for at in members if sizes[at] > 0]
        for at in full:
            spread[at] = sum(sizes[member] for member in members) / len(full)
    found = 0.0
    for at in range(kept):
        if reference[at]:
            if not spread[at]:
                return math.inf
            p, q = reference[at] / sum(reference), spread[at] / sum(spread)
            found += p * math.log(p / q)
    return found


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("kind", ["normal", "heavy"])
def test_kl_takes_the_range_of_least_divergence(kind, bits):
    batches = drawn(kind)
    found = seen(batches)
    low, high = KLDivergence().range(found, QuantizationGrid(bits, symmetric=True))
    kept = round(max(-low, high) / found.limit * BINS)
    sizes, levels = found.magnitude_counts.tolist(), 2 ** (bits - 1)
    sizes[0] = sizes[1]
    best = plain_kl(sizes, kept, levels)
    others = range(levels, BINS + 1, 97)
    assert all(best <= plain_kl(sizes, other, levels) * (1 + 1e-9) for other in others)
    assert math.isfinite(best)


@pytest.mark.parametrize("kind", ["normal", "heavy"])
def test_zeros_do_not_change_the_range_of_kl(kind):
    batches = drawn(kind)
    with_zeros = [torch.cat([batch.flatten(), torch.zeros(20_000)]) for batch in batches]
    alone, beside = (KLDivergence().range(seen(one), GRID) for one in (batches, with_zeros))
    assert alone == beside


def test_kl_and_percentile_clip_a_heavy_tail_and_minmax_does_not():
    batches = drawn("heavy")
    values = torch.cat(batches)
    assert values.abs().max() > 20
    for name, keys in (("kl", {}), ("percentile", {"percentile": 98.0})):
        low, high = chosen(name, batches, GRID, **keys)
        assert max(-low, high) < 0.7 * values.abs().max()
    assert chosen("minmax", batches, GRID) == (
        values.min().item(),
        values.max().item(),
    )


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("low", [-3.0, -0.1, 0.0, 2.0])
@pytest.mark.parametrize("high", [2.5, 4.0])
def test_values_in_the_range_are_rounded_by_at_most_half_a_scale(low, high, grid):
    values = np.linspace(min(low, 0), high, 1001)
    scale, zero = affine_map(ValueRange(low, high), grid)
    found = quantize_dequantize(values, ValueRange(low, high), grid)
    assert np.abs(found - values).max() <= scale * (0.5 + 1e-9)
    assert quantize_dequantize(np.zeros(1), ValueRange(low, high), grid) == 0
    assert grid.lowest <= zero <= grid.highest
    assert len(np.unique(found)) <= 2**grid.bits
    end = max(-low, high) if grid.symmetric else high
    beyond = quantize_dequantize(np.array([1e9]), ValueRange(low, high), grid)
    assert beyond == pytest.approx(end, abs=scale)


def test_a_tensor_of_zeros_can_be_quantized():
    zeros = [torch.zeros(10)]
    for name in CALIBRATORS:
        kept = chosen(name, zeros, GRID)
        assert quantize_dequantize(np.zeros(2), kept, GRID).tolist() == [0, 0]


def test_values_that_are_not_finite_are_refused():
    with pytest.raises(UserError, match="not a finite number"):
        ActivationStatistics().update_extremes(torch.tensor([1.0, float("nan")]))


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("kind", ["normal", "heavy"])
def test_divergences_equal_the_plain_formula(kind, bits):
    sizes, levels = seen(drawn(kind)).magnitude_counts, 2 ** (bits - 1)
    sizes[7:11] = 0
    found = kl_divergences(sizes, levels)
    assert len(found) == BINS + 1 - levels
    for kept in (levels, levels + 1, 300, 1001, 1777, BINS - 1, BINS):
        expected = plain_kl(sizes.tolist(), kept, levels)
        assert found[kept - levels] == pytest.approx(expected, rel=1e-9, abs=1e-12)
