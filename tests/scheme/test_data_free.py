"""Images drawn from a teacher alone: the generators' objectives, and that no real image is seen."""

import math
from copy import deepcopy
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from kdrun.core.errors import UserError
from kdrun.core.inputs.image import ImageInputs
from kdrun.core.types import Batch, DataInfo, Output, Progress, TapShapes
from kdrun.dataset.data import Data
from kdrun.loss.data_free import DAFL, DataFree, divergence
from kdrun.loss.table import build_loss
from kdrun.stage.invert import Inversion, Norms, objective, to_bytes

INFO = DataInfo(("a", "b", "c"), ImageInputs(2, (6, 5)), 30)
KD = {"name": "kd", "alpha": 0.5, "temperature": 2.0}


class Net(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(2, width, 3), nn.BatchNorm2d(width), nn.ReLU())
        self.fc = nn.Linear(width, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.fc(self.body(images).mean(dim=(2, 3)))


def made(name: str, **keys) -> tuple[DataFree, nn.Module, nn.Module]:
    torch.manual_seed(3)
    loss = build_loss({"name": name, "loss": KD, "latent": 4, "rate": 0.01, **keys})
    student, teacher = Net(4), Net(6).eval()
    paths = dict.fromkeys(loss.taps().teacher, "fc:in")
    shapes = dict.fromkeys(paths, (2, 6))
    loss.bind(TapShapes({}, student, {}), TapShapes(shapes, teacher, paths), INFO)
    return loss, student, teacher


def batch(value: float) -> Batch:
    rows = torch.arange(8)
    return Batch(torch.full((8, 2, 6, 5), value), rows % 3, rows, rows * 0)


def at(step: int) -> Progress:
    return Progress("main", 0, 2, step, 20)


SCHEMES = {
    "dafl": {"activation": 0.1, "entropy": 5.0},
    "zskt": {"student_steps": 3},
}


@pytest.mark.parametrize("name", SCHEMES)
def test_no_image_of_the_dataset_has_any_effect(name):
    found = []
    for value in (0.0, math.nan):
        loss, student, teacher = made(name, **SCHEMES[name])
        torch.manual_seed(9)
        given = batch(value)
        given.targets = torch.full_like(given.targets, int(value == 0))
        given.labeled = torch.full((8,), value == 0)
        drawn = loss.prepare(given, at(0))
        terms = loss(Output(student(drawn.inputs)), Output(teacher(drawn.inputs)), drawn, at(0))
        found.append({key: term.item() for key, term in terms.items()})
        assert drawn.targets.tolist() == teacher(drawn.inputs).argmax(1).tolist()
        assert drawn.inputs.shape == (8, 2, 6, 5)
        assert drawn.labeled is None  # each drawn image has the teacher's decision
    assert found[0] == found[1]
    assert all(math.isfinite(value) for value in found[0].values())


def test_dafl_lowers_its_equation():
    loss, _, _ = made("dafl", **SCHEMES["dafl"])
    logits = torch.randn(8, 3)
    features = torch.randn(8, 6)
    rows = [[math.exp(v) for v in row] for row in logits.double().tolist()]
    rows = [[value / sum(row) for value in row] for row in rows]
    sure = sum(-math.log(max(row)) for row in rows) / 8
    mean = [sum(row[c] for row in rows) / 8 for c in range(3)]
    spread = sum(m * math.log(m) for m in mean)
    active = sum(abs(v) for row in features.double().tolist() for v in row) / 48
    assert isinstance(loss, DAFL)
    found = loss.objective(Output(logits, {"embedding": features})).item()
    assert found == pytest.approx(sure - 0.1 * active + 5.0 * spread, rel=1e-5)


def test_zskt_measures_the_divergence_with_gradients_to_both():
    student_logits, teacher_logits = (
        torch.randn(4, 3, dtype=torch.float64),
        torch.randn(4, 3, dtype=torch.float64),
    )
    expected = 0.0
    for mine, its in zip(student_logits.tolist(), teacher_logits.tolist(), strict=True):
        q, p = ([math.exp(v) for v in row] for row in (mine, its))
        q, p = ([v / sum(row) for v in row] for row in (q, p))
        expected += sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)) / 4
    assert divergence(student_logits, teacher_logits).item() == pytest.approx(expected, rel=1e-5)
    pair = student_logits.requires_grad_(), teacher_logits.requires_grad_()
    assert torch.autograd.gradcheck(divergence, pair)
    assert torch.isfinite(divergence(torch.tensor([[1e4, -1e4]]).half(), torch.zeros(1, 2).half()))


@pytest.mark.parametrize("name", SCHEMES)
def test_the_generator_learns_and_nothing_else_does(name):
    loss, student, teacher = made(name, **SCHEMES[name])
    before = [[w.clone() for w in net.parameters()] for net in (student, teacher)]
    drawn = [w.clone() for w in loss.drawing.generator.parameters()]
    loss.requires_grad_(False)  # as the engine has what a phase of the loss does not train
    given = batch(0.0)
    loss.prepare(given, at(0))
    for net, kept in zip((student, teacher), before, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(net.parameters(), kept, strict=True))
        assert all(weight.grad is None for weight in net.parameters())
    after = list(loss.drawing.generator.parameters())
    assert not any(torch.equal(a, b) for a, b in zip(after, drawn, strict=True) if a.dim() > 1)
    assert all(weight.grad is None for weight in after)


