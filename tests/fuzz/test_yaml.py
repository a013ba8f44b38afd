"""Whatever a config file of a stranger holds ends with a sentence and a known status."""

from pathlib import Path

import pytest
from fuzzer import COMMANDS, empty_folder, end_of_check, fuzz  # noqa: F401 - the fixture
from hypothesis import strategies as st
from test_words import VALUES

CONF = Path(__file__).parents[2] / "conf"
# Files of groups that a word can choose: group -> files with some keys.
GROUPS = ("loss", "recipe", "dataset", "model", "scheme", "compress", "experiment")
LINES = (
    *("_target_: os.mkdir", "a: &a [*a]", "a: *b", "? [1]", "- 1", "name: [", "name: {", "a:\tb"),
    *("!!python/object/apply:os.mkdir [x]", "!!binary x", "!x y", "&a a: *a", "<<: {a: 1}", "---"),
    *("defaults: [nowhere]", "defaults: 1", "defaults: [{a: b}]", "defaults: [_self_, kd]", "..."),
    *("# @package _global_", "# @package hydra", "# @package ../x", "plugins: [json]", "%YAML 9"),
    *("hydra: {callbacks: {x: 1}}", "hydra: 1", "hydra: {run: {dir: ../x}}", "a: '\x00'", "1: 2"),
    *("a: 2001-01-01", "a: 0o9", "a: 1_0", "null: 1", "true: false", "name: null", "[1]: 2"),
)


def files() -> list[tuple[str, str]]:
    """Group and text of each config file of kdrun that is short."""
    found = [(group, path) for group in GROUPS for path in sorted((CONF / group).rglob("*.yaml"))]
    texts = [(group, path.read_text(encoding="utf-8")) for group, path in found]
    return [(group, text) for group, text in texts if len(text) < 3_000]


@st.composite
def sent(draw: st.DrawFn) -> tuple[str, str]:
    """A group, and a file of it in which lines were changed."""
    group, text = draw(st.sampled_from(files()))
    lines = text.splitlines()
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(len(lines) - 1, 0)))
        other = draw(st.one_of(st.sampled_from(LINES), st.text(max_size=20)))
        how = draw(st.integers(0, 5))
        if how == 0:
            lines.insert(at, other)
        elif how == 1 and lines:
            lines[at] = other
        elif how == 2 and lines:
            del lines[at]
        elif how == 3 and lines:
            lines[at] = draw(st.sampled_from([" ", "  ", "\t", "- "])) + lines[at]
        elif lines:
            key = lines[at].partition(":")[0]
            lines[at] = f"{key}: {draw(st.sampled_from(VALUES))}"
    return group, "\n".join(lines)


def test_whatever_a_config_file_holds_ends_with_a_sentence(
    empty_folder: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def end_of(given: tuple[str, str]) -> str:
        group, text = given
        path = empty_folder / "sent" / group / "mine.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
        word = "student=mine" if group == "model" else f"{group}=mine"
        return end_of_check(["--config-dir", "sent", word], monkeypatch, capsys)

    _, wrong = fuzz(sent(), end_of, examples=COMMANDS)
    assert wrong == {}
