"""conf/ and the code agree: every YAML composes, binds to its part, and has all of its keys."""

import inspect
from copy import deepcopy
from functools import cache, reduce
from operator import getitem
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from kdrun.config.compose import compose_runs
from kdrun.core.config import (
    MISSING,
    Config,
    Evaluate,
    ExportOptions,
    ExportTolerance,
    Latency,
    Recipe,
    Stop,
    Student,
    Taps,
    Teacher,
    max_steps_note,
    slug_of,
)
from kdrun.core.registry import check_model, check_node, keywords, resolve
from kdrun.engine.optimizers import GIVEN, OPTIMIZERS
from kdrun.engine.schedules import SCHEDULES
from kdrun.loss.table import LOSSES
from kdrun.scheme.table import SCHEMES

CONF = Path(__file__).parents[2] / "conf"
PARTS = {
    "loss": (LOSSES, ()),
    "recipe/optimizer": (OPTIMIZERS, GIVEN),
    "recipe/schedule": (SCHEDULES, ()),
    "scheme": (SCHEMES, ()),
}
ALL_PARTS = [(group, name) for group, (table, _) in PARTS.items() for name in table]
RECIPES = sorted(path.stem for path in CONF.glob("recipe/*.yaml") if path.stem != "_base")
FILES = sorted(CONF.rglob("*.yaml"))


def read(name: str) -> dict[str, Any]:
    """A YAML file as it stands."""
    tree = OmegaConf.to_container(OmegaConf.load(CONF / name))
    assert isinstance(tree, dict)
    return tree


def node(group: str, name: str, *words: str) -> dict[str, Any]:
    """A composed choice of a group."""
    return deepcopy(_compose(group, name, words))


@cache
def _compose(group: str, name: str, words: tuple[str, ...]) -> dict[str, Any]:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        composed = compose(f"{group}/{name}", overrides=list(words))
    tree = OmegaConf.to_container(OmegaConf.select(composed, group.replace("/", ".")), resolve=True)
    assert isinstance(tree, dict)
    return tree


@pytest.fixture(scope="module")
def tree() -> dict[str, Any]:
    """A whole config that binds, from the root's own keys and a choice of each group."""
    root = read("config.yaml")
    groups = {
        "loss": node("loss", "kd"),
        "scheme": {"name": "none"},
        "recipe": node("recipe", "quick"),
        "compress": {**read("compress/_base.yaml"), "calibrator": {"name": "kl"}, "steps": []},
        "teacher_outputs": {"name": "off"},
    }
    roles = {role: {"name": "mlp", "hidden": [32], **root[role]} for role in ("teacher", "student")}
    own = {key: value for key, value in root.items() if key not in ("defaults", "hydra")}
    return {**own, **groups, **roles, "dataset": {"name": "digits"}}


def faults(tree: dict[str, Any], **changed: Any) -> list[str]:
    """The faults of a tree with some keys changed; `recipe__lr` is recipe.lr."""
    tree = deepcopy(tree)
    for path, value in changed.items():
        *sections, key = path.split("__")
        section = tree
        for name in sections:
            section = section[name]
        section[key] = value
    return [str(fault) for fault in check_model("", tree, Config, "the config")]


def test_the_groups_and_root_keys_are_these():
    groups = {str(path.parent.relative_to(CONF)) for path in CONF.rglob("*.yaml")}
    assert sorted(groups) == [
        ".", "calibrator", "compress", "concepts", "dataset", "dataset/tokenizer",
        "experiment", "experiment/crd", "loss", "model",
        "protocol", "recipe", "recipe/optimizer", "recipe/schedule", "scheme", "step",
        "task", "teacher_outputs",
    ]  # fmt: skip
    assert sorted(Config.model_fields) == [
        "check", "checkpoint_seconds", "compile", "compress", "controls", "dataset", "debug",
        "deterministic", "device", "evaluate", "export", "export_options", "launcher", "logger",
        "loss", "name", "output_root", "plugins", "precision", "recipe", "scheme", "search", "seed",
        "stop", "student", "tags", "teacher", "teacher_outputs", "threads",
    ]  # fmt: skip


def test_stored_outputs_say_how_they_are_kept(tree):
    told = "needs dtype and max_gb where outputs are stored"
    assert told in faults(tree, teacher_outputs__name="stored")[0]
    assert not faults(tree, teacher_outputs={"name": "stored", "dtype": "fp16", "max_gb": 1})


def test_the_primary_config_has_the_keys_of_the_typed_root():
    root = read("config.yaml")
    chosen = {
        key
        for entry in root["defaults"]
        if isinstance(entry, dict)
        for key in entry
        if not key.startswith("override ")
    }
    assert (root.keys() | chosen) - {"defaults", "hydra", "experiment", "task"} == set(
        Config.model_fields
    )


