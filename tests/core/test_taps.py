"""A network's inner activations by role or path, and the network itself untouched."""

import pytest
import torch
from torch import nn

from kdrun.core.errors import UserError
from kdrun.core.inputs.image import ImageInputs
from kdrun.core.taps import TappedNetwork, resolve_taps, tap_shapes
from kdrun.core.types import DataInfo

DATA = DataInfo(("a", "b", "c"), ImageInputs(2, (6, 8)), train_size=10)
ROLES = {"stages": ["body.0", "body.2"], "embedding": ["head:in"], "logits": ["head"]}


class Net(nn.Module):
    """Two stages and a head, written out so that the test knows every activation."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Conv2d(4, 5, 3, stride=2)
        )
        self.head = nn.Linear(5, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(images).mean((2, 3)))


@pytest.fixture
def network() -> Net:
    torch.manual_seed(0)
    return Net()


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(4, 2, 6, 8, generator=torch.Generator().manual_seed(1))


def hooks(network: nn.Module) -> int:
    return sum(
        len(module._forward_hooks) + len(module._forward_pre_hooks) for module in network.modules()
    )


def test_without_places_only_the_logits_come(network, images):
    output = TappedNetwork(network, {})(images)
    assert torch.equal(output.logits, network(images))
    assert output.taps == {}


def test_taps_are_what_the_modules_answer(network, images):
    network.eval()
    output = TappedNetwork(network, {"first": "body.0", "last": "body"})(images)
    assert torch.equal(output.taps["first"], network.body[0](images))
    assert torch.equal(output.taps["last"], network.body(images))
    assert torch.equal(output.logits, network(images))


def test_in_means_what_enters_the_module(network, images):
    network.eval()
    output = TappedNetwork(network, {"embedding": "head:in", "norm": "body.1:in"})(images)
    assert torch.equal(output.taps["embedding"], network.body(images).mean((2, 3)))
    assert torch.equal(output.taps["norm"], network.body[0](images))


def test_nhwc_brings_the_channels_to_the_front(images):
    class Turn(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.permute(0, 2, 3, 1)

    network = nn.Sequential(nn.Conv2d(2, 3, 1), Turn(), nn.Flatten(), nn.Linear(144, 3))
    placed = resolve_taps("student", {"all": "1*:nhwc", "one": "1:nhwc"}, {}, network, DATA)
    assert placed == {"all[0]": "1:nhwc", "one": "1:nhwc"}
    taps = TappedNetwork(network, placed)(images).taps
    assert torch.equal(taps["one"], network[0](images))
    assert torch.equal(taps["all[0]"], network[0](images))


def test_an_unknown_ending_of_a_path_is_refused(network):
    with pytest.raises(UserError, match=r"no module at 'body\.0:out'"):
        resolve_taps("student", {"tap": "body.0:out"}, ROLES, network, DATA)


def test_one_place_may_have_two_names(network, images):
    taps = TappedNetwork(network, {"a": "body", "b": "body"})(images).taps
    assert taps["a"] is taps["b"]


def test_taps_carry_the_gradient(network, images):
    TappedNetwork(network, {"stage": "body.0"})(images).taps["stage"].sum().backward()
    assert network.body[0].weight.grad is not None
    assert network.head.weight.grad is None


def test_no_activation_is_kept_between_two_calls(network, images):
    tapped = TappedNetwork(network, {"stage": "body.0"})
    first, second = tapped(images), tapped(images * 2)
    assert not torch.equal(first.taps["stage"], second.taps["stage"])
    assert tapped._activations == {}


def test_close_takes_the_hooks_out(network, images):
    before = network(images)
    tapped = TappedNetwork(network, {"a": "body.0", "b": "head:in"})
    assert hooks(network) == 2
    tapped.close()
    assert hooks(network) == 0
    assert torch.equal(network(images), before)


def test_two_may_tap_one_network(network, images):
    one, two = TappedNetwork(network, {"x": "body.0"}), TappedNetwork(network, {"x": "body"})
    one.close()
    assert torch.equal(two(images).taps["x"], network.body(images))


def test_roles_become_paths(network):
    request = {
        "first": "stages[0]",
        "second": "stages[1]",
        "last": "stages[-1]",
        "embedding": "embedding",
        "logits": "logits",
        "path": "body.1",
        "entry": "body.1:in",
    }
    assert resolve_taps("student", request, ROLES, network, DATA) == {
        "first": "body.0",
        "second": "body.2",
        "last": "body.2",
        "embedding": "head:in",
        "logits": "head",
        "path": "body.1",
        "entry": "body.1:in",
    }


@pytest.mark.parametrize("place", ["boddy.0", "boddy.0:in"])
def test_a_path_that_leads_nowhere_names_the_nearest(network, place):
    with pytest.raises(UserError) as error:
        resolve_taps("teacher", {"x": place}, ROLES, network, DATA)
    assert error.value.lines[0] == f"the teacher has no module at {place!r}."
    assert (
        error.value.lines[1]
        == "  nearest: body.0 (B, 4, 6, 8), body.2 (B, 5, 2, 3), body.1 (B, 4, 6, 8)"
    )


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("stages[*]", ["body.0", "body.2"]),
        ("body.*", ["body.0", "body.1", "body.2"]),
        ("bod*", ["body"]),
        ("body.[02]*:in", ["body.0:in", "body.2:in"]),
        ("embedding[*]", ["head:in"]),
    ],
)
def test_a_star_means_several_places_in_order(network, wanted, found):
    placed = resolve_taps("student", {"x": wanted}, ROLES, network, DATA)
    assert placed == {f"x[{number}]": place for number, place in enumerate(found)}


@pytest.mark.parametrize("wanted", ["nobody.*", "layer*"])
def test_a_star_that_fits_nothing_is_refused(network, wanted):
    with pytest.raises(UserError, match="no module like"):
        resolve_taps("student", {"x": wanted}, ROLES, network, DATA)


def test_a_path_without_neighbours_says_where_paths_are_listed(network):
    with pytest.raises(UserError) as error:
        resolve_taps("student", {"x": "zzzzzzzzzz"}, ROLES, network, DATA)
    assert error.value.lines[1] == "  its paths: kdrun layers model=NAME"


@pytest.mark.parametrize("wanted", ["stages[2]", "stages[-3]", "embedding[1]"])
def test_a_role_beyond_the_networks_modules_is_refused(network, wanted):
    with pytest.raises(UserError) as error:
        resolve_taps("student", {"x": wanted}, ROLES, network, DATA)
    advice = {
        "stages": (
            "the student has 2 modules for the role 'stages'; ",
            "  name the module paths yourself: student.taps.stages=[PATH,...]",
        ),
        "embedding": (
            "the student has 1 module for the role 'embedding'; ",
            "  name the module path yourself: student.taps.embedding=PATH",
        ),
    }
    first, second = advice[wanted.partition("[")[0]]
    assert error.value.lines == (f"{first}{wanted} was requested.", second)


def test_a_role_that_the_network_lacks_is_refused(network):
    with pytest.raises(UserError) as error:
        resolve_taps("teacher", {"x": "embedding"}, {}, network, DATA)
    assert error.value.lines == (
        "the teacher has no module for the role 'embedding'.",
        "  name the module path yourself: teacher.taps.embedding=PATH",
    )


def test_tap_shapes_are_those_of_two_samples(network):
    places = {"stage": "body.0", "embedding": "head:in", "logits": "head"}
    assert tap_shapes(network, places, DATA) == {
        "stage": (2, 4, 6, 8),
        "embedding": (2, 5),
        "logits": (2, 3),
    }


def test_tap_shapes_leaves_out_what_is_no_single_tensor():
    class Pair(nn.Module):
        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return images, images

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pair, self.head = Pair(), nn.Linear(96, 3)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.head(self.pair(images)[0].flatten(1))

    assert tap_shapes(Two(), {"pair": "pair", "head": "head"}, DATA) == {"head": (2, 3)}


@pytest.mark.parametrize("training", [True, False])
def test_tap_shapes_leaves_the_network_as_it_was(network, training):
    network.train(training)
    network.body[1].eval()
    state = {name: value.clone() for name, value in network.state_dict().items()}
    tap_shapes(network, {"stage": "body.0"}, DATA)
    assert network.training == training
    assert not network.body[1].training
    assert hooks(network) == 0
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


def test_tap_shapes_takes_the_hooks_out_when_the_network_fails(network):
    small = DataInfo(DATA.classes, ImageInputs(3, (6, 8)), train_size=10)
    network.train()
    with pytest.raises(RuntimeError):
        tap_shapes(network, {"stage": "body.0"}, small)
    assert hooks(network) == 0
    assert network.training
