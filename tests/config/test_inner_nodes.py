"""Nodes inside a node get the values of their group's files, wherever these come from."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra.core.config_store import ConfigStore
from tiny import TINY

from kdrun.check.preflight import check
from kdrun.config.choices import register_plugin_components
from kdrun.config.command import read_command
from kdrun.config.compose import compose_runs
from kdrun.config.older_runs import with_new_keys
from kdrun.config.overrides import translate_settings
from kdrun.core.errors import UserError
from kdrun.core.plugins import install_plugins
from kdrun.loss.table import LOSSES
from kdrun.model.table import MODELS

FILES = {
    "loss/mine.yaml": "defaults: [attention, _self_]\nweight: 7\n",
    "loss/soft.yaml": "name: kd\nalpha: 0.5\ntemperature: ${search.trials}\n",
    "model/tiny_mlp.yaml": "name: mlp\nhidden: [9]\ndropout: 0.1\n",
    "model/tinier.yaml": "defaults: [tiny_mlp, _self_]\nhidden: [5]\n",
    "calibrator/loose.yaml": "name: percentile\npercentile: 90.0\n",
    "protocol/halves.yaml": "name: kfold\nfolds: 2\n",
    "step/gentle.yaml": "defaults: [prune_weights, _self_]\nsparsity: 0.1\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """A folder for `--config-dir` with a file of each kind."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return str(tmp_path)


def tree(folder: str | None, *words: str) -> dict[str, Any]:
    """The resolved config of one run with these words."""
    (job,) = compose_runs(words, multirun=False, folders=[folder] if folder else [])
    assert job.faults == ()
    return job.tree


def test_a_term_has_the_values_of_a_file_with_a_defaults_list(folder):
    loss = tree(folder, "loss=combined", "loss.terms={mine: {}}")["loss"]
    alone = tree(folder, "loss=mine")["loss"]
    assert alone["name"] == "attention"
    assert loss["terms"] == {"mine": alone}


def test_what_a_term_is_given_is_laid_over_its_file(folder):
    (mine,) = tree(folder, "loss=combined", "loss.terms={mine: {weight: 8}}")["loss"][
        "terms"
    ].values()
    assert mine["weight"] == 8
    inner = "loss.terms={dkd: {weight: {warmup: 5}}}"
    dkd = tree(None, "loss=combined", inner)["loss"]["terms"]["dkd"]
    assert dkd["weight"] == {"value": 1.0, "warmup": 5}


def test_a_term_may_refer_to_the_whole_config(folder):
    terms = tree(folder, "loss=combined", "loss.terms={soft: {}}", "search.trials=3")["loss"]
    assert terms["terms"]["soft"] == {"name": "kd", "alpha": 0.5, "temperature": 3}


@pytest.mark.parametrize(
    ("scheme", "key"), [("assistants", "assistants"), ("mutual", "peers"), ("teachers", "others")]
)
def test_networks_of_a_scheme_have_the_values_of_their_files(folder, scheme, key):
    words = (f"scheme={scheme}", f"scheme.{key}=[tiny_mlp,{{name: tinier, dropout: 0.2}}]")
    first, second = tree(folder, *words)["scheme"][key]
    assert first == {"name": "mlp", "hidden": [9], "dropout": 0.1}
    assert second == {"name": "mlp", "hidden": [5], "dropout": 0.2}


def test_a_torchvision_network_of_a_scheme_has_all_of_its_keys():
    (peer,) = tree(None, "scheme=mutual", "scheme.peers=[regnet_y_400mf]")["scheme"]["peers"]
    (alone,) = [tree(None, "student=regnet_y_400mf")["student"]]
    assert peer == {key: alone[key] for key in ("name", "stem")}


def test_calibrator_and_protocol_are_found_by_name(folder):
    found = tree(folder, "compress.calibrator=loose", "evaluate.protocol=halves")
    assert found["compress"]["calibrator"] == {"name": "percentile", "percentile": 90.0}
    assert found["evaluate"]["protocol"] == {"name": "kfold", "folds": 2}