@pytest.mark.parametrize(
    ("path", "section"),
    [
        ("teacher", Teacher),
        ("teacher.taps", Taps),
        ("student", Student),
        ("student.taps", Taps),
        ("stop", Stop),
        ("evaluate", Evaluate),
        ("evaluate.latency", Latency),
        ("export_options", ExportOptions),
        ("export_options.tolerance", ExportTolerance),
    ],
)
def test_a_section_has_the_keys_of_its_type(path, section):
    found = OmegaConf.select(OmegaConf.load(CONF / "config.yaml"), path)
    assert set(found) == set(section.model_fields) - {"name"}  # the model's own file says the name


@pytest.mark.parametrize("group", PARTS)
def test_a_table_and_its_folder_have_the_same_names(group):
    assert sorted(path.stem for path in (CONF / group).glob("*.yaml")) == sorted(PARTS[group][0])


@pytest.mark.parametrize(("group", "name"), ALL_PARTS)
def test_yaml_keys_are_the_parameters_of_the_part(group, name):
    table, given = PARTS[group]
    part = resolve(group, table, name)
    found = node(group, name)
    assert found.pop("name") == name
    assert list(found) == list(keywords(part, given))


@pytest.mark.parametrize(("group", "name"), ALL_PARTS)
def test_yaml_values_bind_but_for_those_that_must_be_given(group, name):
    table, given = PARTS[group]
    (run,) = compose_runs([f"{group}={name}"], multirun=False)
    found = reduce(getitem, group.split("/"), run.tree)
    values = node(group, name).items()
    asked = [f"{group}.{key}: must be given" for key, value in values if value == MISSING]
    faults = check_node(group, found, resolve(group, table, name), given)
    assert [str(fault) for fault in faults] == asked


@pytest.mark.parametrize(("group", "name"), ALL_PARTS)
def test_a_part_has_no_default_values_of_its_own(group, name):
    parameters = inspect.signature(resolve(group, PARTS[group][0], name)).parameters.values()
    assert [one.name for one in parameters if one.default is not one.empty] == []


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_composes_and_binds_with_all_keys(name):
    found = node("recipe", name)
    assert set(found) == set(Recipe.model_fields)
    assert check_model("recipe", found, Recipe, repr(name)) == []
    for key, table, given in (("optimizer", OPTIMIZERS, GIVEN), ("schedule", SCHEDULES, ())):
        part = resolve(key, table, found[key]["name"])
        assert check_node(f"recipe.{key}", found[key], part, given) == []


@pytest.mark.parametrize("key", ["optimizer", "schedule"])
def test_optimizer_and_schedule_of_a_recipe_can_be_chosen(key):
    for name in PARTS[f"recipe/{key}"][0]:
        recipe = node("recipe", "crd", f"recipe/{key}={name}")
        assert recipe[key] == node(f"recipe/{key}", name)


def test_the_crd_recipe_is_the_published_one():
    recipe = Recipe.model_validate(node("recipe", "crd"))
    assert (recipe.epochs, recipe.batch_size, recipe.lr, recipe.weight_decay) == (
        240, 64, 0.05, 5e-4,
    )  # fmt: skip
    assert recipe.optimizer == {"name": "sgd", "momentum": 0.9}
    milestones = [share * recipe.epochs for share in recipe.schedule["milestones"]]
    assert (milestones, recipe.schedule["gamma"]) == ([150, 180, 210], 0.1)
    assert recipe.lr_by_model == {"mobilenet*": 0.01, "shufflenet*": 0.01}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CONF)))
