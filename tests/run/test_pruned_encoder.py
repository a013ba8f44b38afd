"""A run prunes a transformer of texts."""

import json
from pathlib import Path

from plans import run_to

WORDS = (
    *("task=text", "dataset.subset=160", "recipe.epochs=1", "recipe.batch_size=32", "controls=[]"),
    *("teacher=text_bag", "student=text_transformer", "student.depth=2", "student.width=16"),
    *("student.heads=2", "student.hidden=32", "evaluate.latency.seconds=0.01"),
    "compress=[prune_feed_forward]",
    *("compress.prune_feed_forward.ratio=0.75", "compress.prune_feed_forward.importance=taylor"),
)


def test_a_run_prunes_an_encoder(tmp_path: Path) -> None:
    folder = run_to(tmp_path / "run", *WORDS, base=())
    (made,) = folder.glob("compress-*/model.json")
    assert json.loads(made.read_text())["changes"] == [{"name": "feed_forward", "units": 8}]
