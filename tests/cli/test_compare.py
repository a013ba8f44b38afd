"""`kdrun compare` with its words, on made-up runs and on one small real sweep."""

import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny import TINY, Kdrun

from benchmarks.synthetic_runs import write_run
from kdrun.cli import main as cli
from kdrun.core.control_characters import show_controls

Said = Callable[..., tuple[int, str, str]]


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Said:
    """Status, output and complaint of the command, run in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str, width: int = 80) -> tuple[int, str, str]:
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setattr("sys.argv", ["kdrun", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capsys.readouterr()
        return end.value.code, out, err

    return run


def grid(folder: Path, temperatures: tuple[float, ...] = (1, 4), seeds: int = 3) -> Path:
    for number, temperature in enumerate(temperatures):
        for share in (0.1, 0.5):
            for seed in range(seeds):
                values = {"loss.temperature": temperature, "loss.alpha": share, "seed": seed}
                write_run(folder / f"{number}-{share}-{seed}", values)
    (folder / "multirun.yaml").touch()
    return folder


def numbers(text: str) -> list[str]:
    """Every figure of the tables but the keys' own values, in order."""
    lines = [line for line in text.splitlines() if re.match(r" [\d ]*(teacher|alone|dist)", line)]
    found = {one for line in lines for one in re.findall(r"\d+\.\d+(?: k)?", line)}
    return sorted(found - {"0.1", "0.5"})


def test_a_comparison_is_a_table_and_sentences(said, tmp_path):
    grid(tmp_path / "s")
    status, out, err = said("compare", "s")
    assert (status, err) == (0, "")
    assert out.startswith("Table 1: digits, test split of 360 samples; 4 settings, 12 runs\n")
    plain = " ".join(out.split())
    for sentence in (
        "Validation chooses loss.alpha=",
        "the test split chose nothing",
        "Student's paired t test",
        "after Holm's correction for 4",
        "^ on the Pareto front",
    ):
        assert sentence in plain


@pytest.mark.parametrize("width", [60, 80, 100, 140, 200])
def test_no_figure_is_cut_at_any_width(said, tmp_path, width):
    grid(tmp_path / "s")
    _, widest, _ = said("compare", "s", width=400)
    _, out, _ = said("compare", "s", width=width)
    assert max(map(len, out.splitlines())) <= width
    assert numbers(out) == numbers(widest)
    assert widest.count("─ \n") == 1


def test_the_table_at_80_columns(said, tmp_path):
    grid(tmp_path / "s")
    _, out, _ = said("compare", "s")
    lines = [line.rstrip() for line in out.splitlines()]
    first = lines.index(" #  model      seeds     last              interval")
    assert [line.split()[:2] for line in lines[first + 2 : first + 8]] == [
        ["teacher", "3"],
        ["alone", "3"],
        *(["1", "distilled"], ["2", "distilled"], ["3", "distilled"], ["4", "distilled"]),
    ]
    assert " 3  0.5         1" in out


def test_what_is_counted_has_no_interval(said, tmp_path):
    grid(tmp_path / "s")
    assert "2.74 k to 2.74 k" not in said("compare", "s", "--metric", "bytes", width=300)[1]


def test_only_the_keys_that_differ_are_columns_where_there_is_room(said, tmp_path):
    grid(tmp_path / "s", temperatures=(4,))
    _, out, _ = said("compare", "s", width=200)
    assert "loss.alpha" in out
    assert "temperature" not in out
    assert "recipe" not in out


def test_tables_that_do_not_compare_say_why(said, tmp_path):
    grid(tmp_path / "s")
    write_run(tmp_path / "other", {"dataset.name": "mnist"})
    _, out, _ = said("compare", "s", "other", width=200)
    assert "Table 2: mnist, test split of 360 samples; 1 setting, 1 run\n" in out
    assert "Not comparable with table 1. Another dataset than table 1: dataset=mnist, not" in out
    assert "One seed each" in out


