"""Cards of losses and schemes, published figures, and `kdrun show loss=NAME`."""

import sys
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import pytest
import yaml

from kdrun.cli.card_docstring import Card, parse_card
from kdrun.cli.cards import (
    cost_line,
    names_card,
    published,
    read_card,
)
from kdrun.cli.main import main
from kdrun.config.choices import conf_folder
from kdrun.core.errors import UserError
from kdrun.core.plugins import KINDS, table_of
from kdrun.loss.table import LOSSES
from kdrun.model.table import MODELS

COMPONENTS = [(kind, name) for kind in KINDS for name in table_of(kind)]
ABROAD = {"mobilenet_v1", "shufflenet_v2 x1.5"}  # networks of published tables alone
FIRST = ", ".join(list(LOSSES)[:12])  # the names that a message lists if none is near
Said = Callable[..., tuple[int, str, str]]


@pytest.fixture
def said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Said:
    """Exit status, output and complaints of a command, in this process, 80 columns wide."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["kdrun", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        assert not list(tmp_path.iterdir())
        return int(ended.value.code or 0), told.out, told.err

    return run


@pytest.mark.parametrize(
    ("kind", "name"), [part for part in COMPONENTS if part[0] in ("loss", "scheme")]
)
def test_every_card_has_all_sections(kind, name):
    card = read_card(kind, name)
    assert card.formula and card.needs and card.notes
    for text in (card.title, *card.formula, card.paper, *card.needs, *card.notes):
        assert text.strip() and "  " not in text.strip() and text.isascii()


@pytest.mark.parametrize(("kind", "name"), COMPONENTS)
def test_every_component_has_a_title(kind, name):
    assert read_card(kind, name).title.endswith(".")


@pytest.mark.parametrize(
    ("word", "title", "setting"),
    [
        ("step=qat", "Quantization-aware training", "name: qat"),
        ("calibrator=kl", "The range whose quantized distribution", "name: kl"),
        ("schedule=cosine", "Descend along half a cosine", "last: 0.0"),
        ("optimizer=adamw", "AdamW", "name: adamw"),
        ("format=onnx", "The ONNX format", None),
    ],
)
def test_other_kinds_have_cards_with_their_settings(said, word, title, setting):
    status, out, err = said("show", word)
    assert (status, err) == (0, "")
    assert out.startswith(f"{word}\n  {title}")
    assert setting in out if setting else "defaults" not in out


def test_a_card_is_made_from_a_docstring():
    card = parse_card(
        "Mine: a loss.\n\nA paragraph.\n\nFormula:\n    a = b\n      + c\n    b: d\n\n"
        "Args:\n    x: y.\n\nPaper:\n    A, B,\n    arXiv:1234.56789\n\n"
        "Notes:\n    - one\n      more\n    - two"
    )
    assert card == Card(
        title="Mine: a loss.",
        formula=("a = b + c", "b: d"),
        paper="A, B, arXiv:1234.56789",
        needs=(),
        notes=("one more", "two"),
    )
    assert card.summary == "Mine: a loss (arXiv:1234.56789)"


@pytest.mark.parametrize("kind", ["losses", "schemes"])
def test_a_line_of_the_list_fits_100_columns(said, kind):
    status, out, _ = said("list", kind)
    assert status == 0
    assert [line for line in out.splitlines() if len(line) > 100] == []


@pytest.mark.parametrize("table", published(), ids=lambda table: table["title"])
def test_published_tables_are_whole(table):
    assert set(table) - {"teacher", "remarks"} == {
        "title",
        "source",
        "recipe",
        "notes",
        "pairs",
        "losses",
    }
    assert set(chain(*table["pairs"])) <= MODELS.keys() | ABROAD
    assert "kd" in table["losses"]
    for row in (*table["losses"], *table.get("remarks", {})):
        assert row.partition(" ")[0] in LOSSES
    for values in (*table["losses"].values(), table.get("teacher", [])):
        assert len(values) in (0, len(table["pairs"]))
        assert all(value is None or 0 < value < 100 for value in values)


def test_a_published_setting_is_a_key_of_its_loss():
    for row in chain(*(table["losses"] for table in published())):
        name, _, setting = row.partition(" ")
        node = yaml.safe_load((conf_folder() / "loss" / f"{name}.yaml").read_text())
        assert not setting or setting.partition("=")[0] in node


def test_figures_are_those_of_the_sources():
    same, other = published()[:2]
    at = same["pairs"].index(["resnet32x4", "resnet8x4"])
    found = {name: same["losses"][name][at] for name in ("ce", "kd", "crd", "dkd", "mlld")}
    assert found == {"ce": 72.50, "kd": 73.33, "crd": 75.51, "dkd": 76.32, "mlld": 77.08}
    at = other["pairs"].index(["resnet50", "mobilenet_v2_x0_5"])
    found = {name: other["losses"][name][at] for name in ("ce", "kd", "attention", "lskd")}
    assert found == {"ce": 64.60, "kd": 67.35, "attention": 58.58, "lskd": 69.02}


@pytest.mark.parametrize(
    ("loss", "facts"),
    [
        ("dist", ["Every published run has weight 2", "on CIFAR-100 with T = 4"]),
        ("dkd", ["2 for resnet56 -> resnet20 and resnet110 -> resnet32", "8 for the others"]),
        ("lskd", ["divides by K - 1", "have ce 0.1", "loss.weight={value: 9, warmup: 20}"]),
        ("tf_kd", ["0.95 and 10 for ShuffleNetV2", "T^2 and the softened log(p_v) are kdrun's"]),
        ("mlld", ["train 240 epochs for pairs of one family", "480 or 960"]),
        (
            "cat_kd",
            ["0.7 (resnet56 -> resnet20)", "15 (resnet32x4 -> resnet8x4)", "resolution 4, 80"],
        ),
        ("fitnet", ["The regressor ends with a ReLU"]),
    ],
)
def test_cards_have_the_settings_of_the_authors_runs(said, loss, facts):
    _, out, _ = said("show", f"loss={loss}")
    told = " ".join(out.split())
    assert [fact for fact in facts if fact not in told] == []


def test_published_tables_say_which_epoch_and_which_student():
    same, other, _, _, torchdistill, _ = published()
    for table, best in ((same, "dkd, ctkd, lskd and mlld"), (other, "dkd and lskd")):
        (note,) = [note for note in table["notes"] if "epoch" in note]
        assert note.startswith("RepDistiller's figures are of the last epoch")
        assert f"those of {best} of the best epoch" in note
    assert torchdistill["losses"]["ce"] == [69.76]


def test_show_dkd_tells_formula_paper_defaults_and_figures(said):
    status, out, err = said("show", "loss=dkd")
    assert (status, err) == (0, "")
    assert out.startswith("loss=dkd\n  Decoupled distillation: the label and the other classes.\n")
    assert "\nformula\n  alpha TCKD + beta NCKD, averaged over the batch\n" in out
    assert "\npaper\n  Zhao, Cui, Song, Qiu and Liang, Decoupled Knowledge Distillation" in out
    assert "\n  beta: 8.0                         # weight of the other classes, 0 or more\n" in out
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "teacher -> student teacher alone kd dkd" in lines
    assert "resnet32x4 -> resnet8x4 79.42 72.50 73.33 76.32" in lines
    assert "resnet50 -> vgg8 79.34 70.36 73.81 -" in lines
    assert "resnet34 -> resnet18 73.31 69.76 71.03 71.70" in lines


def test_show_keeps_to_80_columns_but_for_the_defaults_as_they_stand(said):
    _, out, _ = said("show", "loss=lskd")
    defaults = (conf_folder() / "loss" / "lskd.yaml").read_text()
    assert all(line in out for line in defaults.splitlines())
    long = [line for line in out.splitlines() if len(line.rstrip()) > 80]
    assert all(line.strip() in defaults for line in long)


def test_show_crd_warns_of_its_memory(said):
    status, out, _ = said("show", "loss=crd")
    assert status == 0
    assert "- a memory bank of 2 N d floats" in out
    assert "RepDistiller README" in out


def test_show_ce_is_the_student_alone_and_stands_in_one_column(said):
    status, out, _ = said("show", "loss=ce")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert status == 0
    assert "teacher -> student teacher alone kd" in lines
    assert "vgg13 -> vgg8 74.64 70.36 72.98" in lines


def test_a_loss_without_published_figures_says_so(said):
    _, out, _ = said("show", "loss=parameters")
    assert "published figures, top-1 %\n  none are kept here\n" in out


def test_a_row_with_settings_has_a_column_of_its_own(said):
    _, out, _ = said("show", "loss=lskd")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "teacher -> student teacher alone kd lskd base=dkd" in lines
    assert "vgg13 -> vgg8 74.64 70.36 72.98 74.36 74.81" in lines


@pytest.mark.parametrize("name", ["dafl", "zskt", "deep_inversion"])
def test_a_scheme_without_data_says_what_still_sees_images(said, name):
    status, out, _ = said("show", f"scheme={name}")
    told = " ".join(out.split())
    assert status == 0
    assert "The control still sees the real training images" in told
    assert "Validation and test are on real images" in told
    assert "size and normalization" in told
    assert "published" not in told.partition("defaults")[0]
    assert "cost per step" not in told


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("loss=dkdd", "nearest: dkd, kdsvd, kd        all: kdrun list losses"),
        ("loss=zzzzz", f"available: {FIRST}, ...        all: kdrun list losses"),
        ("loss=", f"available: {FIRST}, ...        all: kdrun list losses"),
        ("scheme=dalf", "nearest: dafl        all: kdrun list schemes"),
    ],
)
def test_an_unknown_name_is_answered_in_a_sentence(said, word, hint):
    kind, _, name = word.partition("=")
    complaint = f"kdrun: no {kind} is called {name!r}.\n  {hint}\n"
    assert said("show", word) == (2, "", complaint)


def test_a_plugin_s_loss_gets_its_card_from_its_docstring(said, monkeypatch, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plugin")
    (folder / "my_module.py").write_text(
        'class Mine:\n    """Mine: a loss."""\n\n    def __init__(self, share: float = 0.5): ...\n'
        "\n\nclass Bare:\n    pass\n"
    )
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setitem(LOSSES, "mine", "my_module:Mine")
    monkeypatch.setitem(LOSSES, "bare", "my_module:Bare")
    monkeypatch.setitem(LOSSES, "gone", "no_module:Mine")
    status, out, err = said("show", "loss=mine")
    assert (status, err) == (0, "")
    assert out.startswith("loss=mine\n  Mine: a loss.\n")
    assert "defaults (my_module:Mine)\n  name: mine\n  share: 0.5\n" in out
    with pytest.raises(UserError, match="'bare' has no card: my_module:Bare has no docstring"):
        read_card("loss", "bare")
    with pytest.raises(UserError, match="there is no source of module 'no_module'"):
        read_card("loss", "gone")
    status, out, _ = said("list", "losses")
    assert status == 0
    assert "  bare                  my_module:Bare\n" in out
    assert "  gone                  no_module:Mine\n" in out


def test_folders_are_no_parts():
    assert not any(names_card(word) for word in ("outputs/run", "loss", "./loss=kd", "seed=1"))


def test_cost_is_told_beside_kd(tmp_path):
    path = tmp_path / "cost.yaml"
    path.write_text("measured: On two threads.\nmilliseconds: {kd: 0.3, sp: 51, ce: 0.15}\n")
    assert cost_line("sp", path) == (
        "170 times the time of kd, without the networks: 51 ms against 0.3 ms. On two threads."
    )
    assert cost_line("ce", path) == (
        "0.5 times the time of kd, without the networks: 0.15 ms against 0.3 ms. On two threads."
    )
    missing = "not measured; measure it: python -m benchmarks.losses"
    assert cost_line("crd", path) == missing
    assert cost_line("kd", tmp_path / "none.yaml") == missing
