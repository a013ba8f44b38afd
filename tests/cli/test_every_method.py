"""Every loss and scheme in a real run: it learns, and a run that was cut off goes on exactly."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny import Main, result

from kdrun.loss.table import LOSSES
from kdrun.scheme.table import SCHEMES

COMMON = (
    "teacher=resnet14",
    "student=resnet8",
    "controls=[]",
    "dataset.subset=96",
    "recipe.epochs=4",
    "recipe.batch_size=16",
    "recipe.lr=0.02",
    "evaluate.latency.seconds=0.01",
    "threads=1",
)
# The same for losses on layers of texts: `text` is the folder that the fixture makes.
OF_TEXTS = ("distilbert", "minilm", "minilmv2", "patient_kd", "tinybert")
TEXTS = (
    "dataset=sentences",
    "dataset.root=texts",
    "teacher=text_transformer",
    "student=text_transformer",
    *(
        f"{role}.{key}"
        for role, depth in (("teacher", 4), ("student", 2))
        for key in (f"depth={depth}", "width=16", "heads=2", "hidden=32")
    ),
    "recipe.warmup_epochs=0",
    *COMMON[2:3],
    *COMMON[4:],
)
OFTEN = "checkpoint_seconds=0.01"  # so that there is a checkpoint of the middle of an epoch
# What is needed beside the defaults, to be short or to be seen at work.
WORDS: dict[str, tuple[str, ...]] = {
    "loss=ab": ("loss.first_epochs=1",),
    "loss=combined": ("loss.terms={attention: {weight: 100}, kd: {alpha: 0.5}}",),
    "loss=minilmv2": ("loss.relation_heads=4",),
    "loss=tinybert": ("loss.first_epochs=1",),
    "loss=fsp": ("loss.first_epochs=1",),
    "loss=ft": ("loss.first_epochs=1",),
    "scheme=assistants": ("scheme.assistants=[resnet8]",),
    "scheme=born_again": ("scheme.generations=2",),
    "scheme=concepts": ("scheme.map=digits_even_odd",),
    "scheme=deep_inversion": (
        "scheme.images=64",
        "scheme.batch_size=32",
        "scheme.iterations=20",
    ),
    "scheme=domain_shift": ("scheme.transfer=pictures",),
    "scheme=mutual": ("scheme.peers=[resnet8,resnet14]", "loss=attention"),
    "scheme=progressive": ("scheme.epochs=1",),
    "scheme=teachers": ("scheme.others=[resnet8]", "loss=attention"),
}
# Where the training is that the cut falls into, where that is not the student's folder.
FOLDERS: dict[str, str] = {
    "scheme=mutual": "cohort",
}

CHOICES = [*(f"loss={name}" for name in LOSSES), *(f"scheme={name}" for name in SCHEMES)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One output root for all, so that the teacher is trained once; with a folder of pictures."""
    made = tmp_path_factory.mktemp("methods")
    (made / "pictures").mkdir()
    random = np.random.default_rng(0)
    for at in range(96):
        pixels = random.integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(made / "pictures" / f"{at}.png")
    (made / "texts").mkdir()
    for name, words in {"good": "a fine film of joy", "bad": "a dull film of pain"}.items():
        lines = (" ".join(random.permutation(words.split())) for _ in range(48))
        (made / "texts" / f"{name}.txt").write_text("\n".join(lines))
    return made


@pytest.mark.parametrize("choice", CHOICES)
def test_a_run_learns_and_goes_on_exactly_after_it_was_cut_off(choice: str, command: Main) -> None:
    common = TEXTS if choice.removeprefix("loss=") in OF_TEXTS else COMMON
    name, words = choice.replace("=", "-"), (choice, *WORDS.get(choice, ()), *common)
    status, whole = command(f"{name}-whole", *words, f"name={name}-whole")
    assert status == 0
    measured = whole / FOLDERS.get(choice, "student") / "metrics.jsonl"
    trained = [
        record
        for record in map(json.loads, measured.read_text().splitlines())
        if record["split"] == "train" and record["phase"] == "main"
    ]
    assert len(trained) == 4
    assert trained[-1]["loss"] < trained[0]["loss"]

    # What is shared is in the store by now: all steps are those of stages that are not.
    status, cut = command(f"{name}-cut", *words, OFTEN, f"name={name}-cut", fault="step:10:raise")
    assert status == 1
    assert not (cut / "summary.json").exists()
    status, resumed = command(f"{name}-cut", "resume", str(cut))
    assert status == 0
    assert result(resumed) == result(whole)