def test_what_is_left_out_is_named(said, tmp_path):
    grid(tmp_path / "s")
    write_run(tmp_path / "s" / "bad", manifest={"status": "failed", "error": "loss became NaN"})
    _, out, _ = said("compare", "s")
    assert "1 run left out:\n  s/bad: failed: loss became NaN\n" in out


def test_many_runs_that_are_left_out_are_counted(said, tmp_path):
    write_run(tmp_path / "s" / "good")
    for number in range(25):
        write_run(tmp_path / "s" / str(number), manifest={"status": "interrupted"})
    _, out, _ = said("compare", "s")
    assert "25 runs left out:" in out
    assert out.count(": interrupted") == 20
    assert "and 5 more: --json names them" in out


def test_none_left_to_compare_is_a_mistake(said, tmp_path):
    write_run(tmp_path / "s", manifest={"status": "failed", "error": "loss became NaN"})
    status, out, err = said("compare", "s")
    assert (status, out) == (2, "")
    assert err.splitlines()[0] == "kdrun: none of these runs can be compared."
    assert "s: failed: loss became NaN" in err


def test_of_many_tests_only_what_they_found_is_told(said, tmp_path):
    for temperature in range(1, 12):
        for seed in range(3):
            values = {"loss.temperature": temperature, "seed": seed}
            merits = {"distilled": 0.1 if temperature == 7 else 0.87}
            write_run(tmp_path / "s" / f"{temperature}-{seed}", values, merits=merits)
    _, out, _ = said("compare", "s")
    plain = " ".join(out.split())
    assert "loss.temperature=7 is worse than alone by" in plain
    assert "is better than loss.temperature=7 by" in plain
    assert "The other 10 of 11 tests against alone found no evidence of a difference" in plain
    assert "The other 9 of 10 tests of settings found no evidence of a difference" in plain
    assert "No evidence" not in plain
    _, out, _ = said("compare", "s", "--where", "loss.temperature=1,2,3,4,5,6,8,9,10,11")
    assert "None of 10 tests against alone found evidence" in " ".join(out.split())


def test_of_many_findings_a_few_are_told(said, tmp_path):
    for temperature in range(1, 12):
        for seed in range(3):
            values = {"loss.temperature": temperature, "seed": seed}
            write_run(tmp_path / "s" / f"{temperature}-{seed}", values, merits={"distilled": 0.1})
    _, out, _ = said("compare", "s")
    plain = " ".join(out.split())
    assert plain.count("is worse than alone by") == 8
    assert "3 more of 11 tests against alone found a difference, 0 did not" in plain


