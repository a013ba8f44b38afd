"""Networks unlike kdrun's own are run to the end, or refused before anything is trained."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from odd_networks import TwoOutputs
from plans import plan, refusal, run_to
from tiny import TINY

from kdrun.config.choices import register_step_list
from kdrun.config.loader import install_named_plugins
from kdrun.core.folder import RunFolder
from kdrun.model.table import MODELS

PLUGIN = "plugins=[odd_networks]"
PRUNE, ALONE = "compress=prune_channels", ("controls=[]", "recipe.epochs=1")
BASE = tuple(word for word in TINY if not word.startswith("student"))


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    before = dict(MODELS)
    assert install_named_plugins([PLUGIN]) == []
    yield
    MODELS.clear()
    MODELS.update(before)


def listed(*steps: str) -> str:
    return f"compress={register_step_list(steps)}"


def test_a_network_that_calls_view_is_trained_compressed_and_exported(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ("student=viewed", listed("prune_channels", "distill", "quantize_static"))
    losses = ("loss=attention", "loss.pairs=[[conv2,layer1]]", "teacher=resnet8", "recipe.ema=0.9")
    base = tuple(word for word in BASE if not word.startswith("teacher"))
    note = "student: Viewed runs on contiguous images and not in channels_last"
    (told,) = [line for line in plan(PLUGIN, *words, *losses, base=base).notes if note in line]
    assert "view size is not compatible" in told
    export = "export=[pt2,onnx]"
    folder = RunFolder(run_to(Path("run"), PLUGIN, *words, *losses, export, base=base))
    summary = folder.summary()
    assert summary is not None
    assert len(summary["rows"]) == 6
    assert len(list(folder.export.glob("*.onnx"))) == 2
    as_teacher = ("teacher=viewed", "teacher.run=null", "student=mlp", "student.hidden=[8]")
    run_to(Path("second"), PLUGIN, *as_teacher, base=BASE[2:])


@pytest.mark.parametrize(
    ("words", "role", "kind"),
    [
        (("student=two_outputs",), "student", "tuple"),
        (("student=two_outputs", "student.as_dict=true"), "student", "dict"),
        (("teacher=two_outputs", "student=mlp"), "teacher", "tuple"),
        (
            ("scheme=mutual", "scheme.peers=[two_outputs]", "student=mlp", "controls=[]"),
            "scheme.peers.0",
            "tuple",
        ),
        (
            ("scheme=assistants", "scheme.assistants=[two_outputs]", "student=mlp"),
            "scheme.assistants.0",
            "tuple",
        ),
        (("student=two_outputs", "dataset.unlabeled=0.9"), "student", "tuple"),
    ],
)
def test_further_outputs_in_training_are_refused(
    words: tuple[str, ...], role: str, kind: str
) -> None:
    base = tuple(word for word in BASE if not word.startswith("teacher"))
    teacher = () if role == "teacher" else ("teacher=mlp", "teacher.hidden=[32]")
    assert refusal(PLUGIN, *teacher, *words, base=base) == (
        f"{role}: TwoOutputs gives a {kind} for 2 8x8 images with 1 channels; (2, 10) is needed in"
        " training mode; let it return the logits alone, as in evaluation mode"
    )


def test_a_given_teacher_may_have_further_outputs_in_training() -> None:
    torch.manual_seed(0)
    network = TwoOutputs(num_classes=10, in_channels=1, image_size=(8, 8))
    torch.save(network.state_dict(), "teacher.pt")
    words = ("teacher=two_outputs", "teacher.checkpoint=teacher.pt", "student=mlp")
    base = tuple(word for word in BASE if not word.startswith("teacher"))
    run_to(Path("run"), PLUGIN, *words, "student.hidden=[8]", base=base)


def test_a_map_that_is_multiplied_with_all_channels_is_no_part_of_their_group() -> None:
    folder = RunFolder(run_to(Path("run"), PLUGIN, "student=one_map", PRUNE, *ALONE, base=BASE))
    summary = folder.summary()
    assert summary is not None
    before, after = (row["macs"] for row in summary["rows"][-2:])
    assert after < before / 2


@pytest.mark.parametrize("name", ["functional", "volume"])
def test_channels_that_cannot_be_followed_are_refused_with_a_way_on(name: str) -> None:
    words = (PLUGIN, f"student={name}", PRUNE, *ALONE)
    assert refusal(*words, base=BASE) == (
        "compress.prune_channels: the channels of 'stem' can't be pruned: torch-pruning does not"
        " follow them through what comes after.\n"
        "  do not prune them: skip=[stem]"
    )
    plan(*words, "compress.prune_channels.skip=[stem]", base=BASE)


def test_a_network_with_3d_convolutions_is_compressed_and_exported() -> None:
    steps = listed("prune_channels", "low_rank", "prune_weights", "finetune", "qat")
    words = (steps, "compress.prune_channels.skip=[stem]", "export=[pt2,onnx]", *ALONE)
    folder = RunFolder(run_to(Path("run"), PLUGIN, "student=volume", *words, base=BASE))
    summary = folder.summary()
    assert summary is not None
    stem, conv1, conv2, head = 64 * 9 * 8, 512 * 27 * 8, 512 * 27 * 8 * 12, 12 * 10
    assert summary["rows"][1]["macs"] == stem + conv1 + conv2 + head
    assert len(list(folder.export.glob("*.onnx"))) == 2


@pytest.mark.parametrize("name", ["volume", "viewed"])
@pytest.mark.parametrize("step", ["quantize_dynamic", "quantize_weights"])
def test_layers_are_quantized_whose_sizes_a_network_reads(step: str, name: str) -> None:
    folder = run_to(Path("run"), PLUGIN, f"student={name}", f"compress={step}", *ALONE, base=BASE)
    assert RunFolder(folder).status == "finished"
