"""Networks that another CPU computed are named, as a run with them is not exact."""

from pathlib import Path

import pytest

from kdrun.stage import artefact
from kdrun.stage.artefact import Artefact, other_instructions


def made_with(*instructions: str) -> Artefact:
    return Artefact(Path(), {"instructions": list(instructions)} if instructions else {})


def test_stages_that_other_instructions_computed_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(artefact, "instruction_set", lambda: "AVX512")
    stages = {
        "teacher": made_with("AVX2"),
        "alone": made_with("AVX2"),
        "old": made_with(),
        "distill": made_with("AVX2", "AVX512"),
        "compress": made_with("AVX512"),
    }
    assert other_instructions(stages) == (
        "teacher, alone computed with AVX2, here is AVX512;"
        " distill computed with AVX2, then AVX512, here is AVX512"
    )
    assert other_instructions({"compress": stages["compress"], "old": stages["old"]}) == ""