def test_long_tables_end_with_how_many_lines_are_not_shown(said, tmp_path):
    for temperature in range(70):
        write_run(tmp_path / "s" / str(temperature), {"loss.temperature": temperature})
    _, out, _ = said("compare", "s", width=250)
    assert "and 12 more lines: --csv has all" in out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--where", "loss.alpha=0.5"), "2 settings, 6 runs"),
        (("--where", "loss.alpha=0.5", "--where", "loss.temperature=4"), "1 setting, 3 runs"),
        (("--where", "loss.temperature=1,4.0"), "4 settings, 12 runs"),
        (("--where", "seed=0,2"), "4 settings, 8 runs"),
        (("--where", "teacher.hidden=[64]"), "4 settings, 12 runs"),
        (("--where=loss=kd",), "4 settings, 12 runs"),
        (("--by", "loss.temperature"), "averages over 2 settings of the other keys, by seed"),
        (("--metric", "nll"), "NLL sd"),
        (("--row", "alone"), "top-1"),
        (("--baseline", "loss.temperature=1"), "differs from loss.alpha=0.5 loss.temperature=1"),
        (("--baseline", "teacher"), "teacher by"),
        (("--sort", "accuracy"), "nothing was chosen by it"),
        (("--sort", "loss.temperature"), "Sorted by loss.temperature."),
    ],
)
def test_options_do_what_they_say(said, tmp_path, words, expected):
    grid(tmp_path / "s")
    status, out, err = said("compare", "s", *words, width=300)
    assert (status, err) == (0, "")
    assert expected in " ".join(out.split())


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ((), "compare: name run folders, sweep folders or globs."),
        (("nowhere",), "there is no 'nowhere'."),
        (("ss",), "there is no 'ss'.\n  nearest: s"),
        (("s", "--metric", "acc"), "no metric is called 'acc'."),
        (("s", "--metric", "latencie"), "'latencie'.\n  nearest: latency"),
        (("s", "--by", "loss.temp"), "no key of these runs is called 'loss.temp'."),
        (("s", "--where", "loss.alpha"), "--where loss.alpha: it takes KEY=VALUE"),
        (("s", "--where", "loss.alpha=7"), "no run has loss.alpha=7.\n  loss.alpha is 0.1, 0.5"),
        (("s", "--where", "seed=7"), "no run has seed=7.\n  seed is 0"),
        (("s", "--by", "seed", "--where", "seed=0"), "no key of these runs is called 'seed'"),
        (("s", "--baseline", "alone", "--baseline", "loss.alpha=1"), "--baseline takes KEY=VALUE"),
        (("s", "--baseline", "alon"), "no row of these runs is called 'alon'"),
        (("s", "--sort", "bites"), "no key of these runs is called 'bites'"),
        (("s", "--wheer", "x=1"), "compare: unrecognized arguments: --wheer"),
        (("--csv", "s"), "compare: --csv takes a file; it must follow the paths."),
    ],
)
def test_mistakes_are_one_sentence_and_status_2(said, tmp_path, words, complaint):
    grid(tmp_path / "s", seeds=1)
    status, out, err = said("compare", *words)
    assert (status, out) == (2, "")
    assert complaint in err
    assert "Traceback" not in err
    assert len(err.splitlines()) <= 4


def strict(text: str) -> Any:
    def refuse(word: str) -> None:
        raise AssertionError(word)

    return json.loads(text, parse_constant=refuse)


def test_json_is_strict_and_complete(said, tmp_path):
    grid(tmp_path / "s")
    summary = tmp_path / "s" / "0-0.1-0" / "summary.json"
    summary.write_text(summary.read_text().replace('"ece": 0.05', '"ece": NaN'))
    write_run(tmp_path / "s" / "bad", manifest={"status": "failed", "error": "x"})
    status, out, _ = said("compare", "s", "--by", "loss.alpha", "--json")
    tree = strict(out)
    assert (status, tree["format"], len(tree["runs"])) == (0, 1, 12)
    assert tree["left_out"] == [{"path": "s/bad", "kind": "failed", "reason": "failed: x"}]
    (table,) = tree["tables"]
    assert table["keys"] == ["loss.alpha", "loss.temperature"]
    assert table["settings"][0]["values"] == {"loss.alpha": 0.1, "loss.temperature": 1}
    assert table["settings"][0]["runs"]["2"] == "s/0-0.1-2"
    line = table["lines"][2]
    assert (line["model"], line["settings"]) == ("distilled", [0])
    found = line["metrics"]["accuracy"]
    assert set(found) == {"n", "mean", "deviation", "low", "high", "by_seed"}
    assert sum(found["by_seed"].values()) / 3 == pytest.approx(found["mean"])
    assert line["metrics"]["ece"]["n"] == 2
    assert len(table["tests"]) == 7
    assert table["tests"][0]["sentence"].endswith(".")
    assert table["choice"]["setting"] in range(4)
    assert table["marginal"]["values"] == [0.1, 0.5]
    assert table["marginal"]["tests"]


def test_values_that_json_has_not_are_null(said, tmp_path):
    for number, limit in enumerate((float("inf"), 1.0)):
        write_run(tmp_path / "s" / str(number), {"loss.limit": limit})
    (table,) = strict(said("compare", "s", "--json")[1])["tables"]
    assert [one["values"]["loss.limit"] for one in table["settings"]] == [1.0, None]


