"""Counter-based randomness: random numbers are a function of the seed and of counters.

No generator keeps a state between steps, so a checkpoint stores none, and the augmented view of a
sample can be computed again at any time from (seed, index, view).
"""

from hashlib import blake2b

import torch
from torch import Tensor

_GOLDEN = -7046029254386353131  # 0x9E3779B97F4A7C15 as a signed 64-bit integer
_MIX_1 = -4658895280553007687  # 0xBF58476D1CE4E5B9
_MIX_2 = -7723592293110705685  # 0x94D049BB133111EB


def seed_of(*counters: int | str) -> int:
    """Return a 63-bit seed from a run's seed, the name of a use and counters (epoch, step).

    A cryptographic hash makes the seeds of neighbouring counters independent; Python's `hash`
    differs from process to process.
    """
    text = "/".join(str(counter) for counter in counters)
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generator(*counters: int | str) -> torch.Generator:
    """Return a CPU generator that is seeded with `seed_of` these counters."""
    return torch.Generator().manual_seed(seed_of(*counters))


def uniform(seed: int, index: Tensor, view: Tensor, columns: int) -> Tensor:
    """Return uniform numbers for the view of each sample, which do not depend on its batch.

    Args:
        seed: a seed from `seed_of`.
        index: (B,) int64 sample positions.
        view: (B,) int64 view numbers.
        columns: how many numbers each sample needs.

    Returns:
        (B, columns) float64 in [0, 1): SplitMix64 (Steele, Lea, Flood 2014) over the counters.
    """
    state = _mix(_mix(index + seed) ^ view)
    column = torch.arange(1, columns + 1, device=index.device)
    bits = _mix(state[:, None] + column * _GOLDEN)
    return _shift(bits, 11).double() * 2.0**-53


def _mix(state: Tensor) -> Tensor:
    state = state + _GOLDEN
    state = (state ^ _shift(state, 30)) * _MIX_1
    state = (state ^ _shift(state, 27)) * _MIX_2
    return state ^ _shift(state, 31)


def _shift(bits: Tensor, places: int) -> Tensor:
    """Logical right shift; torch's own shift of int64 copies the sign bit."""
    return (bits >> places) & ((1 << (64 - places)) - 1)
