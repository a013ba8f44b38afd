"""Random numbers depend on where they are used and on nothing else, and look random there."""

import numpy as np
import torch
from scipy import stats

from kdrun.core.seeds import generator, seed_of, uniform

N = 20_000


def numbers(seed: int = 0, view: int = 0, columns: int = 1, first: int = 0) -> np.ndarray:
    """(N, columns) of one view of consecutive samples."""
    index = torch.arange(first, first + N)
    return uniform(seed_of("test", seed), index, torch.full_like(index, view), columns).numpy()


def test_uniform_repeats():
    assert np.array_equal(numbers(columns=3), numbers(columns=3))


def test_uniform_does_not_touch_torch_state():
    before = torch.get_rng_state()
    numbers()
    assert torch.equal(torch.get_rng_state(), before)


def test_uniform_is_the_same_in_whatever_batch_a_sample_stands():
    index, view = torch.arange(100), torch.arange(100) % 7
    whole = uniform(5, index, view, 4)
    order = torch.randperm(100, generator=generator("order"))
    shuffled = torch.cat([uniform(5, index[part], view[part], 4) for part in order.split(13)])
    assert torch.equal(shuffled, whole[order])


def test_uniform_first_columns_do_not_depend_on_how_many_are_asked():
    assert np.array_equal(numbers(columns=5)[:, :2], numbers(columns=2))


def test_uniform_equals_splitmix64_in_plain_integers():
    def mix(state: int) -> int:
        state = (state + 0x9E3779B97F4A7C15) % 2**64
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        state = (state ^ state >> 27) * 0x94D049BB133111EB % 2**64
        return state ^ state >> 31

    seed, index, view = seed_of("plain"), 12345, 67
    state = mix(mix(index + seed) ^ view)
    columns = [mix((state + column * 0x9E3779B97F4A7C15) % 2**64) >> 11 for column in (1, 2, 3)]
    drawn = uniform(seed, torch.tensor([index]), torch.tensor([view]), 3)
    assert drawn[0].tolist() == [bits / 2**53 for bits in columns]


def test_uniform_lies_from_0_to_below_1():
    drawn = numbers(columns=5)
    assert drawn.dtype == np.float64
    assert drawn.min() >= 0
    assert drawn.max() < 1


def test_uniform_is_uniform_in_each_column_view_and_seed():
    columns = numbers(columns=4).T
    views = [numbers(view=view)[:, 0] for view in (1, 2, 1000)]
    seeds = [numbers(seed=seed)[:, 0] for seed in (1, 2)]
    one_sample = uniform(3, torch.zeros(N).long(), torch.arange(N), 1).numpy()[:, 0]
    for drawn in [*columns, *views, *seeds, one_sample]:
        counts = np.histogram(drawn, bins=100, range=(0, 1))[0]
        assert stats.chisquare(counts).pvalue > 1e-4


def test_uniform_streams_are_not_correlated():
    base = numbers()[:, 0]
    others = {
        "next column": numbers(columns=2)[:, 1],
        "next view": numbers(view=1)[:, 0],
        "next sample": numbers(first=1)[:, 0],
        "next column and view": numbers(view=1, columns=2)[:, 1],
        "another seed": numbers(seed=1)[:, 0],
        "a far view": numbers(view=2**31)[:, 0],
    }
    for name, other in others.items():
        assert abs(np.corrcoef(base, other)[0, 1]) < 5 / N**0.5, name
        cells = np.histogram2d(base, other, bins=10, range=[[0, 1], [0, 1]])[0]
        assert stats.chisquare(cells.ravel()).pvalue > 1e-4, name


def test_uniform_has_no_equal_numbers_across_samples_views_and_columns():
    index = torch.arange(100).repeat_interleave(100)
    drawn = uniform(11, index, torch.arange(100).repeat(100), 10)
    assert len(drawn.unique()) == drawn.numel()


def test_seed_of_is_the_same_in_every_process_and_release():
    assert seed_of(0, "order", 1) == 2961819992523135983


def test_seed_of_gives_a_seed_that_torch_and_numpy_take():
    seeds = [seed_of(0, "stage", step) for step in range(1000)]
    assert all(0 <= seed < 2**63 for seed in seeds)
    generator("any")
    np.random.default_rng(max(seeds))


def test_seed_of_does_not_collide_between_streams():
    streams = [
        (seed, stage, epoch, step)
        for seed in range(3)
        for stage in ("teacher", "alone", "distill", "order", "mix")
        for epoch in range(30)
        for step in range(30)
    ]
    assert len({seed_of(*counters) for counters in streams}) == len(streams)


def test_seed_of_tells_apart_where_a_counter_ends():
    assert seed_of(1, 11) != seed_of(11, 1)
    assert seed_of(1, 23) != seed_of(12, 3)


def test_seed_of_bits_are_balanced():
    bits = np.array([[seed_of("bits", n) >> place & 1 for place in range(63)] for n in range(4000)])
    assert np.abs(bits.mean(0) - 0.5).max() < 5 * 0.5 / 4000**0.5


def test_generator_starts_where_the_counters_say():
    assert torch.equal(
        torch.rand(5, generator=generator(1, "a")), torch.rand(5, generator=generator(1, "a"))
    )
    assert not torch.equal(
        torch.rand(5, generator=generator(1, "a")), torch.rand(5, generator=generator(1, "b"))
    )