def test_what_all_settings_share_has_no_values_of_keys(said, tmp_path):
    grid(tmp_path / "s", seeds=1)
    _, out, _ = said("compare", "s", "--markdown")
    assert "| teacher |  |  | 1 |" in out
    assert "| distilled | 0.1 | 1 | 1 |" in out


def test_csv_has_a_row_a_line_with_every_figure(said, tmp_path):
    grid(tmp_path / "s")
    _, out, _ = said("compare", "s", "--csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["model"] for row in rows] == ["teacher", "alone", *["distilled"] * 4]
    assert [row["loss.temperature"] for row in rows] == ["", "", "1", "4", "1", "4"]
    assert rows[2]["accuracy_n"] == "3"
    assert float(rows[2]["accuracy_low"]) < float(rows[2]["accuracy_mean"])
    assert rows[2]["seeds"] == "0 1 2"


NASTY = 'a|b_c & 50 % $x$ #1 {y} ~z ^w \\q <i> "quoted", `code` [l](u)\nnext'


def nasty(folder: Path) -> None:
    for number, name in enumerate((NASTY, "plain")):
        write_run(folder / str(number), {"loss.note": name})


def test_markdown_is_escaped(said, tmp_path):
    nasty(tmp_path / "s")
    _, out, _ = said("compare", "s", "--markdown")
    table = [line for line in out.splitlines() if line.startswith("|")]
    columns = {len(re.findall(r"(?<!\\)\|", line)) for line in table if "valid" in table[0]}
    assert len(columns) == 2  # of the lines' table and of the tests' one
    assert r"a\|b\_c \& 50 % \$x\$ \#1 \{y\} \~z \^w \\q \<i\>" in out
    assert r"\[l\](u) next" in out


def test_latex_is_escaped(said, tmp_path):
    nasty(tmp_path / "s")
    _, out, _ = said("compare", "s", "--latex")
    for text in (
        r"a\textbar{}b\_c \& 50 \% \$x\$ \#1 \{y\} \textasciitilde{}z \textasciicircum{}w",
        r"\textbackslash{}q \textless{}i\textgreater{}",
        "{[}l{]}(u) next",
    ):
        assert text in out
    body = re.findall(r"^(.*) \\\\$", out, re.MULTILINE)
    assert len({len(re.findall(r"(?<!\\)&", line)) for line in body}) == 2
    assert out.count(r"\begin{tabular}") == out.count(r"\end{tabular}") == 2


def test_csv_keeps_every_sign(said, tmp_path):
    nasty(tmp_path / "s")
    said("compare", "s", "--csv", "t.csv")
    with (tmp_path / "t.csv").open(newline="") as file:
        assert NASTY in [row["loss.note"] for row in csv.DictReader(file)]


def test_the_terminal_takes_no_value_for_markup(said, tmp_path):
    for number, name in enumerate(("[red]x[/red]", "[/]")):
        write_run(tmp_path / "s" / str(number), {"loss.note": name})
    _, out, _ = said("compare", "s", width=300)
    assert "[red]x[/red]" in out


def test_files_are_written_beside_the_tables(said, tmp_path):
    grid(tmp_path / "s")
    status, out, _ = said("compare", "s", "--json", "c.json", "--latex=c.tex", width=300)
    assert status == 0
    assert out.startswith("Table 1")
    assert out.endswith("written to c.json\nwritten to c.tex\n")
    assert strict((tmp_path / "c.json").read_text())["tables"]
    assert (tmp_path / "c.tex").read_text().endswith("\n")


def test_nothing_heavy_is_loaded(tmp_path):
    grid(tmp_path / "s")
    code = (
        "import sys; sys.argv = ['kdrun', 'compare', 's']; from kdrun.cli.main import main\n"
        "try: main()\n"
        "finally: print(sorted({'torch', 'hydra', 'pydantic', 'scipy', 'omegaconf', 'sklearn'}"
        " & set(sys.modules)), file=sys.stderr)"
    )
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60,
        check=True, env={"PYTHONPATH": root},
    )  # fmt: skip
    assert done.stderr == "[]\n"


