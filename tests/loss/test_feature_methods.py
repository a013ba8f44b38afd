"""fitnet, cosine, vid, mgd and cat_kd against their formulas, pixel by pixel in float64."""

import math
from dataclasses import replace

import pytest
import torch
from given import AT, INFO, B, C, bare, batch, bound, output, total
from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.core.types import Output, TapShapes
from kdrun.loss.base import Loss

SHAPES = {
    "fitnet": ({"tap": (3, 4, 4)}, {"tap": (5, 2, 2)}),
    "cosine": ({"tap": (6,)}, {"tap": (4, 2, 3)}),
    "vid": ({"tap[0]": (3, 4, 4), "tap[1]": (4, 2, 2)}, {"tap[0]": (5, 2, 4), "tap[1]": (4, 2, 2)}),
    "mgd": ({"tap": (3, 2, 2)}, {"tap": (4, 2, 2)}),
    "cat_kd": ({"maps": (3, 4, 4)}, {"maps": (5, 2, 2)}),
}
NAMES = sorted(SHAPES)


class Heads:
    """Two classifiers, as cat_kd finds them in networks."""

    def __init__(self) -> None:
        torch.manual_seed(4)
        self.student = nn.ModuleDict({"fc": nn.Linear(3, C)})
        self.teacher = nn.ModuleDict({"fc": nn.Linear(5, C, bias=False)})


def made(name: str, **changes) -> Loss:
    if name != "cat_kd":
        return bound(name, *SHAPES[name], **changes)
    heads, loss = Heads(), bare(name, **changes)
    shapes = [{"maps": (2, *each["maps"]), "head": (2, C)} for each in SHAPES[name]]
    paths = {"maps": "body", "head": "fc"}
    networks = zip(shapes, (heads.student, heads.teacher), strict=True)
    loss.bind(*(TapShapes(shape, network, paths) for shape, network in networks), INFO)
    loss.heads = [heads]
    return loss


def answers(name: str, dtype: torch.dtype = torch.float32) -> tuple[Output, Output]:
    student, teacher = SHAPES[name]
    return output(student, 1, dtype), output(teacher, 2, dtype)


def loops(maps: Tensor) -> list:
    return maps.detach().double().tolist()


def pooled(maps: Tensor, height: int, width: int) -> list:
    """(B, C, H, W) averaged over equal windows, number by number."""
    grid, rows, columns = loops(maps), maps.shape[2] // height, maps.shape[3] // width
    return [
        [
            [
                [
                    sum(
                        channel[y * rows + i][x * columns + j]
                        for i in range(rows)
                        for j in range(columns)
                    )
                    / (rows * columns)
                    for x in range(width)
                ]
                for y in range(height)
            ]
            for channel in sample
        ]
        for sample in grid
    ]


def mean_square(a: Tensor, b: Tensor) -> float:
    pairs = list(zip(a.double().flatten().tolist(), b.double().flatten().tolist(), strict=True))
    return sum((x - y) ** 2 for x, y in pairs) / len(pairs)


def test_fitnet_is_the_mean_square_of_a_regression():
    loss = made("fitnet")
    student, teacher = answers("fitnet")
    convolution, norm, _ = loss.regressors[0]
    small = pooled(student.taps["tap"], 2, 2)
    weight = loops(convolution.weight)
    made_of = [
        [
            [
                [sum(weight[o][i][0][0] * s[i][y][x] for i in range(3)) for x in range(2)]
                for y in range(2)
            ]
            for o in range(5)
        ]
        for s in small
    ]
    normed = torch.tensor(made_of, dtype=torch.float64)
    mean, var = normed.mean((0, 2, 3), keepdim=True), normed.var((0, 2, 3), False, keepdim=True)
    adapted = ((normed - mean) / (var + norm.eps).sqrt()).clamp_min(0)
    expected = mean_square(adapted, teacher.taps["tap"])
    assert total(loss, student, teacher).item() == pytest.approx(expected, rel=1e-5)


def test_fitnet_in_two_stages_learns_the_hint_first_and_then_the_labels():
    loss = bound("fitnet", *SHAPES["fitnet"], first_epochs=3, ce=1.0, kd=0.5)
    first, main = loss.phases()
    assert (first.epochs, main.epochs) == (3, None)
    student, teacher = answers("fitnet")
    assert list(loss(student, teacher, batch(), replace(AT, phase=first.name))) == ["fitnet"]
    assert list(loss(student, teacher, batch(), AT)) == ["ce", "kd"]
    assert list(made("fitnet", first_epochs=0).phases()) == [main.__class__("main")]


