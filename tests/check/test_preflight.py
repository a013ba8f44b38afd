"""What a checked config resolves to, however it was composed."""

import pytest
from omegaconf import OmegaConf
from tiny import TINY

from kdrun.check.preflight import check
from kdrun.config.compose import compose_runs
from kdrun.core.config import Config
from kdrun.core.errors import ConfigError
from kdrun.core.store import fingerprint
from kdrun.loss.logits import KD


def test_a_sweep_and_a_single_run_have_the_same_config() -> None:
    """Hydra hands a job of a sweep its keys as YAML has them: 0 is a number, and odd is text."""
    words = (*TINY, "dataset.class_map={0:[0,1],odd:[2,3]}", "dataset.subset=64")
    (job,) = compose_runs(words, multirun=False)
    composed = OmegaConf.create(
        {**job.tree, "dataset": {**job.tree["dataset"], "class_map": {0: [0, 1], "odd": [2, 3]}}}
    )
    tree = OmegaConf.to_container(composed)
    assert isinstance(tree, dict)
    swept, single = check(tree), check(job.tree)
    assert swept.tree == single.tree
    assert fingerprint(swept.tree) == fingerprint(single.tree)
    assert swept.data.info.classes == ("0", "odd")


def test_fewer_epochs_than_asked_for_are_told_of_before_the_start() -> None:
    words = [*TINY, "recipe.epochs=9", "recipe.max_steps=8"]
    (job,) = compose_runs(words, multirun=False)
    *_, note = check(job.tree).notes
    assert note.startswith("recipe.max_steps=8 allows 2 of the 9 epochs;")


def test_notes_tell_the_classes_and_the_images() -> None:
    (job,) = compose_runs([*TINY, "dataset.classes=[3,5]"], multirun=False)
    classes, images, *_ = check(job.tree).notes
    assert classes == "2 classes: 3, 5"
    assert " images of 8x8x1 for training, " in images


def test_a_loss_without_phases_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KD, "phases", lambda loss: ())
    (job,) = compose_runs(TINY, multirun=False)
    with pytest.raises(ConfigError, match="the loss declares no phase, so nothing would be"):
        check(job.tree)


@pytest.mark.parametrize("key", Config.model_fields)
def test_a_key_of_a_wrong_type_is_a_fault_and_the_other_keys_are_checked(key: str) -> None:
    (job,) = compose_runs(TINY, multirun=False)
    with pytest.raises(ConfigError) as error:
        check({**job.tree, key: [[0.5]]})
    assert {fault.where.partition(".")[0] for fault in error.value.faults} == {key}


def test_keys_of_a_networks_own_tokenizer_are_checked() -> None:
    words = ("task=text", "student=text_bag", "student.tokenizer={name: bytes, size: 5}")
    (job,) = compose_runs(words, multirun=False)
    with pytest.raises(ConfigError, match=r"student\.tokenizer\.size: unknown key of 'bytes'"):
        check(job.tree)