def test_zskt_trains_its_generator_once_in_so_many_steps():
    loss, _, _ = made("zskt", student_steps=3)
    changed = []
    for step in range(7):
        before = loss.drawing.generator.spread.weight.clone()
        loss.prepare(batch(0.0), at(step))
        changed.append(not torch.equal(before, loss.drawing.generator.spread.weight))
    assert changed == [True, False, False, True, False, False, True]


def test_the_adversary_raises_the_disagreement():
    loss, student, teacher = made("zskt", student_steps=1)

    def disagreement() -> float:
        torch.manual_seed(5)
        with torch.no_grad():
            images = loss.drawing.generator.draw(64)
            return divergence(student(images), teacher(images)).item()

    before = disagreement()
    for step in range(30):
        loss.prepare(batch(0.0), at(step))
    assert disagreement() > before


def test_the_generator_and_its_optimizer_are_saved():
    loss, _, _ = made("zskt", student_steps=1)
    loss.prepare(batch(0.0), at(0))
    other, _, _ = made("zskt", student_steps=1)
    other.load_state_dict(deepcopy(loss.state_dict()))  # as from a file
    weights = []
    for one in (loss, other):
        torch.manual_seed(1)
        one.prepare(batch(0.0), at(1))
        weights.append(one.drawing.generator.spread.weight)
    assert torch.equal(*weights)


def test_a_loss_without_a_teacher_is_refused():
    loss = build_loss(
        {"name": "zskt", "loss": {"name": "ce"}, "latent": 4, "rate": 1.0, "student_steps": 1}
    )
    with pytest.raises(UserError, match="learns from a teacher"):
        loss.bind(TapShapes({}, Net(4), {}), None, INFO)


def test_mixed_precision_batches_stay_what_they_are():
    loss, _, _ = made("zskt", student_steps=1)
    given = replace(batch(0.0), inputs=torch.zeros(8, 2, 6, 5, dtype=torch.bfloat16))
    assert loss.prepare(given, at(0)).inputs.dtype is torch.bfloat16


def image_data() -> Data:
    """Three classes of 6x5 pixels with two channels, of another mean and spread each."""
    inputs = ImageInputs(2, (6, 5), mean=(0.2, 0.6), std=(0.3, 0.1))
    return SimpleNamespace(info=replace(INFO, inputs=inputs))


def test_the_inversions_objective_is_its_equation():
    torch.manual_seed(2)
    images, logits = torch.randn(3, 2, 4, 3), torch.randn(3, 3)
    labels, norms = torch.tensor([0, 2, 1]), torch.tensor(1.5)
    how = Inversion(3, 3, 1, rate=0.1, norms=2.0, smoothness=0.5, size=0.25)
    sure = 0.0
    for row, label in zip(logits.double().tolist(), labels.tolist(), strict=True):
        sure -= row[label] - math.log(sum(math.exp(value) for value in row))
    x = images.double().tolist()
    pixels = [(y, c) for y in range(4) for c in range(3)]
    variation = 0.0
    for dy, dx in ((0, 1), (1, 0), (1, -1), (1, 1)):
        squares = [
            (x[b][k][y][c] - x[b][k][y + dy][c + dx]) ** 2
            for b in range(3)
            for k in range(2)
            for y, c in pixels
            if y + dy < 4 and 0 <= c + dx < 3
        ]
        variation += math.sqrt(sum(squares))
    size = math.sqrt(sum(v**2 for v in images.double().flatten().tolist()))
    expected = sure / 3 + 2 * 1.5 + 0.5 * variation + 0.25 * size
    assert objective(logits, labels, images, norms, how).item() == pytest.approx(expected, rel=1e-5)


def test_norms_measure_how_far_a_batch_is_from_what_they_remember():
    network = Net(4).eval()
    norm = network.body[1]
    norm.running_mean.copy_(torch.linspace(-1, 1, 4))
    norm.running_var.copy_(torch.linspace(0.5, 2, 4))
    watched, images = Norms(network), torch.randn(5, 2, 6, 5)
    network(images)
    rows = network.body[0](images).double().transpose(0, 1).flatten(1).tolist()
    means = [sum(row) / len(row) for row in rows]
    spreads = [
        sum((v - m) ** 2 for v in row) / len(row) for row, m in zip(rows, means, strict=True)
    ]
    far = math.dist(means, norm.running_mean.tolist()) + math.dist(
        spreads, norm.running_var.tolist()
    )
    assert watched.distance().item() == pytest.approx(far, rel=1e-5)
    watched.close()


def test_a_network_without_batch_norms_remembers_nothing():
    with pytest.raises(UserError, match="the teacher has none"):
        Norms(nn.Linear(2, 2))


def test_images_are_stored_as_a_dataset_has_them():
    data = image_data()
    pixels = torch.randint(0, 256, (3, 6, 5, 2), dtype=torch.uint8)
    mean, std = (torch.tensor(each) for each in (data.info.inputs.mean, data.info.inputs.std))
    normal = ((pixels / 255 - mean) / std).permute(0, 3, 1, 2)
    assert torch.equal(to_bytes(normal, data), pixels)
    assert to_bytes(torch.full((1, 2, 1, 1), 1e9), data).flatten().tolist() == [255, 255]


def test_a_teacher_without_batch_norms_is_refused_before_the_start(refused):
    said = refused("scheme=deep_inversion", "teacher=mlp")
    assert said.startswith("teacher: images are made from the running statistics of batch norms")
    assert "scheme=dafl" in said