def test_cosine_is_one_less_the_cosine_of_embeddings():
    loss = made("cosine")
    student, teacher = answers("cosine")
    adapter = loss.adapters[0]
    weight, bias = loops(adapter.weight), loops(adapter.bias)
    targets = pooled(teacher.taps["tap"], 1, 1)
    found = []
    for sample, wanted in zip(loops(student.taps["tap"]), targets, strict=True):
        adapted = [sum(w * f for w, f in zip(r, sample, strict=True)) for r in weight]
        adapted = [value + b for value, b in zip(adapted, bias, strict=True)]
        its = [channel[0][0] for channel in wanted]
        dot = sum(a * b for a, b in zip(adapted, its, strict=True))
        size = math.sqrt(sum(a * a for a in adapted) * sum(b * b for b in its))
        found.append(1 - dot / size)
    expected = sum(found) / B
    assert total(loss, student, teacher).item() == pytest.approx(expected, rel=1e-5)


def test_cosine_of_equal_widths_has_no_adapter_and_ignores_scale():
    loss = bound("cosine", {"tap": (6,)}, {"tap": (6,)})
    assert list(loss.parameters()) == []
    same = output({"tap": (6,)}, 1)
    scaled = Output(same.logits, {"tap": 9 * same.taps["tap"]})
    assert total(loss, scaled, same).item() == pytest.approx(0, abs=1e-6)


def through(network: nn.Sequential, maps: Tensor) -> Tensor:
    """Three 1x1 convolutions with two ReLUs between them, in float64."""
    for number in (0, 2, 4):
        weight = network[number].weight.detach().double()[:, :, 0, 0]
        maps = torch.einsum("oi,bihw->bohw", weight, maps)
        maps = maps.clamp_min(0) if number < 4 else maps
    return maps


def test_vid_is_the_negative_log_likelihood():
    loss = made("vid")
    with torch.no_grad():
        for spread in loss.spreads:
            spread.copy_(torch.linspace(-1, 6, len(spread)))
    student, teacher = answers("vid")
    expected = 0.0
    for number, tap in enumerate(("tap[0]", "tap[1]")):
        teacher_maps = loops(teacher.taps[tap])
        height, width = teacher.taps[tap].shape[2:]
        means = torch.tensor(pooled(student.taps[tap], height, width), dtype=torch.float64)
        means = through(loss.means[number], means).tolist()
        terms = []
        for b, sample in enumerate(teacher_maps):
            for c, channel in enumerate(sample):
                a = loss.spreads[number][c].item()
                variance = math.log1p(math.exp(a)) + 1e-5
                for y, row in enumerate(channel):
                    for x, value in enumerate(row):
                        error = (means[b][c][y][x] - value) ** 2
                        terms.append((error / variance + math.log(variance)) / 2)
        expected += sum(terms) / len(terms)
    assert total(loss, student, teacher).item() == pytest.approx(expected, rel=1e-5)


def test_vid_starts_with_the_variance_asked_for():
    loss = made("vid", variance=5.0)
    for spread in loss.spreads:
        torch.testing.assert_close(
            nn.functional.softplus(spread) + 1e-5, torch.full_like(spread, 5)
        )


def convolved(maps: Tensor, convolution: nn.Conv2d) -> Tensor:
    """A 3x3 convolution with a border of zeros, tap by tap in float64."""
    weight, bias = convolution.weight.detach().double(), convolution.bias.detach().double()
    batch_size, _, height, width = maps.shape
    found = bias[None, :, None, None].expand(batch_size, -1, height, width).clone()
    for y in range(height):
        for x in range(width):
            for i in (-1, 0, 1):
                for j in (-1, 0, 1):
                    if 0 <= y + i < height and 0 <= x + j < width:
                        pixels = maps[:, :, y + i, x + j]
                        found[:, :, y, x] += pixels @ weight[:, :, i + 1, j + 1].T
    return found


