"""A run's results as text: every figure in full, at any width of the terminal."""

import io
import re
from typing import Any

import pytest
from rich.console import Console

from kdrun.compare.table import ResultsTable
from kdrun.core.number_format import count

AT_80 = """\
test split of cifar100, 10000 samples

                  top-1  top-5  precision  recall     F1    NLL   ECE  agrees
 model                %      %          %       %      %            %       %
 ────────────────────────────────────────────────────────────────────────────
 teacher    79.42 ±0.79  94.12      79.51   79.42  79.39  0.812  5.21  100.00
 alone      72.50 ±0.87  92.10      72.61   72.50  72.43  1.042  4.80   73.21
 distilled  73.33 ±0.87  92.77      73.40   73.33  73.30  0.987  6.02   78.21


                         para-    MACs    disk  median   p95  epochs  trained
 model      network     meters           bytes      ms    ms                s
 ────────────────────────────────────────────────────────────────────────────
 teacher    resnet32x4  7.43 M  1.09 G  29.8 M    12.3  13.9       -        -
 alone      resnet8x4   1.23 M   178 M  4.95 M    3.20  3.91     240     3210
 distilled  resnet8x4   1.23 M   178 M  4.95 M    3.21  3.95     240     4567

distilled over alone: +0.83 points, 95 % interval +0.21 to +1.45 (one seed).
Weights of the last epoch. Macro precision, recall and F1; agreement with the
teacher; ± and intervals are 95 %, from the number of test samples alone.
Top-1 % at the best epoch by validation: alone 72.61 (epoch 231), distilled
73.48 (epoch 225).
Latency: batch 1, float32, cpu, 1 thread, eager PyTorch.
"""


def row(model: str, name: str, figures: str, **own: Any) -> dict[str, Any]:
    """A row of a summary from its figures in the order of the table."""
    words = ("accuracy", "accuracy_half_width", "top5", "precision", "recall", "f1", "ece")
    values = [float(figure) for figure in figures.split()]
    shares = {word: value / 100 for word, value in zip(words, values, strict=True)}
    place = {"batch": 1, "threads": 1, "dtype": "float32", "device": "cpu", "repeats": 100}
    median, p95 = own.pop("ms")
    return {
        "model": model,
        "name": name,
        **shares,
        "latency": {"median_ms": median, "p95_ms": p95, **place},
        **own,
    }


@pytest.fixture
def summary() -> dict[str, Any]:
    small = {"parameters": 1_233_540, "macs": 177_600_000, "bytes": 4_950_128}
    gain = {"over": "alone", "accuracy": 0.0083, "low": 0.0021, "high": 0.0145}
    rows = [
        row(
            "teacher", "resnet32x4", "79.42 0.79 94.12 79.51 79.42 79.39 5.21", nll=0.812,
            agreement=1.0, parameters=7_433_860, macs=1_086_000_000, bytes=29_800_472,
            ms=(12.345, 13.9), seconds=None, epochs=0,
        ),
        row(
            "alone", "resnet8x4", "72.50 0.87 92.10 72.61 72.50 72.43 4.80", nll=1.0421,
            agreement=0.7321, ms=(3.2, 3.91), seconds=3210.4, epochs=240, **small,
            best={"epoch": 231, "accuracy": 0.7261},
        ),
        row(
            "distilled", "resnet8x4", "73.33 0.87 92.77 73.40 73.33 73.30 6.02", nll=0.9871,
            agreement=0.7821, ms=(3.21, 3.95), seconds=4567.0, epochs=240, **small, gain=gain,
            best={"epoch": 225, "accuracy": 0.7348},
        ),
    ]  # fmt: skip
    return {"dataset": "cifar100", "samples": 10000, "epoch": "last", "rows": rows}


def rendered(summary: dict[str, Any], width: int) -> str:
    text = io.StringIO()
    Console(file=text, width=width, color_system=None).print(ResultsTable(summary))
    return "".join(f"{line.rstrip()}\n" for line in text.getvalue().splitlines())


def figures(text: str) -> set[str]:
    """Every number of the tables' rows."""
    lines = text.partition("distilled over")[0].splitlines()
    rows = [line for line in lines if re.match(r" (teacher|alone|distilled)", line)]
    return {
        number for line in rows for number in re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?!\w)", line)
    }


def test_at_80_columns_answers_and_cost_stand_below_each_other(summary):
    assert rendered(summary, 80) == AT_80


def test_at_160_columns_it_is_one_table_with_a_row_a_model(summary):
    lines = rendered(summary, 160).splitlines()
    assert sum("model" in line for line in lines) == 1
    assert re.sub(" +", " ", lines[5]) == (
        " teacher resnet32x4 79.42 ±0.79 94.12 79.51 79.42 79.39 0.812 5.21 100.00"
        " 7.43 M 1.09 G 29.8 M 12.3 13.9 - -"
    )
    assert max(map(len, lines)) <= 160


