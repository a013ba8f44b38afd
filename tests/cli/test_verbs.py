"""Commands that only look: help, versions, lists, layers, Hydra's views, shell completion."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest
from tiny import Kdrun

from benchmarks.synthetic_runs import write_run
from kdrun import __version__
from kdrun.cli import compare, export, report, sensitivity, store
from kdrun.cli.main import main
from kdrun.config.verbs import VERBS, usage
from kdrun.core.folder import RunFolder
from kdrun.dataset.table import DATASETS
from kdrun.loss.table import LOSSES
from kdrun.model.table import MODELS

ROOT = Path(__file__).parents[2]
Shown = Callable[..., str]


@pytest.fixture
def shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shown:
    """What the command prints, in this process: status 0, no complaint, nothing written."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")

    def run(*words: str) -> str:
        before = sorted(tmp_path.rglob("*"))
        monkeypatch.setattr(sys, "argv", ["kdrun", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert (ended.value.code, said.err) == (0, "")
        assert sorted(tmp_path.rglob("*")) == before
        return said.out

    return run


def loaded_by(*words: str, **environment: str) -> list[str]:
    """Which large packages a command loads, in a process of its own."""
    code = (
        "import sys\n"
        "from kdrun.cli.main import main\n"
        f"sys.argv = ['kdrun', *{list(words)!r}]\n"
        "try:\n    main()\n"
        "except SystemExit as ended:\n    assert not ended.code, ended.code\n"
        "large = ('torch', 'torchvision', 'sklearn', 'scipy', 'hydra', 'omegaconf', 'pydantic')\n"
        "print('\\n' + ' '.join(name for name in large if name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1].split()


@pytest.mark.parametrize("word", ["loss=dkd", "scheme=dafl"])
def test_a_card_is_shown_without_torch(word: str) -> None:
    assert not {"torch", "torchvision", "sklearn", "scipy"} & set(loaded_by("show", word))


@pytest.mark.parametrize("word", ["--help", "-h", "help", "--version", "-V"])
def test_help_and_version_load_nothing_large(word: str) -> None:
    assert loaded_by(word) == []


@pytest.mark.parametrize(
    "words",
    [("--cfg", "job", "loss.temperature=2"), ("list", "losses"), ("-sc", "query=bash")],
    ids=" ".join,
)
def test_looking_loads_no_torch(words: tuple[str, ...]) -> None:
    assert "torch" not in loaded_by(*words, COMP_LINE="kdrun loss=", COMP_POINT="11")


@pytest.mark.parametrize("words", [("--help",), ("-h",), ("help",), ("loss=kd", "--help")])
def test_help_names_what_a_new_user_wants(words: tuple[str, ...], shown: Shown) -> None:
    said = shown(*words)
    for word in ("teacher=resnet50", "kdrun -m", "check=true", "kdrun list", "kdrun resume RUN"):
        assert word in said
    assert max(map(len, said.splitlines())) <= 100


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_a_help_of_its_own(verb: str, shown: Shown) -> None:
    own = shown(verb, "--help")
    assert own.startswith(f"kdrun {verb}: {VERBS[verb].summary}.")
    assert shown("help", verb) == shown("-h", verb) == own
    assert max(map(len, own.splitlines())) <= 100


@pytest.mark.parametrize("verb", VERBS)
def test_the_general_help_has_each_verb(verb: str, shown: Shown) -> None:
    assert VERBS[verb].summary in shown("--help")


@pytest.mark.parametrize("module", [compare, export, report, sensitivity, store])
def test_the_help_of_a_verb_has_the_options_that_it_takes(module: ModuleType) -> None:
    parser = module.parser()
    helped = " ".join(usage(parser.prog))
    actions = [action for action in parser._actions if action.option_strings]
    options = {action.option_strings[0] for action in actions}
    assert options == set(re.findall(r"(?<![\w-])--?[a-z-]+", helped))


def test_help_of_no_verb_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["kdrun", "comapre", "--help"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "nearest: kdrun compare" in capsys.readouterr().err


def test_the_version_is_kdruns_not_hydras(shown: Shown) -> None:
    for words in (("--version",), ("-V",), ("loss=kd", "--version")):
        assert shown(*words) == f"kdrun {__version__}\n"


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("models", [*MODELS, "densenet121", "vit_b_16"]),
        ("datasets", list(DATASETS)),
        ("losses", list(LOSSES)),
        ("tokenizers", ["words", "chars", "bytes", "bpe", "wordpiece", "folder"]),
        ("recipes", ["quick", "crd", "imagenet", "finetune"]),
        ("compress", []),
        ("runs", []),
    ],
)
def test_list_names_every_part_with_a_sentence(kind: str, names: list[str], shown: Shown) -> None:
    lines = shown("list", kind).splitlines()
    assert lines[0] == kind
    for name in names:
        assert any(name in line for line in lines), name
    assert not any(line.split()[0].startswith("_") for line in lines)
    assert not any(len(line.split()) < 3 for line in lines[1:] if names)


def test_list_without_a_word_lists_everything(shown: Shown) -> None:
    said = shown("list")
    for kind in ("models", "datasets", "tokenizers", "losses", "recipes", "compress", "runs"):
        assert f"{kind}\n" in said


def test_list_runs_tells_figures_and_survives_a_damaged_run(shown: Shown, tmp_path: Path) -> None:
    for name, run in {
        "b": "{broken",
        "c": json.dumps({"status": "interrupted"}),
    }.items():
        (tmp_path / "outputs" / name).mkdir(parents=True)
        (tmp_path / "outputs" / name / "run.json").write_text(run)
    run = RunFolder(write_run(tmp_path / "outputs" / "a", rows=["teacher", "alone"]))
    summary = run.summary()
    assert summary is not None
    summary["rows"][0]["accuracy"], summary["rows"][1]["accuracy"] = 0.98, 0.9
    run.write_summary(summary)
    assert shown("list", "runs").splitlines()[1:] == [
        "  outputs/a  finished     teacher 98.00 %, alone 90.00 %",
        "  outputs/b  damaged      'outputs/b/run.json' is no JSON: Expecting property name"
        " enclosed in double quotes: line 1 column 2 (char 1).",
        "  outputs/c  interrupted",
    ]


def test_layers_shows_paths_shapes_and_roles_without_the_files(shown: Shown) -> None:
    said = shown("layers", "model=resnet8", "dataset=cifar100", "dataset.root=nowhere")
    lines = [line.split() for line in said.splitlines()]
    assert lines[0] == ["path", "module", "output", "role"]
    assert ["layer1", "Sequential", "(B,", "16,", "32,", "32)", "stages[0]"] in lines
    assert ["layer3.0.downsample.1", "BatchNorm2d", "(B,", "64,", "8,", "8)"] in lines
    last = "fc Linear (B, 100) embedding (its input), logits"
    assert lines[-1] == last.split()


@pytest.mark.parametrize(
    ("words", "output"),
    [
        (("dataset=imagenet",), "(B, 1000)"),
        (("dataset=mnist",), "(B, 10)"),
        (("dataset=stl10", "dataset.classes=[1,2,3]"), "(B, 3)"),
        (("dataset=cifar10", "dataset.class_map={a: [1], b: [2]}"), "(B, 2)"),
        (("dataset=fake", "dataset.num_classes=7"), "(B, 7)"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_layers_knows_the_classes_of_a_dataset(
    words: tuple[str, ...], output: str, shown: Shown
) -> None:
    last = shown("layers", "model=mlp", "model.hidden=[4]", *words).splitlines()[-1]
    assert output in last


def test_cfg_shows_the_config_as_it_would_run(shown: Shown) -> None:
    said = shown("--cfg", "job", "teacher=densenet121", "loss.temperature=2")
    assert "name: densenet121" in said
    assert "temperature: 2" in said
    assert "hydra:" not in said


def test_info_shows_where_the_config_comes_from(kdrun: Kdrun, tmp_path: Path) -> None:
    # In a process of its own: Hydra sets up logging for good.
    assert "loss/mse" in kdrun("--info", "defaults", "loss=mse").stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("typed", "completions"),
    [
        ("kdrun loss=", [f"loss={name}" for name in sorted(LOSSES)]),
        ("kdrun loss.t", ["loss.temperature="]),
        ("kdrun teacher=resnet11", ["teacher=resnet110"]),
        ("kdrun student=wrn_16", ["student=wrn_16_1", "student=wrn_16_2"]),
        ("kdrun recipe.sched", ["recipe.schedule."]),
    ],
)
def test_shells_complete_names_and_keys(
    typed: str, completions: list[str], shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMP_LINE", typed)
    monkeypatch.setenv("COMP_POINT", str(len(typed)))
    assert shown("-sc", "query=bash").split() == completions


@pytest.mark.parametrize("shell", ["bash", "fish", "zsh"])
def test_shells_are_told_how_to_complete(shell: str, shown: Shown) -> None:
    assert "kdrun" in shown("-sc", f"install={shell}")


def test_layers_names_a_plugin_that_cannot_be_imported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["kdrun", "layers", "model=resnet8", "plugins=[nope]"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "the plugin 'nope' can't be imported" in capsys.readouterr().err


@pytest.mark.parametrize("words", [("list", "runs"), ("show", "run"), ("list", "runs", ".")])
def test_runs_are_shown_though_an_installed_plugin_is_broken(
    words: tuple[str, ...], shown: Shown, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point = EntryPoint(name="mine", value="no_such_module", group="kdrun.plugins")
    monkeypatch.setattr("kdrun.core.plugins.entry_points", lambda group: [point])
    write_run(tmp_path / "run")
    shown(*words)