def test_a_step_of_ones_own_is_chosen_and_listed(folder):
    typed = ["--config-dir", folder, "compress=[gentle,quantize_static,gentle]"]
    command = translate_settings(read_command(typed))
    compress = tree(folder, *command.settings)["compress"]
    assert compress["steps"] == ["gentle", "quantize_static", "gentle2"]
    assert compress["gentle2"]["name"] == "prune_weights"
    assert compress["gentle2"]["sparsity"] == 0.1
    assert tree(folder, "compress=gentle")["compress"]["gentle"]["sparsity"] == 0.1


def test_a_name_that_no_file_has_stays_for_the_check_to_refuse(folder):
    terms = tree(folder, "loss=combined", "loss.terms={mien: {weight: 2}}")["loss"]["terms"]
    assert terms == {"mien": {"name": "mien", "weight": 2}}


def test_a_file_that_names_no_other_is_one_sentence(folder):
    Path(folder, "loss/broken.yaml").write_text("defaults: [nope]\n")
    with pytest.raises(UserError) as error:
        tree(folder, "loss=combined", "loss.terms={broken: {}}")
    assert error.value.lines == ("In 'loss/broken': Could not load 'loss/nope'.",)


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    text = """
        from kdrun.loss.logits import KD
        LOSSES = {"warm": "inner_parts:Warm"}
        MODELS = {"inner_net": "inner_parts:Net"}
        class Warm(KD):
            def __init__(self, alpha: float = 0.25, temperature: float = 2.0) -> None:
                super().__init__(alpha, temperature)
        def Net(width: int = 3, *, num_classes, in_channels): ...
        """
    (tmp_path / "inner_parts.py").write_text("\n".join(line[8:] for line in text.splitlines()))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(LOSSES, "warm", "inner_parts:Warm")
    monkeypatch.setitem(MODELS, "inner_net", "inner_parts:Net")
    register_plugin_components(install_plugins({"inner_parts": "inner_parts"}))
    yield
    del ConfigStore.instance().repo["loss"]["warm.yaml"]
    for group in ("model", "teacher", "student"):
        del ConfigStore.instance().repo[group]["inner_net.yaml"]


def test_a_plugins_loss_and_network_have_the_values_of_their_signatures(plugin):
    loss = tree(None, "loss=combined", "loss.terms={warm: {alpha: 0.5}}")["loss"]
    assert loss["terms"]["warm"] == {"name": "warm", "alpha": 0.5, "temperature": 2.0}
    (peer,) = tree(None, "scheme=mutual", "scheme.peers=[inner_net]")["scheme"]["peers"]
    assert peer == {"name": "inner_net", "width": 3}


def test_what_is_checked_and_recorded_is_what_was_composed(folder):
    composed = tree(folder, *TINY, "loss=combined", "loss.terms={soft: {}}")
    recorded = check(composed).tree
    assert recorded["loss"] == composed["loss"]
    assert recorded["compress"] == composed["compress"]


def test_a_run_of_before_is_completed_and_a_whole_one_stays(folder):
    whole = tree(None, "loss=combined", "loss.terms={kd: {}}", "evaluate.protocol=kfold")
    bare = yaml.safe_load(yaml.safe_dump(whole))
    bare["loss"]["terms"] = {"kd": {}}
    bare["compress"]["calibrator"] = "kl"
    bare["evaluate"]["protocol"] = "kfold"
    assert with_new_keys(bare) == whole
    assert with_new_keys(whole) == whole
    theirs = tree(folder, "loss=combined", "loss.terms={mine: {}}")
    assert with_new_keys(theirs) == theirs


def test_an_older_run_has_the_values_by_which_a_loss_did_the_same():
    older = tree(None, "loss=combined", "loss.terms={cat_kd: {}, kd: {}}")
    del older["loss"]["terms"]["cat_kd"]["normalize"]
    assert with_new_keys(older)["loss"]["terms"]["cat_kd"]["normalize"] is True
    older = tree(None, "loss=cat_kd")
    assert with_new_keys(older)["loss"]["normalize"] is False
    del older["loss"]["normalize"]
    assert with_new_keys(older)["loss"]["normalize"] is True