@pytest.mark.parametrize("width", [40, 60, 79, 100, 120, 200])
def test_no_figure_is_cut_short_at_any_width(summary, width):
    text = rendered(summary, width)
    assert max(map(len, text.splitlines())) <= width
    assert figures(text) == figures(AT_80)


def test_long_names_are_folded_and_keep_the_figures(summary):
    name = "vit_base_patch16_224.augreg_in21k_ft_in1k"
    summary["rows"][2]["name"] = name
    text = rendered(summary, 80)
    assert figures(text) == figures(AT_80)
    assert "vit_base_patch16_224" in text
    assert max(map(len, text.splitlines())) <= 80


def test_names_are_no_markup(summary):
    summary["rows"][2]["name"] = "[red]x[/red]"
    assert "[red]x[/red]" in rendered(summary, 80)


def test_a_gain_that_may_be_chance_says_so(summary):
    summary["rows"][2]["gain"].update(low=-0.002, high=0.0186)
    assert (
        "+0.83 points, 95 % interval -0.20 to +1.86 (one seed; the interval holds 0: no evidence of"
        " a difference)." in rendered(summary, 200)
    )


def test_a_loss_is_shown_as_one(summary):
    summary["rows"][2]["gain"] = {"over": "alone", "accuracy": -0.02, "low": -0.03, "high": -0.01}
    assert "distilled over alone: -2.00 points, 95 % interval -3.00 to -1.00 (one seed)." in (
        rendered(summary, 200)
    )


def test_without_a_control_there_is_no_gain(summary):
    summary["rows"] = [summary["rows"][0]]
    text = rendered(summary, 80)
    assert "over" not in text
    assert "best epoch" not in text


def test_the_epoch_and_how_latency_was_taken_are_said(summary):
    summary["epoch"] = "best"
    for entry in summary["rows"]:
        entry["latency"].update(batch=32, threads=2, device="NVIDIA H200", dtype="bfloat16")
    text = rendered(summary, 200)
    assert "Weights of the best epoch." in text
    assert "Latency: batch 32, bfloat16, NVIDIA H200, 2 threads, eager PyTorch." in text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (7, "7"),
        (999, "999"),
        (1000, "1 k"),
        (1234, "1.23 k"),
        (12_345, "12.3 k"),
        (123_456, "123 k"),
        (999_499, "999 k"),
        (999_500, "1 M"),
        (999_999, "1 M"),
        (99_960, "100 k"),
        (7_433_860, "7.43 M"),
        (4.1e9, "4.1 G"),
        (4.1e12, "4.1 T"),
        (4.1e15, "4100 T"),
    ],
)
def test_counts_have_three_digits(number, text):
    assert count(number) == text


@pytest.mark.parametrize(("time", "text"), [(0.123, "0.12"), (12.34, "12.3"), (1234.5, "1234")])
def test_latencies_have_no_exponent(summary, time, text):
    summary["rows"][0]["latency"]["median_ms"] = time
    assert re.search(rf"29\.8 M +{re.escape(text)} +13\.9", rendered(summary, 80))


@pytest.mark.parametrize(("time", "text"), [(0.14, "0.1"), (42.4, "42"), (86400.0, "86400")])
def test_training_time_is_in_seconds(summary, time, text):
    summary["rows"][0]["seconds"] = time
    assert re.search(rf"13\.9 +- +{re.escape(text)}\n", rendered(summary, 80))


def test_a_teacher_below_the_control_is_warned_of(summary):
    assert "The teacher is" not in rendered(summary, 80)
    summary["rows"][0]["accuracy"] = 0.72  # within chance of the control's 72.50
    assert "The teacher is" not in rendered(summary, 80)
    summary["rows"][0]["accuracy"] = 0.70
    warned = " ".join(rendered(summary, 80).split())
    assert "The teacher is 2.50 points below the student alone" in warned


def test_students_that_were_not_trained_equally_long_are_told_of(summary):
    assert "Not the same budget" not in rendered(summary, 200)
    summary["rows"][1]["steps"] = 960
    assert "Not the same budget" not in rendered(summary, 200)  # the other one doesn't say
    summary["rows"][2] |= {"epochs": 12, "first_epochs": 4, "steps": 48}
    assert (
        "Not the same budget: the distilled student made 48 steps (4 + 12 epochs), alone 960"
        " (240).\n"
    ) in rendered(summary, 200)


def test_times_of_jobs_that_shared_the_machine_say_so(summary):
    assert "jobs shared" not in rendered({**summary, "jobs": 1}, 200)
    assert "while up to 4 jobs shared the machine" in rendered({**summary, "jobs": 4}, 200)


def test_a_run_that_was_resumed_elsewhere_says_so(summary):
    summary["inexact"] = ["resumed with packages.torch: 2.15.0, was 2.11.0"]
    assert "Not exact: resumed with packages.torch: 2.15.0, was 2.11.0.\n" in rendered(summary, 200)


def test_a_huge_likelihood_stays_short(summary):
    summary["rows"][0]["nll"] = 1.4096e32
    assert " 1.4e+32 " in rendered(summary, 80)


