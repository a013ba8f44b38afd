"""What a run is told of losses and teachers that can't do their work."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from plans import run_to
from tiny import TINY

from kdrun.check.preflight import check
from kdrun.config.compose import compose_runs
from kdrun.core.errors import ConfigError

Notes = Callable[..., list[str]]


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Notes:
    """Run the command's words in this process; what the student's record tells."""
    monkeypatch.chdir(tmp_path)

    def run_here(*words: str, base: Sequence[str] = TINY) -> list[str]:
        folder = run_to(tmp_path / f"run{len(list(tmp_path.glob('run*')))}", *words, base=base)
        record = json.loads((folder / "student" / "artefact.json").read_text())
        return record["notes"]

    return run_here


def unbalanced(notes: list[str]) -> list[str]:
    return [note for note in notes if "times its label term" in note]


def test_a_term_that_drowns_the_labels_is_told_once(notes):
    (told,) = unbalanced(notes("loss=mse", "loss.alpha=0.9999", "controls=[]"))
    ratio = float(told.split(" times")[0].split()[-1])
    assert ratio > 100
    assert told.endswith("where 0.01 to 100 is usual; look at the weights of the loss")


def test_a_term_without_a_say_is_told(notes):
    (told,) = unbalanced(notes("loss=reverse_kl", "loss.weight=1e-6", "controls=[]"))
    assert float(told.split(" times")[0].split()[-1]) < 0.01


def test_a_term_that_still_rises_is_judged_by_its_full_weight(notes):
    words = ("loss=reverse_kl", "controls=[]", "recipe.epochs=3")
    assert unbalanced(notes(*words, "loss.weight={value: 1.0, warmup: 1000}")) == []
    (told,) = unbalanced(notes(*words, "loss.weight={value: 1e6, warmup: 1000}"))
    assert float(told.split(" times")[0].split()[-1]) > 1e4


@pytest.mark.parametrize("loss", ["kd", "ce", "simkd"])
def test_usual_losses_are_told_nothing_of(notes, loss):
    assert unbalanced(notes(f"loss={loss}", "controls=[]")) == []


def test_a_teacher_that_is_worse_than_the_student_alone_is_told_before(notes):
    words = ("recipe.epochs=8", "student.hidden=[32]", "teacher.recipe={lr: 1e-9}")
    (told,) = [note for note in notes(*words) if note.startswith("teacher is worse")]
    assert told.endswith("train it longer, or take another")
    assert not [note for note in notes(*words, "controls=[]") if "worse" in note]


def test_relations_of_one_sample_are_refused(notes):
    with pytest.raises(ConfigError) as error:
        notes("loss=pkt", "recipe.batch_size=4", "recipe.accumulate=4")
    (fault,) = error.value.faults
    assert str(fault).startswith("loss: it compares the samples of a batch, and a step computes 1")


def faults(*words: str) -> list[str]:
    """What the pre-flight says of a small run."""
    (job,) = compose_runs([*TINY, *words], multirun=False)
    with pytest.raises(ConfigError) as error:
        check(job.tree)
    return [str(fault) for fault in error.value.faults]


RESNETS = ("teacher=resnet8", "student=resnet8", "controls=[]")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("loss=attention", "loss.pairs=[]"), "loss.pairs: [] should be"),
        (("loss=layer_fusion", "loss.teacher_places=[]"), "loss.teacher_places: [] should be"),
        (("loss=combined", "loss.terms={}"), "loss.terms: should have at least 1"),
        (("loss=combined", "loss.terms={a/b: {name: kd}}"), "loss.terms.a/b: 'a/b' should be a"),
        (
            ("loss=combined", "loss.terms={combined: {terms: {kd: {}}}}"),
            "loss.terms.combined: is a combined loss in a combined loss",
        ),
        (
            ("loss=fitnet", "loss.pairs=[[embedding,embedding]]", "recipe.batch_size=1"),
            "loss: its adapters have norms, which can't learn from one sample",
        ),
        (
            ("loss=simkd", "loss.at=embedding", "recipe.batch_size=16", "recipe.accumulate=16"),
            "student: CifarResNet cannot be trained on 1 sample at a time",
        ),
        (("loss=dkd", "recipe.mixup=0.2"), "loss: it needs one label for each sample"),
        (
            ("loss=combined", "loss.terms={wsld: {}}", "recipe.cutmix=0.2"),
            "loss: it needs one label for each sample",
        ),
    ],
)
def test_what_does_not_go_together_is_refused_before_the_start(words, said):
    found = faults(*RESNETS, *words)
    assert len(found) == 1
    assert found[0].startswith(said)


def test_a_place_that_gives_no_tensor_is_refused(tmp_path, monkeypatch):
    (tmp_path / "odd_parts.py").write_text(
        "from torch import nn\n"
        "class Two(nn.Module):\n"
        "    def forward(self, images):\n"
        "        return images, 2\n"
        "class Odd(nn.Module):\n"
        "    def __init__(self, num_classes, in_channels):\n"
        "        super().__init__()\n"
        "        self.two, self.unused = Two(), nn.Conv2d(in_channels, 4, 3)\n"
        "        self.body = nn.Conv2d(in_channels, 4, 3)\n"
        "        self.fc = nn.Linear(4, num_classes)\n"
        "    def forward(self, images):\n"
        "        maps = self.body(self.two(images)[0])\n"
        "        return self.fc(maps.mean((2, 3)))\n"
        "MODELS = {'odd': 'odd_parts:Odd'}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("kdrun.core.plugins._named", {"odd_parts"})  # as by the command itself
    for place in ("two", "unused"):
        words = ("plugins=[odd_parts]", "loss=fitnet", f"loss.pairs=[[{place},layer2]]", *RESNETS)
        (job,) = compose_runs(words, multirun=False)
        own = {key: job.tree["student"][key] for key in ("init", "freeze", "taps")}
        tree = {**job.tree, "student": {"name": "odd", **own}}
        with pytest.raises(ConfigError) as error:
            check(tree)
        (fault,) = error.value.faults
        assert str(fault).startswith(f"loss: the student's module {place!r} gives no tensor")


def test_first_phases_keep_within_the_recipes_steps_and_are_told_apart(notes, tmp_path):
    base = [word for word in TINY if not word.startswith(("teacher", "student"))]
    words = ("loss=fitnet", "loss.first_epochs=30", "recipe.max_steps=2")
    notes(*words, base=[*base, *RESNETS[:2]])
    record = json.loads((tmp_path / "run0" / "student" / "artefact.json").read_text())
    assert (record["first_epochs"], record["epochs"]) == (1, 1)
    summary = json.loads((tmp_path / "run0" / "summary.json").read_text())
    rows = {row["model"]: row["first_epochs"] for row in summary["rows"]}
    assert rows == {"teacher": 0, "alone": 0, "distilled": 1}
