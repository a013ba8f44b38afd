"""Compression through the command: rows, files and figures; cut off and gone on with exactly."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import Main, result

from kdrun.compress.sensitivity import TRIALS
from kdrun.stage.artefact import read_artefact

COMMON = (
    "teacher=resnet14",
    "student=resnet8",
    "controls=[]",
    "dataset.subset=96",
    "recipe.epochs=4",
    "recipe.batch_size=16",
    "recipe.lr=0.02",
    "compress.calibration=48",
    "evaluate.latency.seconds=0.01",
    "threads=1",
)
OFTEN = "checkpoint_seconds=0.01"  # so that there is a checkpoint of the middle of an epoch
# Steps, the words that they need, and the folders of what is trained, up to that of the cut.
FIRST = ("teacher", "student")
CASES = {
    "one_shot": ("[prune_weights,distill]", (), (*FIRST, "compress-2-distill")),
    "cubic": (
        "[low_rank,prune_weights,finetune]",
        ("compress.prune_weights.schedule=cubic", "compress.prune_weights.score=movement"),
        (*FIRST, "compress-2-prune_weights"),
    ),
    "channels": (
        "[prune_channels,finetune,quantize_weights]",
        ("compress.prune_channels.importance=taylor",),
        (*FIRST, "compress-2-finetune"),
    ),
    "rounded": (
        "[prune_weights,quantize_static,distill,qat]",
        ("recipe.ema=0.9",),
        (*FIRST, "compress-3-distill", "compress-4-qat"),
    ),
}
# What learns on although nothing of it, or all of it but norms and biases, is rounded.
ROUNDED = ("[prune_weights,quantize_weights,distill]", "[prune_weights,quantize_dynamic,finetune]")
FOUND = "compress-1-prune_weights"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compressed")


# Cases that take more than half a minute each.
SLOW = ("channels", "rounded")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in CASES]
)
def test_a_run_that_was_cut_off_goes_on_exactly(name: str, command: Main) -> None:
    steps, words, (*before, folder) = CASES[name]
    words = (f"compress={steps}", *words, *COMMON)
    status, whole = command(f"{name}-whole", *words, f"name={name}-whole")
    assert status == 0
    trained = whole / folder
    done = [json.loads((whole / one / "artefact.json").read_text())["steps"] for one in before]
    assert json.loads((trained / "artefact.json").read_text())["steps"] > 5

    cut_at = f"step:{sum(done) + 5}:raise"
    anew = f"output_root=again-{name}"  # nothing from the store
    again = (*words, OFTEN, f"name={name}-cut", anew)
    status, cut = command(f"{name}-cut", *again, fault=cut_at)
    assert status == 1
    assert (cut / "student" / "artefact.json").exists()
    assert not (cut / folder / "artefact.json").exists()
    status, resumed = command(f"{name}-cut", "resume", str(cut))
    assert status == 0
    assert result(resumed) == result(whole)


def test_runs_share_what_other_steps_start_from(command: Main) -> None:
    found = {}
    for name, steps in {"one": "[low_rank,finetune]", "two": "[low_rank,quantize_weights]"}.items():
        words = (f"compress={steps}", *COMMON, "output_root=sharing", f"name={name}")
        status, run = command(name, *words)
        assert status == 0
        stages = json.loads((run / "run.json").read_text())["stages"]
        found[name] = [key for key, stage in stages.items() if stage["from_store"]]
    assert found == {"one": [], "two": ["teacher", "distill", "compress-1-low_rank"]}


def test_what_was_pruned_stays_so_and_the_file_is_smaller(
    command: Main, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("compress=[prune_weights,finetune]", "compress.prune_weights.sparsity=0.9")
    status, run = command("smaller", *words, *COMMON, "name=smaller")
    assert status == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "each step of compression against the model before it" in said
    summary = json.loads((run / "summary.json").read_text())
    rows = {row["model"]: row for row in summary["rows"]}
    artefact = read_artefact(run / "compress-2-finetune")
    network, before = artefact.network(), read_artefact(run / "student").network()
    pruned = [name for name, value in before.named_parameters() if value.dim() > 1]
    weights = sum(network.get_parameter(name).numel() for name in pruned)
    zeros = sum(int((network.get_parameter(name) == 0).sum()) for name in pruned)
    assert zeros == round(0.9 * weights)
    assert rows["2 finetune"]["nonzero"] == rows["distilled"]["nonzero"] - zeros
    size = (run / "compress-2-finetune" / "weights.safetensors").stat().st_size
    assert rows["2 finetune"]["bytes"] == size < 0.3 * rows["distilled"]["bytes"]

    first, second = rows["1 prune_weights"]["versus"], rows["2 finetune"]["versus"]
    assert (first["baseline"], second["baseline"]) == ("distilled", "1 prune_weights")
    lost = rows["1 prune_weights"]["accuracy"] - rows["distilled"]["accuracy"]
    assert first["accuracy"] == pytest.approx(lost)
    assert first["low"] <= lost <= first["high"]
    assert first["bytes"] == rows["distilled"]["bytes"] / rows["1 prune_weights"]["bytes"]
    assert first["macs"] == 1
    stored = np.load(run / "predictions.npz")
    same = stored["1 prune_weights/predicted"] == stored["distilled/predicted"]
    assert first["agreement"] == pytest.approx(same.mean())


@pytest.mark.parametrize("steps", ROUNDED)
def test_what_is_left_in_float_learns_on(steps: str, command: Main) -> None:
    name = steps.strip("[]").replace(",", "-")
    status, run = command(name, f"compress={steps}", *COMMON, f"name={name}")
    assert status == 0
    names = sorted(path.name for path in run.glob("compress-*"))
    before, after = (read_artefact(run / one).network() for one in names[-2:])
    same = {
        key: torch.equal(value, before.state_dict()[key])
        for key, value in after.state_dict().items()
    }
    assert not same["bn1.weight"]
    assert all(stays for key, stays in same.items() if key.endswith(("values", "packed")))
    assert {"3 distill", "3 finetune"} & {
        row["model"] for row in json.loads((run / "summary.json").read_text())["rows"]
    }


def test_from_one_command_to_a_file_that_runs(command: Main) -> None:
    words = ("compress=[prune_channels,distill,quantize_static]", "export=[onnx]")
    status, run = command("shipped", *words, *COMMON, "name=shipped")
    assert status == 0
    summary = json.loads((run / "summary.json").read_text())
    rows = {row["model"]: row for row in summary["rows"]}
    last = rows["3 quantize_static"]
    assert rows["1 prune_channels"]["macs"] < 0.3 * rows["distilled"]["macs"]
    assert last["bytes"] < rows["2 distill"]["bytes"] / 2
    assert last["latency"]["runtime"] == "onnxruntime"
    assert last["versus"]["latency_before"]["runtime"] == "onnxruntime"
    assert rows["distilled"]["latency"]["runtime"] == "eager PyTorch"
    whole = last["overall"]
    assert (whole["baseline"], whole["latency_before"]["runtime"]) == ("distilled", "onnxruntime")
    assert whole["bytes"] == rows["distilled"]["bytes"] / last["bytes"] > 8
    exported = json.loads((run / "export" / "export.json").read_text())["files"]
    assert set(exported) == {"student.onnx", "compress-3-quantize_static.onnx"}
    assert exported["compress-3-quantize_static.onnx"]["quantized"]
    assert exported["compress-3-quantize_static.onnx"]["check"]["equal_decisions"] > 0.98


def test_sensitivity_is_told_of_each_layer(
    command: Main, capsys: pytest.CaptureFixture[str]
) -> None:
    status, run = command("layers", "compress=low_rank", *COMMON, "name=layers")
    assert status == 0
    status, _ = command("layers", "sensitivity", str(run))
    assert status == 0
    assert "layer2.0.conv1" in capsys.readouterr().out
    found = json.loads((run / "sensitivity.json").read_text())
    assert found["row"] == "distilled"
    assert len(found["losses"]) == 10
    assert found["losses"]["fc"].keys() == set(TRIALS)
    assert (run / "sensitivity.svg").read_text().startswith("<svg")


def test_other_samples_choose_again_where_that_is_asked(command: Main) -> None:
    words = ("compress=prune_weights", "evaluate.protocol={name: random, repeats: 3, share: 0.5}")
    status, run = command("chosen", *words, *COMMON, "dataset.subset=200", "name=chosen")
    assert status == 0
    rows = json.loads((run / "summary.json").read_text())["rows"]
    (found,) = rows[-1]["spread"]
    assert (found["group"], found["n"], len(found["changes"])) == ("3 samples of 50%", 3, 3)
    assert found["mean"] == pytest.approx(np.mean(found["changes"]))
    assert found["deviation"] == pytest.approx(np.std(found["changes"], ddof=1))


def test_the_strongest_setting_within_a_drop_is_found(command: Main) -> None:
    words = ("compress=prune_weights", "compress.target={accuracy_drop: 0.05}")
    status, run = command("strong", *words, *COMMON, "name=strong")
    assert status == 0
    before, after = (read_artefact(run / name).record for name in ("student", FOUND))
    assert after["validation"]["accuracy"] >= before["validation"]["accuracy"] - 0.05
    assert 0 <= after["found"]["sparsity"] < 0.99
