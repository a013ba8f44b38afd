"""Of whatever form another project's checkpoint is, the right weights are taken, or none."""

import argparse
import builtins
import os
import subprocess
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from plans import plan, prints, refusal
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from kdrun import model
from kdrun.core.errors import UserError
from kdrun.core.inputs.image import ImageInputs
from kdrun.core.screen import Screen
from kdrun.core.types import DataInfo
from kdrun.engine.interrupt import Interrupt
from kdrun.engine.watch import make_watch
from kdrun.stage.checkpoint_weights import load_checkpoint

INFO = DataInfo(("cat", "dog", "fox"), ImageInputs(3, (32, 32)), train_size=100)
State = Mapping[str, Tensor]


def network(name: str = "resnet8", fill: float | None = None) -> nn.Module:
    widths = {"resnet8": (8, [4, 4, 8, 8]), "resnet14": (14, [4, 4, 8, 8])}
    node: dict[str, Any] = {"name": name, "stem": "cifar"}
    if name in widths:
        node = {"name": name, **dict(zip(("depth", "widths"), widths[name], strict=True))}
    built = model.build(node, INFO)
    if fill is not None:
        for value in built.state_dict().values():
            value.fill_(fill)
    return built


def state(fill: float = 1.0, name: str = "resnet8") -> dict[str, Tensor]:
    return dict(network(name, fill).state_dict())


def renamed(weights: State, **modules: str) -> dict[str, Tensor]:
    return {
        ".".join(modules.get(module, module) for module in name.split(".")): value
        for name, value in weights.items()
    }


