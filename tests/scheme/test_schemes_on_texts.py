"""Every scheme learns from texts, or says in one sentence why it does not."""

from pathlib import Path

import pytest
from plans import plan, run_to

from kdrun.core.errors import ConfigError
from kdrun.scheme.table import SCHEMES

TINY_TEXTS = (
    *("task=text", "dataset.subset=160", "recipe.epochs=1", "controls=[]"),
    *("teacher=text_bag", "student=text_bag", "student.width=8"),
    "evaluate.latency.seconds=0.01",
)
_BAG = "{name: text_bag, width: 8}"
_DEEP = ("student=text_transformer", "student.depth=2", "student.width=8", "student.heads=2")
LEARNS = {
    "none": (),
    "assistants": (f"scheme.assistants=[{_BAG}]",),
    "born_again": ("scheme.generations=2",),
    "concepts": ("scheme.map={nets: [email, http], others: [asyncio, xml]}",),
    "moving_teacher": (),
    "mutual": (f"scheme.peers=[{_BAG}]",),
    "own_stages": (*_DEEP, "student.hidden=8"),
    "progressive": (*_DEEP, "student.hidden=8", "teacher=text_transformer", "teacher.width=8"),
    "shared_body": (
        "teacher=text_transformer",
        "teacher.depth=2",
        "teacher.width=8",
        "teacher.heads=2",
    ),
    "teachers": (f"scheme.others=[{_BAG}]",),
}
FOR_IMAGES = {
    "dafl": "a generator is for images, and the dataset has texts",
    "deep_inversion": "scheme=deep_inversion is for images, and the dataset has texts",
    "domain_shift": "scheme.transfer is for images, and the dataset has texts",
    "zskt": "a generator is for images, and the dataset has texts",
}


def test_every_scheme_is_here() -> None:
    assert LEARNS.keys() | FOR_IMAGES.keys() == SCHEMES.keys()


@pytest.mark.parametrize("scheme", LEARNS)
def test_a_scheme_learns_from_texts(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = (f"scheme={scheme}", *LEARNS[scheme])
    run = run_to(Path("run"), *words, base=TINY_TEXTS)
    assert (run / "summary.json").exists()


@pytest.mark.parametrize("scheme", FOR_IMAGES)
def test_a_scheme_of_images_says_so_before_training(scheme: str) -> None:
    words = (
        (f"scheme={scheme}", "scheme.transfer=any")
        if scheme == "domain_shift"
        else (f"scheme={scheme}",)
    )
    with pytest.raises(ConfigError, match=FOR_IMAGES[scheme]):
        plan(*words, base=TINY_TEXTS)
