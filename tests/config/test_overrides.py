"""The words after `kdrun` are held against conf/, and each mistake is one sentence."""

import pytest
import yaml

from kdrun.config.command import read_command
from kdrun.config.compose import compose_runs, to_yaml
from kdrun.config.overrides import EMBEDDED_JOB, EMBEDDED_TEXT_JOB, implied_settings, parse_settings
from kdrun.config.suggestions import unknown_choice
from kdrun.core.config import Config
from kdrun.core.errors import UserError
from kdrun.core.registry import check_model
from kdrun.loss.table import LOSSES
from kdrun.model.table import MODELS

ROOT = ["hydra", *compose_runs([], multirun=False)[0].tree]  # keys of the config


def faults(*words: str) -> list[str]:
    (job,) = compose_runs(words, multirun=False)
    return [str(fault) for fault in job.faults]


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["teacher=resnet50", "student=resnet18", "dataset=cifar10", "recipe=crd", "loss=ce"],
        ["experiment=crd/resnet32x4_resnet8x4", "recipe.epochs=60", "recipe/schedule=cosine"],
        [
            "teacher=mlp", "teacher.hidden=[1000]", "student=mlp", "student.hidden=[]",
            "loss.temperature=2", "seed=3", "name=mine", "recipe.lr_by_model={resnet20: 0.01}",
            "teacher.recipe={epochs: 3}", "stop.when={within: 0.01, of: teacher}",
            "student.freeze=[layer1,'layer2.*']", "student.taps.stages=[layer1,layer2]",
        ],
    ],
)  # fmt: skip
def test_good_words_compose_a_config_that_binds(words):
    (job,) = compose_runs(words, multirun=False)
    assert job.faults == ()
    assert check_model("", job.tree, Config, "the config") == []


@pytest.mark.parametrize(
    ("words", "added"),
    [
        ([], [EMBEDDED_JOB]),
        (["-m", "seed=0,1", "loss=dkd", "student.widths=[8,8,16,32]"], [EMBEDDED_JOB]),
        (["--cfg", "job"], [EMBEDDED_JOB]),
        (["dataset=mnist"], []),
        (["-m", "student=mlp,lenet5"], []),
        (["+experiment=crd/vgg13_vgg8"], []),
        (["scheme=mutual"], []),
        (["--shell-completion", "query=bash"], []),
        (["task=text", "seed=1"], [EMBEDDED_TEXT_JOB]),
        (["task=text", "student=text_lstm"], []),
        (["dataset=sentences", "teacher=text_transformer"], ["task=text"]),
        (["-m", "student=text_cnn,text_lstm"], ["task=text"]),
        (["dataset=sentences", "task=text"], []),
        (["dataset=sentences", "experiment=mine"], []),
    ],
)
def test_a_command_gets_what_its_choices_imply(words: list[str], added: list[str]):
    assert implied_settings(read_command(words)) == tuple(added)


def test_each_unknown_name_is_one_sentence():
    found = {
        "teacher=resent50": "no teacher is called 'resent50'.\n"
        "  nearest: resnet50, resnet56, resnet20        all: kdrun list models",
        "loss=zzz": "no loss is called 'zzz'.\n"
        f"  available: {', '.join(sorted(LOSSES)[:12])}, ...        all: kdrun list losses",
        "recipe/optimizer=adm": "no recipe/optimizer is called 'adm'.\n  nearest: adam, adamw",
        "experiment=crd/resnet32x4": "no experiment is called 'crd/resnet32x4'.\n"
        "  nearest: crd/resnet32x4_resnet8x4",
    }
    assert faults(*found) == list(found.values())


def test_networks_of_kdrun_are_listed_before_those_of_torchvision():
    (override,) = parse_settings(["teacher=qqqqq"])
    fault = unknown_choice("teacher", override, sorted(MODELS))
    assert str(fault) == (
        "no teacher is called 'qqqqq'.\n"
        f"  available: {', '.join(sorted(MODELS)[:12])}, ...        all: kdrun list models"
    )


def test_each_unknown_key_is_one_sentence():
    found = {
        "sede=1": "sede: unknown key of the config; nearest: seed, scheme, student",
        "stop.whn=1": "stop.whn: unknown key of 'stop'; nearest: when",
        "loss.temprature=2": "loss.temprature: unknown key of 'kd'; nearest: temperature",
        "xyzzy=1": f"xyzzy: unknown key of the config; its keys: {', '.join(ROOT)}",
        "recipe.optimizer.momentum=0.9": "recipe.optimizer.momentum: unknown key of 'adamw';"
        " its keys: name, betas, eps",
        "stop.when.reaches=0.9": "stop.when.reaches: stop.when holds no keys yet; give it as a"
        " whole: 'stop.when={reaches: 0.9}'",
        "seed.x=1": "seed.x: seed holds no keys yet; give it as a whole: 'seed={x: 1}'",
    }
    assert faults(*found) == list(found.values())


def test_faulty_words_are_left_out_and_the_others_stand():
    (job,) = compose_runs(
        ["teacher=nope", "teacher.hidden=[3]", "loss.temprature=2", "sede=1", "recipe.epochs=3"],
        multirun=False,
    )
    assert [fault.where for fault in job.faults] == ["", "loss.temprature", "sede"]
    assert job.unknown_groups == {"teacher"}
    assert job.tree["recipe"]["epochs"] == 3


def test_a_sweep_is_every_combination():
    jobs = compose_runs(["loss.temperature=2,4", "loss.alpha=0.5,0.9", "seed=1"], multirun=True)
    found = [(job.tree["loss"]["temperature"], job.tree["loss"]["alpha"]) for job in jobs]
    assert found == [(t, a) for t in (2, 4) for a in (0.5, 0.9)]
    assert {job.tree["seed"] for job in jobs} == {1}


def test_several_values_without_m_say_how_to_run_each():
    with pytest.raises(UserError) as error:
        compose_runs(["loss.temperature=2,4"], multirun=False)
    assert error.value.lines == (
        "'loss.temperature=2,4' holds several values.",
        "  to run each of them: kdrun -m loss.temperature=2,4",
    )


def test_a_word_that_is_no_setting_says_what_one_is():
    with pytest.raises(UserError) as error:
        compose_runs(["loss"], multirun=False)
    assert error.value.lines[0].startswith("'loss' is no setting")


def test_the_config_of_a_run_is_shown_whole_or_by_key():
    (run,) = compose_runs(["compress.calibrator=mse"], multirun=False)
    assert run.config is not None
    whole = yaml.safe_load(to_yaml(run.config, None, resolve=True))
    assert "hydra" not in whole
    assert whole == run.tree
    node = to_yaml(run.config, "compress.calibrator", resolve=False)
    assert node == "# @package compress.calibrator\nname: mse"
    assert to_yaml(run.config, "seed", resolve=False) == "0"
    with pytest.raises(UserError, match=r"--package: the config has no key 'sed'\."):
        to_yaml(run.config, "sed", resolve=False)