def test_a_real_sweep_is_compared_chosen_from_and_shown(kdrun: Kdrun, tmp_path: Path) -> None:
    kdrun("-m", "loss.temperature=1,8", "seed=0,1", *TINY)
    out = kdrun("compare", "outputs", COLUMNS="200").stdout
    assert "2 settings, 4 runs" in out
    assert "Validation chooses loss.temperature=" in out
    assert "left out" not in out
    (table,) = strict(kdrun("compare", "outputs", "--json").stdout)["tables"]
    models = [(line["model"], len(line["settings"])) for line in table["lines"]]
    assert models == [("teacher", 2), ("alone", 2), ("distilled", 1), ("distilled", 1)]
    for line in table["lines"]:
        assert {"validation", "best_validation", "latency"} <= line["metrics"].keys()
    run = max(tmp_path.glob("outputs/sweeps/*/*/*/run.json")).parent
    row = json.loads((run / "summary.json").read_text())["rows"][2]
    record = json.loads((run / "student" / "artefact.json").read_text())
    assert row["validation"] == record["validation"]
    assert row["best"]["validation"] == record["best_validation_accuracy"]
    assert "recipe=quick" not in out
    assert "4 runs" in kdrun("compare", "outputs", "--where", "recipe=quick").stdout
    shown = kdrun("show", str(run), COLUMNS="200").stdout
    for text in (
        "settings: loss.temperature=8, seed=1",
        "from the store",
        "predictions.npz",
        "best",
    ):
        assert text in shown


CONTROLS = "a\x1b[2J\x1b]0;t\x07\x9b\u202eb"
FORMS = ("--csv", "--json", "--markdown", "--latex")


def hostile(folder: Path) -> None:
    """Two runs whose records have control characters in names, keys, status and error."""
    for number, name in enumerate((CONTROLS, "plain")):
        said = dict.fromkeys(("name", "command", "hardware"), name)
        write_run(
            folder / str(number), {"loss.note": name, f"loss.{CONTROLS}": name}, manifest=said
        )
    ending = {"status": "failed", "error": CONTROLS, "name": CONTROLS}
    write_run(folder / "bad", manifest=ending, rows=(f"distilled{CONTROLS}",))


@pytest.mark.parametrize(
    "words",
    [("compare", "s"), *(("compare", "s", form) for form in FORMS), ("list", "runs", "s"),
     ("show", "s/bad"), ("show", "s/0"), ("report", "s/0")],
)  # fmt: skip
def test_no_verb_prints_control_characters_of_a_record(said, tmp_path, words):
    hostile(tmp_path / "s")
    _, out, err = said(*words, width=300)
    pages = [page.read_text() for page in tmp_path.rglob("*.html")]
    for text in (out + err, *pages):
        assert show_controls(text) == text


@pytest.mark.parametrize("form", FORMS)
def test_no_file_of_a_comparison_has_control_characters(said, tmp_path, form):
    hostile(tmp_path / "s")
    status, *_ = said("compare", "s", form, "t")
    text = (tmp_path / "t").read_text()
    assert status == 0
    assert "u001b" in text
    assert show_controls(text) == text


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", " ="])
def test_csv_marks_what_a_spreadsheet_would_run(said, tmp_path, sign):
    formula = f"{sign}cmd|' /C calc'!A0"
    for number, value in enumerate((formula, "-0.5")):
        write_run(tmp_path / "s" / str(number), {"loss.note": value})
    _, out, _ = said("compare", "s", "--csv")
    notes = {row["loss.note"] for row in csv.DictReader(io.StringIO(out))}
    assert {f"'{formula}", "-0.5"} <= notes
    assert formula not in notes
