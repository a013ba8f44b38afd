"""The frozen teacher answers as the trained one does, only faster."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from kdrun.core.device import Hardware
from kdrun.core.taps import TappedNetwork
from kdrun.engine.frozen import fold_norms, freeze


def hardware(precision: str = "fp32") -> Hardware:
    return Hardware(torch.device("cpu"), precision, 1, 1, "test")


class Block(nn.Module):
    """A residual block as ResNets have it, with a convolution on the shortcut."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = nn.Sequential(
            nn.Conv2d(channels_in, channels, 1, 2, bias=False), nn.BatchNorm2d(channels)
        )
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(inner + self.shortcut(x))


class ResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(8)
        self.layer1, self.layer2 = Block(8, 8), Block(8, 16)
        self.fc = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer2(self.layer1(torch.relu(self.bn(self.conv(x)))))
        return self.fc(x.mean((2, 3)))


class TwiceUsed(nn.Module):
    """One convolution with two norms, and one norm after two convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.other = nn.Conv2d(3, 3, 3, 1, 1), nn.Conv2d(3, 3, 3, 1, 1)
        self.bn, self.shared = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
        self.third = nn.Conv2d(3, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.conv(x)) + self.conv(x)
        return (self.shared(self.other(x)) + self.shared(self.third(x))).mean((2, 3))


class ReadTwice(nn.Module):
    """The convolution is read by its norm and by an addition."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return (x + self.bn(x)).mean((2, 3))


class Branching(nn.Module):
    """Its way depends on what it sees, which tracing refuses."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.conv(x))
        return x.mean((2, 3)) if x.sum() > 0 else -x.mean((2, 3))


def straight(*modules: nn.Module) -> nn.Sequential:
    return nn.Sequential(*modules, nn.AdaptiveAvgPool2d(1), nn.Flatten())


CASES: dict[str, tuple] = {  # how the network is made, how many of its norms can be folded
    "resnet": (ResNet, 7),
    "depthwise": (
        lambda: straight(
            nn.Conv2d(3, 6, 1), nn.BatchNorm2d(6),
            nn.Conv2d(6, 6, 3, groups=6, bias=False), nn.BatchNorm2d(6), nn.ReLU6(),
        ),
        2,
    ),
    "with bias": (lambda: straight(nn.Conv2d(3, 5, 3, bias=True), nn.BatchNorm2d(5)), 1),
    "without affine": (lambda: straight(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5, affine=False)), 1),
    "without statistics": (
        lambda: straight(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5, track_running_stats=False)), 0,
    ),
    "norm first": (lambda: straight(nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 5, 3)), 0),
    "activation between": (
        lambda: straight(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.BatchNorm2d(5)), 0,
    ),
    "after a linear layer": (
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(300, 5), nn.BatchNorm1d(5)), 1,
    ),
    "transposed": (lambda: straight(nn.ConvTranspose2d(3, 5, 3), nn.BatchNorm2d(5)), 0),
    "modules used twice": (TwiceUsed, 0),
    "read twice": (ReadTwice, 0),
    "not traceable": (Branching, 0),
    "reparametrized": (
        lambda: straight(
            parametrizations.weight_norm(nn.Conv2d(3, 5, 3)), nn.BatchNorm2d(5)
        ), 0,
    ),
    "no norm": (lambda: straight(nn.Conv2d(3, 5, 3)), 0),
}  # fmt: skip


def trained(network: nn.Module) -> nn.Module:
    """The network with norms that do something, in eval mode."""
    random = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is not None:
            module.running_mean.normal_(generator=random)
            module.running_var.uniform_(0.5, 2, generator=random)
            if module.weight is not None:
                module.weight.data.uniform_(0.5, 2, generator=random)
                module.bias.data.normal_(generator=random)
    return network.eval()


def make(name: str) -> nn.Module:
    torch.manual_seed(0)
    return trained(CASES[name][0]())


@pytest.fixture
def images() -> Tensor:
    return torch.randn(64, 3, 10, 10, generator=torch.Generator().manual_seed(1))


def norms(network: nn.Module) -> int:
    return sum(isinstance(one, nn.modules.batchnorm._BatchNorm) for one in network.modules())


@torch.no_grad()
def taps_of(network: nn.Module, places: list[str], images: Tensor) -> dict[str, Tensor]:
    tapped = TappedNetwork(network, {place: place for place in places})
    output = tapped(images.clone())
    tapped.close()
    return {"logits": output.logits, **output.taps}


@pytest.mark.parametrize("name", CASES)
def test_folding_leaves_the_answers(name, images):
    network = make(name)
    folded, pairs = fold_norms(network)
    assert pairs == CASES[name][1]
    assert norms(folded) == norms(network) - pairs
    torch.testing.assert_close(folded(images), network(images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_folding_leaves_the_original_network(name, images):
    network = make(name)
    before, state = network(images), deepcopy(network.state_dict())
    fold_norms(network)
    assert torch.equal(network(images), before)
    assert state.keys() == network.state_dict().keys()
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())


@pytest.mark.parametrize("name", CASES)
def test_folding_leaves_the_module_paths(name):
    network = make(name)
    folded, _ = fold_norms(network)
    assert [path for path, _ in folded.named_modules()] == [
        path for path, _ in network.named_modules()
    ]


def test_folding_works_in_float64_to_the_last_digits(images):
    network = make("resnet").double()
    folded, _ = fold_norms(network)
    torch.testing.assert_close(
        folded(images.double()), network(images.double()), rtol=1e-11, atol=1e-11
    )


@pytest.mark.parametrize(
    ("place", "unfolded"),
    [
        ("layer1", 0),
        ("layer1.bn1", 0),
        ("layer1.bn2:in", 1),
        ("layer1.conv1", 1),
        ("layer1.shortcut", 0),
        ("layer1.shortcut.0", 1),
        ("layer1.conv1:in", 0),
        ("layer2:in", 0),
        ("fc:in", 0),
        ("bn:in", 1),
    ],
)
def test_tapped_places_keep_their_activations(images, place, unfolded):
    network = make("resnet")
    folded, pairs = fold_norms(network, [place])
    assert pairs == 7 - unfolded
    expected, found = (taps_of(one, [place], images) for one in (network, folded))
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("place", ["0", "1:in"])
def test_a_tap_that_parts_a_convolution_from_its_norm_is_kept(images, place):
    first, second = nn.Sequential(nn.Conv2d(3, 5, 3)), nn.Sequential(nn.BatchNorm2d(5), nn.ReLU())
    network = trained(straight(first, second))
    assert fold_norms(network)[1] == 1
    folded, pairs = fold_norms(network, [place])
    assert pairs == 0
    assert torch.equal(
        taps_of(folded, [place], images)[place], taps_of(network, [place], images)[place]
    )


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_frozen_teacher_has_no_graph_and_leaves_the_original(name, precision, images):
    network = make(name).train()
    state = deepcopy(network.state_dict())
    frozen, _ = freeze(network, [], hardware(precision), images)
    assert not any(parameter.requires_grad for parameter in frozen.parameters())
    assert not frozen.training
    assert not frozen(images).requires_grad
    assert network.training
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())


def test_freezing_says_what_it_did(images):
    frozen, how = freeze(make("resnet"), [], hardware(), images)
    assert how == "teacher runs without gradients, 7 norms folded, in fp32"
    assert norms(frozen) == 0


def test_a_fold_that_changes_the_answers_is_given_up(images):
    class Borrowing(nn.Module):
        """Uses its convolution's weights a second time, beside the module's own call."""

        def __init__(self) -> None:
            super().__init__()
            self.conv, self.bn = nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5)

        def forward(self, x: Tensor) -> Tensor:
            again = nn.functional.conv2d(x, self.conv.weight)
            return (self.bn(self.conv(x)) + again).mean((2, 3))

    torch.manual_seed(0)
    network = trained(Borrowing())
    frozen, how = freeze(network, [], hardware(), images)
    assert "0 norms folded" in how
    torch.testing.assert_close(frozen(images), network(images), rtol=1e-5, atol=1e-5)


def test_bf16_is_taken_where_the_teacher_decides_as_before(images):
    network = make("resnet")
    frozen, how = freeze(network, ["layer2"], hardware("bf16"), images)
    assert {value.dtype for value in frozen.parameters()} == {torch.bfloat16}
    assert "in bf16 (decides as in fp32 on " in how
    for inputs in (images, images.bfloat16()):
        found = taps_of(frozen, ["layer2"], inputs)
        assert found["logits"].dtype == torch.bfloat16
        expected = taps_of(network, ["layer2"], images)
        for name, value in expected.items():
            scale = value.abs().max()
            assert (found[name].float() - value).abs().max() < 0.05 * scale


class Close(nn.Module):
    """Classes that lie closer together than bf16 can tell apart."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(300, 5)
        nn.init.constant_(self.fc.bias, 1000.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x.flatten(1))


