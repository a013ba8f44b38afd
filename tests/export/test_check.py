"""The check of an exported file: its figures, and which differences are allowed."""

from typing import Any

import pytest
import torch
from torch import nn

from kdrun.check.data import load_data
from kdrun.config.compose import compose_runs
from kdrun.core.config import ExportTolerance
from kdrun.dataset.data import Data
from kdrun.export.check import Comparison, compare, tolerance_fault
from kdrun.export.format import LoadedFile
from kdrun.export.image_spec import ImageSpec

TOLERANCE = ExportTolerance(logits=1e-3, accuracy=0.1)


@pytest.fixture(scope="module")
def data() -> Data:
    (job,) = compose_runs(["dataset.subset=100"], multirun=False)
    return load_data(job.tree["dataset"])


def figures(exported: Any, pytorch: Any, targets: list[int]) -> dict[str, Any]:
    """The figures of logits that come in two batches."""
    comparison = Comparison()
    for rows in (slice(0, 2), slice(2, None)):
        comparison.update(
            torch.tensor(exported)[rows], torch.tensor(pytorch)[rows], torch.tensor(targets)[rows]
        )
    return comparison.figures()


def test_the_figures_are_those_of_all_samples() -> None:
    pytorch = [[2.0, 1.0], [1.0, -4.0], [0.0, 1.0], [3.0, 0.0]]
    exported = [[2.0, 1.5], [1.0, -4.0], [0.25, 0.0], [3.0, 0.0]]
    assert figures(exported, pytorch, [0, 1, 1, 0]) == {
        "samples": 4,
        "accuracy": 0.5,
        "accuracy_in_pytorch": 0.75,
        "accuracy_difference": -0.25,
        "largest_difference": 1.0,
        "largest_logit": 4.0,
        "relative_difference": 0.25,
        "equal_decisions": 0.75,
    }


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_a_float_network_is_held_to_its_logits_whatever_their_scale(scale: float) -> None:
    logits = scale * torch.randn(10, 3)
    far, near = logits.clone(), logits.clone()
    far[7, 0] += 2e-3 * logits.abs().max()
    near[7, 0] += 5e-4 * logits.abs().max()
    targets = logits.argmax(1).tolist()
    assert (
        tolerance_fault(figures(near.tolist(), logits.tolist(), targets), False, TOLERANCE) is None
    )
    found = tolerance_fault(figures(far.tolist(), logits.tolist(), targets), False, TOLERANCE)
    assert found == ("its logits differ by up to 2.0e-03 of the largest, and 1.0e-03 is allowed",
                     "logits")  # fmt: skip


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_quantized_network_is_held_to_its_accuracy_either_way(sign: int) -> None:
    figure = {"accuracy_difference": sign * 0.09, "relative_difference": 0.5}
    assert tolerance_fault(figure, True, TOLERANCE) is None
    assert tolerance_fault(figure, False, TOLERANCE) is not None
    figure["accuracy_difference"] = sign * 0.11
    assert tolerance_fault(figure, True, TOLERANCE) == (
        "its test accuracy differs by 11.00 points, and 10.00 are allowed",
        "accuracy",
    )


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_logits_that_are_not_finite_never_pass(bad: float) -> None:
    good = [[1.0, 2.0]] * 4
    for at in range(4):
        broken = [list(row) for row in good]
        broken[at][0] = bad
        assert tolerance_fault(figures(broken, good, [0] * 4), False, TOLERANCE) is not None


@pytest.mark.parametrize("normalize", [False, True])
def test_the_file_gets_pixels_or_normalized_images_of_the_whole_split(
    data: Data, normalize: bool
) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.Dropout())
    images = ImageSpec(1, (8, 8), data.info.inputs.mean, data.info.inputs.std, normalize)
    given: list[torch.Tensor] = []
    calls: list[int] = []

    def answer(inputs: torch.Tensor) -> torch.Tensor:
        given.append(inputs)
        mean, std = data.info.inputs.mean[0], data.info.inputs.std[0]
        return network((inputs - mean) / std if normalize else inputs)

    files = {"file": LoadedFile(answer, "none")}
    found = compare(files, network, data.test, images, 100, lambda: calls.append(1))["file"]
    assert found["samples"] == data.test.size == 359
    assert len(given) == len(calls) == 4
    assert found["relative_difference"] < 1e-5
    assert found["equal_decisions"] == 1
    assert network.training
    if normalize:
        pixels = torch.cat(given) * 255
        torch.testing.assert_close(pixels, pixels.round(), rtol=0, atol=1e-3)
        assert (pixels.round().min(), pixels.round().max()) == (0, 255)


def test_pixels_come_back_from_normalized_images() -> None:
    inputs = ImageSpec(3, (4, 4), (0.1, 0.5, 0.9), (0.2, 0.3, 0.4), normalize=True)
    pixels = torch.rand(2, 3, 4, 4)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (inputs.mean, inputs.std))
    torch.testing.assert_close(inputs.denormalize((pixels - mean) / std), pixels)