def under(prefix: str, weights: State) -> dict[str, Tensor]:
    return {f"{prefix}{name}": value for name, value in weights.items()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "net.pt"


def load(path: Path, content: object, key: str | None = None) -> tuple[float, str]:
    """The value that all weights have that are taken from such a file, and what is told."""
    torch.save(content, path)
    filled = network(fill=0.0)
    notes = load_checkpoint(filled, path, key, "resnet8")
    (value,) = {value.mean().item() for value in filled.parameters()}
    return value, "\n".join(notes).replace(str(path), "net.pt")


def refuse(path: Path, content: object, key: str | None = None) -> list[str]:
    with pytest.raises(UserError) as refused:
        load(path, content, key)
    return [line.replace(str(path), "net.pt") for line in refused.value.lines]


def test_a_plain_state_dict_is_taken_without_a_word(path: Path) -> None:
    assert load(path, state(2.0)) == (2.0, "")


def test_the_resnet50_of_tian_et_al_is_the_one_for_small_images(path: Path) -> None:
    theirs = renamed(network("resnet50").state_dict(), downsample="shortcut", fc="linear")
    assert "layer1.0.shortcut.0.weight" in theirs
    torch.save({"epoch": 240, "model": theirs, "accuracy": torch.tensor(79.3)}, path)
    (note,) = load_checkpoint(ours := network("resnet50"), path, None, "resnet50")
    assert torch.equal(
        ours.get_parameter("layer1.0.downsample.0.weight"), theirs["layer1.0.shortcut.0.weight"]
    )
    assert torch.equal(ours.get_parameter("fc.weight"), theirs["linear.weight"])
    assert note == (
        f"{str(path)!r}: the weights under 'model' are taken; 'shortcut' is read as 'downsample';"
        " 'linear' is read as 'fc'"
    )


def test_a_name_that_the_network_has_itself_is_not_renamed(path: Path) -> None:
    torch.save({"0.linear.weight": torch.ones(1, 1), "0.linear.bias": torch.ones(1)}, path)
    own = nn.Sequential(nn.Sequential(OrderedDict(linear=nn.Linear(1, 1))))
    assert load_checkpoint(own, path, None, "own") == []


@pytest.mark.parametrize(
    "prefix",
    ["module.", "_orig_mod.", "model.", "module.module.", "module._orig_mod.", "student."],
)
@pytest.mark.parametrize("key", ["", "state_dict"])
def test_a_prefix_is_removed_and_told(prefix: str, key: str, path: Path) -> None:
    content = under(prefix, state(2.0))
    value, told = load(path, {key: content} if key else content)
    place = f"{key}.{prefix}".strip(".")
    assert (value, told) == (2.0, f"'net.pt': the weights under {place!r} are taken")


def test_what_is_beside_the_prefix_is_told(path: Path) -> None:
    averaged = AveragedModel(network(fill=2.0))
    averaged.update_parameters(network(fill=2.0))
    value, told = load(path, {"model_ema": averaged.state_dict()})
    assert value == 2.0
    assert (
        told == "'net.pt': the weights under 'model_ema.module' are taken; not read: 'n_averaged'"
    )


def test_weights_of_safetensors_may_have_a_prefix(tmp_path: Path) -> None:
    save_file(under("module.", state(2.0)), path := tmp_path / "net.safetensors")
    load_checkpoint(filled := network(fill=0.0), path, None, "resnet8")
    assert all((value == 2).all() for value in filled.parameters())


def test_counters_of_norms_may_lack_as_in_strict_loading(path: Path) -> None:
    old = {name: value for name, value in state(2.0).items() if "num_batches" not in name}
    network().load_state_dict(old, strict=True)
    assert load(path, old) == (2.0, "")
    without_mean = {name: value for name, value in old.items() if "running_mean" not in name}
    assert "9 keys differ" in refuse(path, without_mean)[0]


class Options(dict[str, Any]):
    """Like the configs of detection libraries."""


OTHERS: dict[str, tuple[object, str]] = {
    "arguments": (argparse.Namespace(lr=0.1, rest=[1]), "argparse.Namespace"),
    "scalar": (np.float64(0.7), "numpy.dtype"),
    "array": (np.arange(3), "numpy.ndarray"),
    "path": (Path("x"), "pathlib.PosixPath"),
    "mapping": (Options(a=Options(b=1)), "test_given_checkpoint.Options"),
    "defaults": (defaultdict(list, {"a": [1]}), "collections.defaultdict"),
    "queue": (deque([1, 2]), "collections.deque"),
    "function": (len, "builtins.len"),
}


@pytest.mark.parametrize("archive", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize("kind", OTHERS)
def test_other_entries_are_left_out_and_told(
    kind: str, beside: bool, archive: bool, path: Path
) -> None:
    other, name = OTHERS[kind]
    weights = state(2.0)
    content = {**weights, "opt": other} if beside else {"model": weights, "opt": other, "epoch": 3}
    torch.save(content, path, _use_new_zipfile_serialization=archive)
    (told,) = load_checkpoint(filled := network(fill=0.0), path, None, "resnet8")
    assert all((value == 2).all() for value in filled.parameters())
    assert f"objects of {name}" in told.partition("not read: ")[2]


def test_a_network_beside_the_weights_is_left_out_but_of_an_old_file_refused(path: Path) -> None:
    content = {"model": state(2.0), "criterion": nn.BCELoss()}
    assert "objects of torch.nn.modules.loss.BCELoss" in load(path, content)[1]
    torch.save(content, path, _use_new_zipfile_serialization=False)  # which has its source
    with pytest.raises(UserError, match=r"it holds torch\.nn\.modules\.loss\.BCELoss, and other"):
        load_checkpoint(network(), path, None, "resnet8")


class Calls:
    """Its pickle calls a function where it is loaded as an object."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call


HOSTILE = {
    "eval": Calls(eval, "__import__('pathlib').Path('hacked').touch()"),
    "exec": Calls(exec, "open('hacked', 'w').close()"),
    "open": Calls(open, "hacked", "w"),
    "popen": Calls(subprocess.Popen, ["touch", "hacked"]),
    "system": Calls(os.system, "touch hacked"),
    "attribute": Calls(getattr, Calls(__import__, "os"), "mkdir"),
    "load": Calls(torch.load, "other.pt", None, None),
    "set": Calls(builtins.setattr, nn.Module, "forward", None),
}


@pytest.mark.parametrize("archive", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("kind", HOSTILE)
def test_nothing_in_a_file_is_called(
    kind: str, archive: bool, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    torch.save(
        {"model": state(2.0), "x": HOSTILE[kind]}, path, _use_new_zipfile_serialization=archive
    )
    forward = nn.Module.forward
    try:
        load_checkpoint(network(), path, None, "resnet8")
    except UserError as error:
        assert "other objects than tensors could run code" in str(error)
    assert [file.name for file in path.parent.iterdir()] == ["net.pt"]
    assert nn.Module.forward is forward


def test_a_whole_network_is_no_state_dict(path: Path) -> None:
    assert refuse(path, network()) == [
        "'net.pt' holds no state dict, but a kdrun.model.image.resnet.CifarResNet.",
        "  save the state dict alone: torch.save(network.state_dict(), PATH)",
    ]


def test_a_file_of_another_pickle_protocol_is_not_called_damaged(path: Path) -> None:
    torch.save(state(), path, pickle_protocol=4)
    with pytest.raises(UserError, match="saved with another pickle_protocol than 2, the default"):
        load_checkpoint(network(), path, None, "resnet8")


@pytest.mark.filterwarnings("ignore::FutureWarning")  # PyTorch prefers torch.export
def test_a_program_of_torchscript_is_called_so(path: Path) -> None:
    torch.jit.save(torch.jit.script(nn.Linear(1, 1)), path)
    with pytest.raises(UserError, match="it is a program of TorchScript"):
        load_checkpoint(network(), path, None, "resnet8")


SEVERAL = {
    "timm": {"state_dict": state(1.0), "state_dict_ema": state(2.0), "args": argparse.Namespace()},
    "torchvision": {"model": state(1.0), "model_ema": under("module.", state(2.0))},
    "nested": {"model": state(1.0), "ema": {"shadow": state(2.0), "decay": 0.9}},
    "beside": {**state(1.0), "ema": state(2.0)},
    "one mapping": {"state_dict": {**under("student.", state(1.0)), **under("ema.", state(2.0))}},
}
PLACES = {
    "timm": ("state_dict", "state_dict_ema"),
    "torchvision": ("model", "model_ema.module"),
    "nested": ("model", "ema.shadow"),
    "beside": ("", "ema"),
    "one mapping": ("state_dict.student", "state_dict.ema"),
}


@pytest.mark.parametrize("kind", SEVERAL)
def test_of_several_weights_one_is_chosen_by_its_key(kind: str, path: Path) -> None:
    first, second = PLACES[kind]
    assert refuse(path, SEVERAL[kind]) == [
        f"'net.pt' holds several weights of 'resnet8': {first!r}, {second!r}.",
        f"  choose: teacher.checkpoint_key={first or repr('')} or teacher.checkpoint_key={second}",
    ]
    assert load(path, SEVERAL[kind], first)[0] == 1.0
    assert load(path, SEVERAL[kind], second)[0] == 2.0


def test_a_key_may_be_that_of_a_mapping_around_the_weights(path: Path) -> None:
    assert load(path, SEVERAL["torchvision"], "model_ema")[0] == 2.0
    assert load(path, SEVERAL["nested"], "ema")[0] == 2.0
    assert refuse(path, SEVERAL["nested"], "em") == [
        "'net.pt' holds no weights under 'em'.",
        "  there are weights under 'model', 'ema.shadow'",
    ]


def test_the_only_weights_that_fit_are_taken(path: Path) -> None:
    both = {"teacher": state(1.0, "resnet14"), "student": under("module.", state(2.0))}
    value, told = load(path, both)
    assert (value, told) == (
        2.0,
        "'net.pt': the weights under 'student.module' are taken; not read: tensors under 'teacher'",
    )


@pytest.mark.parametrize(
    ("beside", "place"),
    [
        ({"ema": dict(network(fill=3.0).named_parameters())}, "ema"),  # without the norms' averages
        ({"ema": {"shadow_params": list(network(fill=3.0).parameters())}}, "ema"),
        ({"averages": [state(3.0, "resnet14")]}, "averages"),
        ({"callbacks": {"EMA": {"deep": [state(3.0, "resnet14")]}}}, "callbacks"),
    ],
)
def test_tensors_that_are_not_taken_are_told(beside: dict, place: str, path: Path) -> None:
    value, told = load(path, {"state_dict": state(2.0), **beside})
    assert value == 2.0
    assert f"not read: tensors under '{place}'" in told


UNUSUAL: Mapping[str, Callable[[Tensor], Tensor]] = {
    "a meta tensor without values": lambda value: value.to("meta"),
    "a quantized tensor": lambda value: torch.quantize_per_tensor(value, 0.1, 0, torch.qint8),
    "a sparse tensor": Tensor.to_sparse,
    "of complex numbers": lambda value: torch.complex(value, value),
    "of whole numbers": Tensor.int,
    "of floats of 8 bits without a scale": lambda value: value.to(torch.float8_e4m3fn),
}


@pytest.mark.filterwarnings("ignore")  # torch is to drop quantized tensors
@pytest.mark.parametrize("kind", UNUSUAL)
def test_a_tensor_without_plain_values_is_refused(kind: str, path: Path) -> None:
    weights = state()
    weights["fc.weight"] = UNUSUAL[kind](weights["fc.weight"])
    assert refuse(path, weights) == [
        f"'net.pt' can't be used: 'fc.weight' is {kind}, and weights are plain numbers."
    ]


def test_a_value_that_is_infinite_in_the_network_is_refused(path: Path) -> None:
    weights = state()
    weights["fc.weight"] = torch.full_like(weights["fc.weight"], 1e200, dtype=torch.float64)
    assert refuse(path, weights) == [
        "'net.pt' can't be used: 'fc.weight' holds NaN, infinite or too large values."
    ]


def test_a_flipped_bit_in_the_weights_is_seen(path: Path) -> None:
    torch.save(state(), path)
    content = bytearray(path.read_bytes())
    content[content.index(np.float32(1.0).tobytes() * 16) + 3] ^= 0x40
    path.write_bytes(content)
    with pytest.raises(UserError, match="can't be read as a checkpoint: it is truncated or damag"):
        load_checkpoint(network(), path, None, "resnet8")


def test_weights_of_an_optimizer_are_not_taken_for_a_networks(path: Path) -> None:
    trained = network(fill=2.0)
    optimizer = torch.optim.Adam(trained.parameters())
    trained(torch.rand(2, 3, 32, 32)).sum().backward()
    optimizer.step()
    content = {"optimizer": optimizer.state_dict(), "net": state(2.0)}
    told = "'net.pt': the weights under 'net' are taken; not read: tensors under 'optimizer'"
    assert load(path, content) == (2.0, told)


def test_keys_of_the_file_are_shown_beside_those_of_the_network(path: Path) -> None:
    other = renamed(state(), fc="head")
    told = refuse(path, {"model": under("module.", other), "ema": {"x": torch.zeros(2)}})
    assert told[0] == (
        "'net.pt' does not hold the weights of 'resnet8' for this dataset: 2 keys differ."
    )
    rows = [[cell.strip() for cell in line.strip().split("  ") if cell] for line in told[1:]]
    assert rows == [
        ["in the file, under 'model.module':", "in 'resnet8':"],
        ["head.weight (3, 8)", "fc.weight (3, 8)"],
        ["head.bias (3,)", "fc.bias (3,)"],
    ]


def test_a_deeper_network_is_not_taken_for_a_part_of_it(path: Path) -> None:
    told = refuse(path, state(name="resnet14"))
    assert told[2].startswith("  layer1.1.conv1.weight (4, 4, 3, 3) ")
    assert told[2].endswith("  -")


@pytest.fixture
def mlp(path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    monkeypatch.chdir(path.parent)
    torch.manual_seed(0)
    return {
        "layers.0.0.weight": torch.randn(32, 64),
        "layers.0.0.bias": torch.zeros(32),
        "head.weight": torch.randn(10, 32),
        "head.bias": torch.zeros(10),
    }


def test_the_plan_says_what_is_taken_and_the_key_counts(path: Path, mlp: State) -> None:
    torch.save({"raw": mlp, "ema": {name: value + 1 for name, value in mlp.items()}}, path)
    given = ("teacher.checkpoint=net.pt", "controls=[]")
    assert refusal(*given).splitlines()[0].endswith("several weights of 'mlp': 'raw', 'ema'.")
    raw, ema = (plan(*given, f"teacher.checkpoint_key={key}") for key in ("raw", "ema"))
    told = "'net.pt': the weights under 'ema' are taken; not read: tensors under 'raw'"
    assert told in ema.notes
    assert prints(raw)["teacher"] != prints(ema)["teacher"]


def test_a_key_without_a_file_is_refused() -> None:
    assert refusal("teacher.checkpoint_key=ema") == (
        "teacher: has a checkpoint_key, but no checkpoint; name the file, too"
    )


def test_without_a_key_the_fingerprint_is_that_of_before(path: Path, mlp: State) -> None:
    torch.save(mlp, path)
    given = plan("teacher.checkpoint=net.pt", "controls=[]")
    runtime = given.runtime(Screen(), Interrupt(), make_watch("none", Path()))
    identity = given.stages[0].identity(given.config, given.data, runtime)
    assert identity.keys() == {"stage", "model", "file", "data", "precision"}
