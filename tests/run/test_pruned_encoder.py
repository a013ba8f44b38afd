"""A run prunes a transformer of texts."""

import json
from pathlib import Path
from typing import Any

import pytest
from plans import run_to

WORDS = (
    *("task=text", "dataset.subset=160", "recipe.epochs=1", "recipe.batch_size=32", "controls=[]"),
    *("teacher=text_bag", "student=text_transformer", "student.depth=3", "student.width=16"),
    *("student.heads=4", "student.hidden=32", "evaluate.latency.seconds=0.01"),
)


@pytest.mark.parametrize(
    ("step", "words", "change"),
    [
        ("prune_heads", ("ratio=0.5", "importance=taylor"), {"name": "heads", "heads": 2}),
        ("prune_feed_forward", ("ratio=0.75",), {"name": "feed_forward", "units": 8}),
        ("prune_layers", ("layers=[0,2]",), {"name": "layers", "layers": [0, 2]}),
    ],
)
def test_a_run_prunes_an_encoder(
    step: str, words: tuple[str, ...], change: dict[str, Any], tmp_path: Path
) -> None:
    settings = (f"compress=[{step}]", *(f"compress.{step}.{word}" for word in words))
    folder = run_to(tmp_path / "run", *WORDS, *settings, base=())
    (made,) = folder.glob("compress-*/model.json")
    assert json.loads(made.read_text())["changes"] == [change]
    rows = json.loads((folder / "summary.json").read_text())["rows"]
    assert rows[-1]["macs"] < rows[-2]["macs"]
    assert rows[-1]["parameters"] < rows[-2]["parameters"]
