"""Smoothed and mixed targets say exactly what was done to the images."""

import pytest
import torch
import torch.nn.functional as F
from scipy import stats

from kdrun.core.types import Batch
from kdrun.engine.mixing import mix_batch

B, C = 12, 5


@pytest.fixture
def batch() -> Batch:
    """Image i is i everywhere, so that each pixel says which image it comes from."""
    rows = torch.arange(B)
    images = rows[:, None, None, None].float().expand(B, 3, 16, 24).contiguous()
    return Batch(images, rows % C, rows + 100, rows + 200)


def one_hot(batch: Batch) -> torch.Tensor:
    return F.one_hot(batch.targets, C).float()


def test_off_returns_the_same_batch(batch, recipe):
    assert mix_batch(batch, recipe(), C, 0) is batch


@pytest.mark.parametrize("epsilon", [0.05, 0.1, 0.5])
def test_smoothing_is_that_of_torch(batch, recipe, epsilon):
    smooth = mix_batch(batch, recipe(label_smoothing=epsilon), C, 0)
    logits = torch.randn(B, C, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        F.cross_entropy(logits, smooth.soft_targets),
        F.cross_entropy(logits, batch.targets, label_smoothing=epsilon),
    )
    torch.testing.assert_close(smooth.soft_targets.sum(1), torch.ones(B))
    assert smooth.inputs is batch.inputs


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_what_is_not_mixed_stays(batch, recipe, kind):
    before = batch.inputs.clone()
    mixed = mix_batch(batch, recipe(**{kind: 1.0}), C, 3)
    for name in ("targets", "index", "view"):
        assert getattr(mixed, name) is getattr(batch, name)
    assert torch.equal(batch.inputs, before)
    assert batch.soft_targets is None
    assert mixed.inputs.shape == before.shape


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_the_same_counters_give_the_same_batch(batch, recipe, kind):
    chosen = recipe(**{kind: 1.0})
    one, again, other = (mix_batch(batch, chosen, C, 0, "alone", "main", n) for n in (7, 7, 8))
    assert torch.equal(one.inputs, again.inputs)
    assert torch.equal(one.soft_targets, again.soft_targets)
    assert not torch.equal(one.soft_targets, other.soft_targets)


def test_mixing_does_not_touch_torch_state(batch, recipe):
    before = torch.get_rng_state()
    mix_batch(batch, recipe(mixup=1.0, cutmix=1.0), C, 1)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("step", range(10))
def test_mixup_share_of_the_image_is_that_of_the_target(batch, recipe, step):
    mixed = mix_batch(batch, recipe(mixup=1.0), C, step)
    neighbor = one_hot(batch).roll(1, 0)
    share = (mixed.soft_targets * one_hot(batch)).sum(1)
    assert (neighbor * one_hot(batch)).sum() == 0  # so that shares can be read from the targets
    images, other = batch.inputs, batch.inputs.roll(1, 0)
    expected = images * share[:, None, None, None] + other * (1 - share[:, None, None, None])
    torch.testing.assert_close(mixed.inputs, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(
        mixed.soft_targets, share[:, None] * one_hot(batch) + (1 - share[:, None]) * neighbor
    )


@pytest.mark.parametrize("step", range(20))
def test_cutmix_share_of_pixels_is_that_of_the_target(batch, recipe, step):
    mixed = mix_batch(batch, recipe(cutmix=1.0), C, step)
    own = (mixed.inputs == batch.inputs).float().mean((1, 2, 3))
    other = (mixed.inputs == batch.inputs.roll(1, 0)).float().mean((1, 2, 3))
    torch.testing.assert_close(own + other, torch.ones(B))
    torch.testing.assert_close((mixed.soft_targets * one_hot(batch)).sum(1), own)
    torch.testing.assert_close((mixed.soft_targets * one_hot(batch).roll(1, 0)).sum(1), other)


def test_cutmix_cuts_one_box_through_all_channels(batch, recipe):
    mixed = mix_batch(batch, recipe(cutmix=1.0), C, 2)
    cut = mixed.inputs[0] != batch.inputs[0]
    assert torch.equal(cut[0], cut[1])
    assert torch.equal(cut[0], cut[2])
    rows, columns = cut[0].any(1), cut[0].any(0)
    assert cut[0].any()
    assert torch.equal(cut[0], rows[:, None] & columns[None, :])
    assert all((line.int().diff() != 0).sum() <= 2 for line in (rows, columns))


def test_cutmix_reaches_every_pixel(batch, recipe):
    chosen = recipe(cutmix=1.0)
    reached = torch.zeros(16, 24, dtype=torch.bool)
    for step in range(200):
        mixed = mix_batch(batch, chosen, C, step)
        reached |= mixed.inputs[0, 0] != batch.inputs[0, 0]
    assert reached.all()


def test_cutmix_leaves_the_memory_format(batch, recipe):
    images = batch.inputs.contiguous(memory_format=torch.channels_last)
    turned = Batch(images, batch.targets, batch.index, batch.view)
    mixed = mix_batch(turned, recipe(cutmix=1.0), C, 1)
    assert mixed.inputs.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_mixup_shares_are_of_the_beta_distribution(recipe, alpha):
    one = Batch(torch.zeros(2, 1, 1, 1), torch.tensor([0, 1]), torch.arange(2), torch.arange(2))
    chosen = recipe(mixup=alpha)
    shares = [mix_batch(one, chosen, 2, n).soft_targets[0, 0].item() for n in range(1000)]
    assert stats.kstest(shares, stats.beta(alpha, alpha).cdf).pvalue > 1e-3


def test_with_both_each_batch_takes_one_of_them_by_a_fair_coin(batch, recipe):
    chosen = recipe(mixup=1.0, cutmix=1.0)
    whole = [
        bool((mix_batch(batch, chosen, C, n).inputs % 1 == 0).all().item()) for n in range(400)
    ]
    assert 150 < sum(whole) < 250


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_mixing_joins_smoothing(batch, recipe, kind):
    mixed = mix_batch(batch, recipe(label_smoothing=0.1, **{kind: 1.0}), C, 4)
    plain = mix_batch(batch, recipe(**{kind: 1.0}), C, 4)
    torch.testing.assert_close(mixed.soft_targets, 0.9 * plain.soft_targets + 0.1 / C)


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_images_stay_so(batch, recipe, kind, dtype):
    half = Batch(batch.inputs.to(dtype), batch.targets, batch.index, batch.view)
    mixed = mix_batch(half, recipe(**{kind: 1.0}), C, 1)
    assert mixed.inputs.dtype == dtype
    assert mixed.soft_targets.dtype == torch.float32


def test_a_batch_of_one_is_mixed_with_itself(recipe):
    one = Batch(torch.ones(1, 1, 8, 8), torch.tensor([2]), torch.tensor([0]), torch.tensor([0]))
    mixed = mix_batch(one, recipe(mixup=1.0), C, 1)
    torch.testing.assert_close(mixed.inputs, one.inputs)
    torch.testing.assert_close(mixed.soft_targets, one_hot(one))


def test_a_mapping_of_inputs_can_not_be_mixed(batch, recipe):
    words = Batch({"tokens": torch.zeros(B, 4)}, batch.targets, batch.index, batch.view)
    assert mix_batch(words, recipe(label_smoothing=0.1), C, 0).inputs is words.inputs
    with pytest.raises(TypeError, match="images"):
        mix_batch(words, recipe(mixup=1.0), C, 0)