def test_macro_f1_leads_in_bold_where_classes_were_merged(summary) -> None:
    summary["concepts"] = {"pets": ["cat", "dog"], "others": ["frog"]}
    console = Console(file=io.StringIO(), width=200, force_terminal=True, no_color=True)
    console.print(ResultsTable(summary))
    shown = console.file.getvalue()
    assert shown.index("F1") < shown.index("top-1")
    assert shown.count("F1") == 3  # as a column and in two notes
    assert "\x1b[1m" in next(line for line in shown.splitlines() if "distilled" in line)
    assert "Macro F1 % leads: teacher 79.39, alone 72.43, distilled 73.30, over 2 concepts" in shown
    assert "join 3 classes." in shown
    del summary["concepts"]
    console.print(ResultsTable(summary))
    assert "\x1b[1m79.42" not in console.file.getvalue().removeprefix(shown)


def test_classes_without_a_test_sample_are_noted(summary) -> None:
    summary["missing_classes"] = {"cifar100": ["otter"], "photos": [f"c{i}" for i in range(7)]}
    shown = " ".join(rendered(summary, 80).split())
    assert (
        "No test sample of cifar100 has the class otter: macro precision, recall and F1 count it as"
        " 0." in shown
    )
    assert (
        "No test sample of photos has one of the 7 classes c0, c1, c2, c3, c4, ...: macro"
        " precision, recall and F1 count them as 0." in shown
    )


def test_other_domains_have_a_table_of_their_own(summary) -> None:
    summary["domains"] = {"photos": 80}
    for entry in summary["rows"]:
        figures = {**entry, "accuracy": 0.5, "accuracy_half_width": 0.11, "n": 80}
        if entry["model"] == "distilled":
            figures["gain"] = {"over": "alone", "accuracy": 0.02, "low": -0.01, "high": 0.05}
        else:
            figures.pop("gain", None)
        entry["domains"] = {"photos": figures}
    console = Console(file=io.StringIO(), width=80)
    console.print(ResultsTable(summary))
    shown = console.file.getvalue()
    assert shown.index("para-") < shown.index("test images of photos, 80 samples")
    assert shown.count("50.00 ±11.00") == 3
    assert "On photos: distilled over alone: +2.00 points" in shown
    assert max(map(len, shown.splitlines())) <= 80


def versus(baseline: str, points: float, macs: float, size: float, **own: Any) -> dict[str, Any]:
    answers = {"accuracy": points / 100, "low": (points - 1) / 100, "high": (points + 1) / 100}
    known = {"baseline": baseline, **answers, "f1": points / 100, "agreement": 0.9}
    none = {"latency": None, "latency_before": None, "in_vain": False}
    return {**known, **none, "macs": macs, "bytes": size, **own}


def test_steps_have_a_table_that_ends_with_all_of_them(summary) -> None:
    pruned, rounded = ({**summary["rows"][-1], "model": name} for name in ("1 prune", "2 round"))
    place = {"runtime": "onnxruntime", "batch": 1, "threads": 1, "device": "cpu"}
    timed = {"latency": 2.5, "latency_before": {"median_ms": 0.5, **place}}
    pruned |= {"nonzero": 500, "versus": versus("distilled", -1.5, 4, 2)}
    rounded |= {
        "nonzero": 480,
        "latency": {"median_ms": 0.2, "p95_ms": 0.3, "dtype": "int8", **place},
        "versus": versus("1 prune", -0.5, 1, 3.9),
        "overall": versus("distilled", -2.0, 4, 7.8, **timed),
    }
    summary["rows"] += [pruned, rounded]
    text = rendered(summary, 200)
    table = text.partition("the model before it")[2].splitlines()
    lines = {line[1:20].strip(): line.split()[-6:] for line in table}
    assert lines["1 prune"] == ["-1.50", "90.00", "500", "4.00x", "2.00x", "-"]
    whole = ["-2.00", "90.00", "480", "4.00x", "7.80x", "2.50x*"]
    assert lines["all, over distilled"] == whole
    assert "* all, over distilled in onnxruntime on the cpu, where distilled takes 0.50 ms" in text
    summary["rows"].pop()
    assert "all, over" not in rendered(summary, 200)


def test_the_last_step_is_compared_with_the_teacher(summary) -> None:
    student = summary["rows"][-1]
    for name, size, step in [
        ("1 prune", 2_483_372, versus("distilled", -1.5, 4, 2)),
        ("2 round", 1_241_686, versus("1 prune", -0.5, 1, 2)),
    ]:
        summary["rows"].append(
            {**student, "model": name, "bytes": size, "nonzero": 500, "versus": step}
        )
    note = "takes 24.0 times fewer bytes than the teacher; top-1 % 73.33, teacher 79.42."
    assert f"2 round {note}" in rendered(summary, 200)
    summary["rows"][-1]["bytes"] = 29_800_472
    assert "fewer bytes than the teacher" not in rendered(summary, 200)
    del summary["rows"][0]
    assert "than the teacher" not in rendered(summary, 200)