class Huge(nn.Module):
    """Answers beyond fp16."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(300, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x.flatten(1)) * 1e6


class Stubborn(nn.Module):
    """Computes with a float32 tensor of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(300, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x.flatten(1) + torch.ones(300))


@pytest.mark.parametrize(
    ("kind", "precision", "reason"),
    [
        (Close, "bf16", "fp32 (bf16 decides as fp32 on "),
        (Huge, "fp16", "fp32 (fp16 decides as fp32 on "),
        (Stubborn, "bf16", "fp32 (bf16 fails: "),
    ],
)
def test_the_teacher_stays_in_fp32_where_a_cast_changes_its_decisions(
    kind, precision, reason, images
):
    torch.manual_seed(0)
    network = kind().eval()
    frozen, how = freeze(network, [], hardware(precision), images)
    assert reason in how
    assert torch.equal(frozen(images), network(images))


def test_a_teacher_that_stays_in_fp32_takes_the_runs_batches(images):
    torch.manual_seed(0)
    frozen, _ = freeze(Close().eval(), [], hardware("bf16"), images)
    assert frozen(images.bfloat16()).dtype == torch.float32


def test_a_mapping_of_inputs_is_cast_where_it_is_of_floats():
    class Words(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.fc = nn.Embedding(10, 8), nn.Linear(8, 5)

        def forward(self, inputs: dict[str, Tensor]) -> Tensor:
            return self.fc((self.embedding(inputs["tokens"]) * inputs["mask"][..., None]).mean(1))

    torch.manual_seed(0)
    inputs = {"tokens": torch.arange(100).reshape(20, 5) % 10, "mask": torch.ones(20, 5)}
    frozen, how = freeze(Words(), [], hardware("bf16"), inputs)
    assert "in bf16" in how
    assert frozen(inputs).dtype == torch.bfloat16


def test_the_teacher_is_placed_for_convolutions(images):
    frozen, _ = freeze(make("resnet"), [], hardware(), images)
    assert frozen.conv.weight.is_contiguous(memory_format=torch.channels_last)
