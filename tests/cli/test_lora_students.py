"""Students that learn low-rank adapters, by whole runs."""

import json
import signal
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from tiny import TINY, Kdrun, Refused
from torch import Tensor

LORA = ("student.lora={rank:2,dropout:0.1,targets:[layers.*.0]}", "student.init=teacher")
WORDS = (*TINY, "student.hidden=[32]", *LORA, "recipe.ema=0.9", "recipe.batch_size=32")


def weights(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "weights.safetensors")


def record(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "artefact.json").read_text())


def test_the_artefact_has_plain_weights_that_changed_by_a_low_rank(
    kdrun: Kdrun, tmp_path: Path
) -> None:
    kdrun(*WORDS, "hydra.run.dir=run")
    run = tmp_path / "run"
    teacher = weights(run / "teacher")
    for stage in ("alone", "student"):
        student = weights(run / stage)
        assert student.keys() == teacher.keys()
        change = {name: student[name] - teacher[name] for name in student}
        assert torch.linalg.matrix_rank(change["layers.0.0.weight"], rtol=1e-4) == 2
        assert not change["layers.0.0.bias"].any()
        assert change["head.weight"].any()
        # A of 2 x 64 pixels, B of 32 x 2, and a head of 32 x 10 with 10 biases.
        expected = "adapters of rank 2 and the head learn: 522 parameters"
        assert expected in record(run / stage)["notes"]


def test_a_run_that_was_killed_ends_with_the_same_weights(kdrun: Kdrun, tmp_path: Path) -> None:
    kdrun(*WORDS, "hydra.run.dir=whole", "output_root=one")
    words = (*WORDS, "hydra.run.dir=cut", "output_root=two", "checkpoint_seconds=1e-9")
    kdrun(*words, status=-signal.SIGKILL, KDRUN_FAULT="step:40")
    kdrun("resume", "cut")
    for stage in ("alone", "student"):
        whole, cut = weights(tmp_path / "whole" / stage), weights(tmp_path / "cut" / stage)
        assert all(torch.equal(whole[name], cut[name]) for name in whole)


def test_layers_that_are_not_there_are_refused(refused: Refused) -> None:
    assert "student.lora: MLP has no projections to queries and values" in refused(
        "student.lora={rank:2}"
    )
    assert "student.lora.rank: 0 " in refused("student.lora={rank:0}")