def test_a_yaml_file_fits_on_a_screen_and_opens_with_a_comment(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("#")
    assert len(lines) <= 60 or path.name == "config.yaml"
    assert max(len(line) for line in lines) <= 120


def test_a_whole_config_binds(tree):
    assert faults(tree) == []
    config = Config.model_validate(tree)
    assert config.slug == "mlp-mlp-kd"
    assert slug_of(["a", "b", "kd", "zskt"], ["prune"]) == "a-b-kd-zskt-prune"
    assert config.store == Path("outputs/.store")
    assert config.teacher.node == {"name": "mlp", "hidden": [32]}


def test_a_name_takes_the_place_of_the_slug(tree):
    assert Config.model_validate({**tree, "name": "mine"}).slug == "mine"


def test_taps_of_the_config_take_the_place_of_a_networks_roles():
    roles = {"stages": ["layer1", "layer2"], "logits": ["fc"]}
    taps = Taps(stages=["conv"], embedding="pool", logits=None)
    assert taps.apply_to(roles) == {"stages": ["conv"], "embedding": ["pool"], "logits": ["fc"]}
    assert Taps(stages=None, embedding=None, logits=None).apply_to(roles) == roles


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"seed": -1}, "seed: -1 should be greater than or equal to 0"),
        ({"seed": 1.5}, "seed: 1.5 is not a whole number"),
        ({"device": "gpu"}, "device: 'gpu' should be auto, cpu, mps, cuda or cuda:1"),
        ({"device": "cuda:x"}, "device: 'cuda:x' should be auto, cpu, mps, cuda or cuda:1"),
        (
            {"name": "a/b"},
            "name: 'a/b' should be at most 100 letters, digits, . _ and -, no dot first",
        ),
        (
            {"name": "../up"},
            "name: '../up' should be at most 100 letters, digits, . _ and -, no dot first",
        ),
        ({"name": ""}, "name: '' should be at most 100 letters, digits, . _ and -, no dot first"),
        ({"precision": "fp8"}, "precision: 'fp8' should be 'auto', 'fp32', 'bf16' or 'fp16'"),
        ({"threads": 0}, "threads: 0 should be greater than 0 or 'auto'"),
        ({"threads": "all"}, "threads: 'all' should be a whole number or 'auto'"),
        ({"check": "yes"}, "check: 'yes' is not true or false"),
        ({"controls": "alone"}, "controls: 'alone' is not a list"),
        ({"checkpoint_seconds": 0}, "checkpoint_seconds: 0 should be greater than 0"),
        (
            {"stop__when": {"reaches": -1}},
            "stop.when.reaches: -1 should be greater than or equal to 0",
        ),
        ({"stop__when": {}}, "stop.when: needs either reaches, or within and of"),
        ({"stop__when": {"within": 0.1}}, "stop.when: needs either reaches, or within and of"),
        (
            {"stop__when": {"reaches": 0.9, "of": "teacher"}},
            "stop.when: needs either reaches, or within and of",
        ),
        ({"recipe__lr": "fast"}, "recipe.lr: 'fast' is not a number"),
        ({"recipe__lr": float("nan")}, "recipe.lr: nan should be a finite number"),
        ({"recipe__lr": 0}, "recipe.lr: 0 should be greater than 0"),
        ({"recipe__epochs": 2.5}, "recipe.epochs: 2.5 is not a whole number"),
        ({"recipe__epochs": True}, "recipe.epochs: true is not a whole number"),
        ({"recipe__ema": 1.0}, "recipe.ema: 1.0 should be less than 1"),
        ({"recipe__lr_by_model": {"a": 0}}, "recipe.lr_by_model.a: 0 should be greater than 0"),
        ({"recipe__select": "first"}, "recipe.select: 'first' should be 'last' or 'best'"),
        (
            {"recipe__epoch": 3},
            "recipe.epoch: unknown key of 'recipe'; nearest: epochs, warmup_epochs",
        ),
        (
            {"recipe__accumulate": 100},
            "recipe: batch_size 64 has too few samples for accumulate=100 micro-batches",
        ),
        ({"recipe": None}, "recipe: null is not a mapping"),
        ({"sede": 1}, "sede: unknown key of the config; nearest: seed, scheme, student"),
        ({"teacher__taps": {"stages": None}}, "teacher.taps.embedding: must be given"),
        (
            {"teacher__run": "a", "teacher__weights": "DEFAULT"},
            "teacher: can have only one source, but has run and weights; keep one",
        ),
        ({"student__init": "both"}, "student.init: 'both' should be 'scratch' or 'teacher'"),
        ({"student__freeze": "layer1"}, "student.freeze: 'layer1' is not a list"),
    ],
)
def test_a_fault_of_the_config_is_one_plain_sentence(tree, changed, sentence):
    assert faults(tree, **changed)[0] == sentence


def test_a_missing_section_says_so(tree):
    assert faults({key: value for key, value in tree.items() if key != "loss"}) == [
        "loss: must be given"
    ]


@pytest.mark.parametrize(
    ("epochs", "max_steps", "steps", "said"),
    [
        (20, 6000, 843, "recipe.max_steps=6000 allows 7 of the 20 epochs"),
        (20, 3, 20, "recipe.max_steps=3 allows 1 of the 20 epochs"),
        (1, 3, 20, None),
        (20, 6000, 300, None),
        (20, None, 843, None),
    ],
)
def test_a_recipe_that_is_cut_short_says_so(tree, epochs, max_steps, steps, said):
    changed = {**tree["recipe"], "epochs": epochs, "max_steps": max_steps}
    mend = "; for all of them: recipe.max_steps=null"
    assert max_steps_note(Recipe.model_validate(changed), steps) == (said and said + mend)
