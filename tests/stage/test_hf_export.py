"""`export=[hf]`: a folder that transformers loads, with equal answers."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from plans import plan, run_to
from text_data import texts_of
from text_zoo import CONFIGS, build, texts
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from kdrun import dataset
from kdrun.core.errors import ConfigError, UserError
from kdrun.core.mode import evaluating
from kdrun.export import hf_folder

SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
BERT = {"model_type": "bert", "max_position_embeddings": 128, "intermediate_size": 16, **SIZES}
DATA = (
    *("task=text", "dataset.subset=200", "dataset/tokenizer=wordpiece"),
    *("dataset.tokenizer.size=400", "recipe.epochs=1", "controls=[]"),
    *("evaluate.latency.seconds=0.01", "teacher=text_bag"),
)
STUDENT = ("student=hf", "student.path=bert", "student.pretrained=false")
BYTES = "student.tokenizer={name: bytes}"
WORDS = (*DATA, *STUDENT, "student.tokenizer={name: wordpiece, size: 300}")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a quantized student, exported."""
    folder = tmp_path_factory.mktemp("hf")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("bert").mkdir()
        Path("bert/config.json").write_text(json.dumps(BERT))
        steps = ("compress=prune_quantize", "export=[hf,pt2]")
        run_to(Path("run"), *WORDS, *steps, base=())
    return folder / "run"


def test_transformers_gives_the_answers_that_the_run_recorded(run: Path) -> None:
    folder = run / "export" / "student.hf"
    network = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert {path.name for path in folder.iterdir()} == {
        *("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
    }
    recorded = np.load(run / "predictions.npz")
    config = yaml.safe_load((run / "config.yaml").read_text())
    shown = texts_of(dataset.load(config["dataset"]), "test")
    inputs = tokenizer(shown, padding=True, truncation=True, return_tensors="pt")
    assert set(inputs) == {"input_ids", "attention_mask"}
    with torch.inference_mode():
        logits = network(**inputs).logits
    confidence, predicted = logits.softmax(1).max(1)
    np.testing.assert_allclose(confidence, recorded["distilled/confidence"], atol=1e-4)
    assert np.array_equal(predicted, recorded["distilled/predicted"])
    names = json.loads((run / "export/export.json").read_text())["classes"]
    assert list(network.config.id2label.values()) == names


def test_of_a_quantized_network_the_one_before_is_written(run: Path) -> None:
    record = json.loads((run / "export/export.json").read_text())
    assert {name: file["row"] for name, file in record["files"].items()} == {
        **dict.fromkeys(("student.hf", "student.pt2"), "distilled"),
        **dict.fromkeys(("compress-2-recover.hf", "compress-2-recover.pt2"), "2 recover"),
        "compress-3-quantize.pt2": "3 quantize",
    }
    file = record["files"]["student.hf"]
    assert file["check"]["relative_difference"] < 1e-5
    assert file["runtime"].startswith("transformers ")
    assert file["bytes"] == sum(
        path.stat().st_size for path in (run / "export/student.hf").iterdir()
    )


def test_its_code_runs_in_the_folder(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (run / "export/how_to_run.md").read_text()
    code = text.partition("## student.hf")[2].partition("```python\n")[2].partition("```")[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(run / "export")
        exec(compile(code, "how_to_run.md", "exec"), {})
    assert "'" in capsys.readouterr().out


def test_an_exported_folder_is_a_teacher_with_its_head(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run.parent)
    teacher = ("teacher=hf", "teacher.path=run/export/student.hf")
    words = (*DATA, *teacher, "teacher.recipe={lr: 1.0e-12}", "student=text_bag")
    again = run_to(Path("again"), *words, base=())
    before, after = (np.load(folder / "predictions.npz") for folder in (run, again))
    found, expected = after["teacher/confidence"], before["distilled/confidence"]
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("student=text_cnn",), "TextCNN is none"),
        ((*STUDENT, "student.pool=mean", BYTES), "has no head that reads the mean over the tokens"),
        ((*STUDENT, BYTES), "no form for the tokenizer of this"),
    ],
)
def test_what_has_no_form_is_refused_before_training(
    words: tuple[str, ...], message: str, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run.parent)
    with pytest.raises(ConfigError, match=message):
        plan(*words, "export=[hf]", base=DATA)


@pytest.mark.parametrize("family", CONFIGS)
def test_every_family_is_loaded_with_equal_answers(family: str, tmp_path: Path, run: Path) -> None:
    network = build(f"hf {family}")
    hf_folder.check(network, None)
    network.network.save_pretrained(tmp_path)
    forward = hf_folder.load(tmp_path).forward
    inputs = texts([5, 2])
    with evaluating(network), torch.inference_mode():
        torch.testing.assert_close(forward(*inputs.values()), network(inputs), atol=1e-6, rtol=0)


def test_a_network_with_other_layers_than_its_family_is_refused() -> None:
    network = build("hf bert")
    body = network.network.bert.encoder
    body.layer[1].intermediate.dense = torch.nn.Linear(16, 20)
    with pytest.raises(
        UserError, match=r"'bert.encoder.layer.1.intermediate.dense.weight' is \(20, 16\)"
    ):
        hf_folder.check(network, None)
