"""The text of how_to_run.md; tests/stage/test_exporter.py runs its code."""

from typing import Any

import pytest

from kdrun.export.how_to_run import how_to_run


def record(name: str, classes: int = 3, **changed: Any) -> dict[str, Any]:
    """An export.json with one file."""
    check = {
        "samples": 50,
        "accuracy": 0.9,
        "accuracy_in_pytorch": 0.92,
        "equal_decisions": 0.98,
        "largest_difference": 0.25,
        "largest_logit": 12.5,
    }
    file = {
        "row": "distilled",
        "format": name,
        "normalize": False,
        "runtime": "one 1.0",
        "bytes": 1234567,
        "check": check,
    }
    return {
        "classes": [f"class {number}" for number in range(classes)],
        "channels": 3,
        "image_size": [32, 16],
        "mean": [0.1234567891234, 0.5, 0.25],
        "std": [0.5, 0.5, 0.5],
        "files": {f"student.{name}": {**file, **changed}},
    }


@pytest.mark.parametrize("name", ["onnx", "pt2"])
def test_the_code_is_valid_and_has_shape_and_values(name: str) -> None:
    text = how_to_run(record(name))
    code = text.partition("```python\n")[2].removesuffix("```\n")
    compile(code, "how_to_run.md", "exec")
    assert "3, 32, 16" in code
    assert "in ([0.123456789, 0.5, 0.25], [0.5, 0.5, 0.5])" in code  # all that float32 holds
    assert "0.5" not in how_to_run(record(name, normalize=True)).partition("```python")[2]


def test_modules_that_register_operators_are_imported_before_loading() -> None:
    code = how_to_run(record("pt2", imports=["kdrun.compress.quantize.ops"]))
    assert (
        "import torch\nimport kdrun.compress.quantize.ops\n\nnetwork = torch.export.load(" in code
    )


def test_the_figures_of_the_check_are_shown_and_many_classes_are_cut() -> None:
    text = how_to_run(record("onnx", classes=21))
    assert "class 19, and more in export.json." in text
    assert "class 20" not in text
    for words in ("1,234,567 bytes", "with one 1.0 on 50 test images: accuracy 90.00% (92.00%"):
        assert words in text
    assert "class 19." in how_to_run(record("onnx", classes=20))


def test_names_of_a_record_are_text_and_no_code() -> None:
    """A class, a row or a module of a record from elsewhere begins no line and no code."""
    foreign = record("pt2", row="a`\n```python\nimport os", imports=["os; os.system('x')"])
    foreign["classes"][0] = "cat\n\n<script>x</script>\x1b[2J"
    text = how_to_run(foreign)
    assert "os.system" not in text
    assert "import kdrun.compress.quantize.ops\n" in text
    assert r"cat\\n\\n\<script\>x\</script\>\\u001b\[2J" in text
    assert text.count("```") == 2