@pytest.mark.parametrize(("drop", "shape"), [("channels", (B, 4, 1, 1)), ("pixels", (B, 1, 2, 2))])
def test_mgd_restores_the_teacher_from_what_the_mask_leaves(drop, shape):
    loss = made("mgd", drop=drop, masked=0.5)
    student, teacher = answers("mgd")
    torch.manual_seed(8)
    found = total(loss, student, teacher).item()
    torch.manual_seed(8)
    mask = (torch.rand(shape) >= 0.5).double()
    adapter, generator = loss.adapters[0], loss.generators[0]
    adapted = student.taps["tap"].double()
    adapted = torch.einsum("oi,bihw->bohw", adapter.weight.detach().double()[:, :, 0, 0], adapted)
    adapted = (adapted + adapter.bias.detach().double()[None, :, None, None]) * mask
    restored = convolved(convolved(adapted, generator[0]).clamp_min(0), generator[2])
    errors = (restored - teacher.taps["tap"].double()).flatten().tolist()
    assert found == pytest.approx(sum(error**2 for error in errors) / B, rel=1e-5)
    assert 0 < mask.mean() < 1


def test_cat_kd_compares_unit_maps_of_each_class():
    loss = made("cat_kd", resolution=2, normalize=True)
    student, teacher = answers("cat_kd")
    heads = loss.heads[0]
    attention = []
    for answer, head in ((student, heads.student.fc), (teacher, heads.teacher.fc)):
        weight = loops(head.weight)
        maps = []
        for sample in loops(answer.taps["maps"]):
            side = len(sample[0])
            cams = [
                [
                    [sum(w * sample[k][y][x] for k, w in enumerate(row)) for x in range(side)]
                    for y in range(side)
                ]
                for row in weight
            ]
            maps.append(cams)
        small = pooled(torch.tensor(maps, dtype=torch.float64), 2, 2)
        for sample in small:
            for number, cam in enumerate(sample):
                size = math.sqrt(sum(v**2 for row in cam for v in row))
                sample[number] = [[v / size for v in row] for row in cam]
        attention.append(torch.tensor(small, dtype=torch.float64))
    expected = mean_square(*attention)
    assert total(loss, student, teacher).item() == pytest.approx(expected, rel=1e-5)


def test_cat_kd_trains_the_students_classifier_and_keeps_the_teachers():
    loss = made("cat_kd")
    total(loss, *answers("cat_kd")).backward()
    heads = loss.heads[0]
    assert heads.student.fc.weight.grad.abs().sum() > 0
    assert heads.teacher.fc.weight.grad is None
    assert loss.state_dict() == {}


def test_cat_kd_says_which_network_it_cannot_read():
    loss, heads = bare("cat_kd"), Heads()
    paths = {"maps": "body", "head": "fc"}
    good = TapShapes({"maps": (2, 3, 4, 4), "head": (2, C)}, heads.student, paths)
    bad = TapShapes({"maps": (2, 7, 4, 4), "head": (2, C)}, heads.teacher, paths)
    with pytest.raises(UserError, match="the teacher's reads 5 numbers where its last maps have 7"):
        loss.bind(good, bad, INFO)
    heads.teacher.fc = torch.nn.Conv2d(5, C, 1)
    with pytest.raises(UserError, match=r"the teacher's is not linear: fc \(Conv2d\)") as error:
        loss.bind(good, bad, INFO)
    assert "choose another teacher, or another loss" in error.value.lines[1]


@pytest.mark.parametrize(
    ("resolution", "size", "message"),
    [(1, 4, "loss.resolution=1 leaves one"), (2, 1, "only one in common of body and body")],
)
def test_cat_kd_refuses_maps_of_one_pixel(resolution, size, message):
    loss, heads = bare("cat_kd", resolution=resolution), Heads()
    networks = [
        TapShapes({"maps": (2, width, size, size)}, head, {"maps": "body", "head": "fc"})
        for width, head in ((3, heads.student), (5, heads.teacher))
    ]
    with pytest.raises(UserError) as error:
        loss.bind(*networks, INFO)
    assert message in error.value.lines[0]


@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_is_that_of_the_value(name):
    loss = made(name).double()
    if name == "cat_kd":
        loss.heads[0].student.double()
    loss.eval()
    student, teacher = answers(name, torch.float64)
    names = list(student.taps)

    def value(*taps: Tensor) -> Tensor:
        torch.manual_seed(0)
        cut = [tap.narrow(0, 0, 2) for tap in taps]
        teacher_taps = {key: tap.narrow(0, 0, 2) for key, tap in teacher.taps.items()}
        student_output = Output(student.logits[:2], dict(zip(names, cut, strict=True)))
        return total(loss, student_output, Output(teacher.logits[:2], teacher_taps))

    inputs = tuple(student.taps[key][:2].clone().requires_grad_() for key in names)
    assert torch.autograd.gradcheck(value, inputs)
