"""The page of a run, and of several: what it shows, what it lacks, and that it is only text."""

import io
import json
import re
import zipfile
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from report_runs import SAMPLES, write_run

from kdrun.compare.gather import gather
from kdrun.compare.report import write
from kdrun.compare.report.classes import count_confusions
from kdrun.compare.report.page import Page
from kdrun.compare.report.run_page import run_page
from kdrun.compare.report.sweep_page import sweep_page
from kdrun.compare.report.tables import sort_value
from kdrun.core.errors import DamagedFile, UserError
from kdrun.core.folder import RunFolder
from kdrun.core.screen import Screen

HOSTILE = "</script><img src=x onerror=alert(1)>\"'&<b>"
_EMPTY = {"meta", "link", "img", "wbr"}


class Outline(HTMLParser):
    """Elements, their attributes and the text outside scripts, of well-nested HTML alone."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in _EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text += data


def outline(html: str) -> Outline:
    found = Outline()
    found.feed(html)
    found.close()
    assert found.open == []
    return found


def titles(page: Page) -> list[str]:
    return [section.title for section in page.sections if section.blocks]


def names(page: Page) -> list[str]:
    return [figure.name for figure in page.figures()]


def page_of_run(folder: Path) -> Page:
    return run_page(RunFolder(folder))


def sweep(root: Path, **changes: float) -> list[str]:
    """Two temperatures, three seeds."""
    for temperature, accuracy in ((1.0, 0.8), (4.0, 0.9)):
        for seed in range(3):
            told = {"seed": seed, "temperature": temperature, "accuracy": accuracy + 0.01 * seed}
            write_run(root / f"{temperature:g}-{seed}", **{**told, **changes})
    return [str(root)]


def test_jobs_have_the_top_1_that_they_are_judged_by(tmp_path: Path) -> None:
    path = write_run(tmp_path / "s" / "0", accuracy=0.875) / "summary.json"
    tree = json.loads(path.read_text())
    tree["rows"].append({**tree["rows"][2], "model": "peer1", "accuracy": 0.625})
    path.write_text(json.dumps(tree))
    (jobs,) = (
        one for one in sweep_page("s", gather([str(tmp_path)])).sections if one.title == "Jobs"
    )
    told = "".join(map(str, jobs.blocks))
    assert "87.50" in told
    assert "62.50" not in told


def test_a_run_has_all_its_parts(tmp_path: Path) -> None:
    page = page_of_run(write_run(tmp_path / "run"))
    assert titles(page) == [
        "Results", "Learning curves", "Accuracy and cost", "Calibration", "Classes",
        "Soft labels", "How to reproduce",
    ]  # fmt: skip
    assert names(page) == [
        "learning-accuracy", "learning-loss", "learning-loss-distill",
        "cost-bytes", "cost-macs", "cost-latency",
        "reliability-teacher", "reliability-alone", "reliability-distilled",
        "confusion", "confusion-difference", "class-gain",
    ]  # fmt: skip
    found = outline(page.html())
    for words in ("95.00", "90.00", "kdrun loss.temperature=4.0 seed=0", "torch 2.11", "t0"):
        assert words in found.text, words
    images = [attributes for tag, attributes in found.found if tag == "img"]
    assert len(images) == 5
    assert all(str(one["src"]).startswith("data:image/png;base64,") for one in images)


def test_hostile_values_are_text(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", name=HOSTILE, tags=[HOSTILE])
    summary = json.loads((folder / "summary.json").read_text())
    summary["dataset"] = summary["rows"][2]["name"] = HOSTILE
    (folder / "summary.json").write_text(json.dumps(summary))
    record = json.loads((folder / "student/artefact.json").read_text())
    record["data"]["classes"] = [HOSTILE] * 4
    (folder / "student/artefact.json").write_text(json.dumps(record))
    manifest = json.loads((folder / "run.json").read_text())
    manifest["command"] = HOSTILE
    manifest["environment"] = {HOSTILE: HOSTILE, "device": HOSTILE}
    (folder / "run.json").write_text(json.dumps(manifest))
    found = outline(page_of_run(folder).html())
    tags = [tag for tag, _ in found.found]
    assert tags.count("script") == 1
    assert tags.count("img") == 5
    assert "b" in tags  # our own, and none of theirs within a heading
    assert not [one for _, one in found.found if any(name.startswith("on") for name in one)]
    assert found.text.count(HOSTILE) >= 4


def test_hostile_values_of_a_sweep_are_text(tmp_path: Path) -> None:
    for number, value in enumerate((HOSTILE, "plain")):
        write_run(tmp_path / str(number), recipe={"name": value}, accuracy=0.8 + number / 20)
    broken = write_run(tmp_path / "2", status="failed")
    manifest = json.loads((broken / "run.json").read_text())
    (broken / "run.json").write_text(json.dumps({**manifest, "error": HOSTILE}))
    found = outline(sweep_page(HOSTILE, gather([str(tmp_path)])).html())
    assert [tag for tag, _ in found.found].count("img") == 0
    assert [tag for tag, _ in found.found].count("script") == 1
    assert found.text.count(HOSTILE) >= 4


def test_a_page_asks_nothing_of_any_server(tmp_path: Path) -> None:
    write_run(tmp_path / "a")
    for html in (page_of_run(tmp_path / "a").html(), write.page_of(sweep(tmp_path / "s")).html()):
        assert not re.search(r"https?://", html)
        found = outline(html)
        for _, attributes in found.found:
            places = [attributes.get(name) for name in ("src", "href", "action", "data")]
            assert all(place is None or place.startswith(("data:", "#")) for place in places)
        assert not re.search(r"@import|url\(", html)
        (policy,) = (str(one["content"]) for _, one in found.found if "http-equiv" in one)
        assert "default-src 'none'" in policy


def test_figures_have_marks_with_their_data(tmp_path: Path) -> None:
    for figure in page_of_run(write_run(tmp_path / "run")).figures():
        text = figure.standalone()
        marks = text.partition('class="marks">')[2]
        assert len(re.findall(r"<(circle|rect|polygon|polyline)", marks)) >= 3, figure.name


def test_of_many_classes_the_most_confused_pairs_are_shown(tmp_path: Path) -> None:
    page = page_of_run(write_run(tmp_path / "run", classes=45))
    shown = {figure.name: figure for figure in page.figures()}
    assert "→" in shown["confusion"].body
    assert "The 20 most changed" in shown["class-gain"].note or shown["class-gain"].note
    assert len(re.findall("<rect", shown["class-gain"].body)) <= 20


def test_confusions_are_counted_by_class_and_answer() -> None:
    found = count_confusions(np.array([0, 0, 1, 2]), np.array([0, 2, 1, 2]), 3)
    assert found.tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 1]]


@pytest.mark.parametrize("name", ["examples.npz", "predictions.npz", "metrics.jsonl"])
def test_a_page_is_made_without_a_part(name: str, tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    (folder / name).unlink()
    assert "Results" in outline(page_of_run(folder).html()).text


def _huge(shape: str) -> bytes:
    """A whole .npz file whose array `target` claims another shape in its header."""
    head = f"{{'descr': '<i8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("target.npy", b"\x93NUMPY\x01\x00" + b"\x76\x00" + head + b"\n")
    return packed.getvalue()


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda content: b"",
    "text": lambda content: b"not a zip",
    "cut": lambda content: content[:500],
    "start": lambda content: content[300:],
    "bits": lambda content: (
        content[:200] + bytes(255 - byte for byte in content[200:400]) + content[400:]
    ),
    "huge": lambda content: _huge("(1 << 40,)"),
    "terabytes": lambda content: _huge("(1099511627776,)"),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["examples.npz", "predictions.npz"])
def test_a_damaged_file_of_arrays_is_named(name: str, damage: str, tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    (folder / name).write_bytes(DAMAGES[damage]((folder / name).read_bytes()))
    with pytest.raises(DamagedFile, match=name):
        page_of_run(folder)


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("predictions.npz", {"target": None}),
        ("predictions.npz", {"distilled/predicted": None}),
        ("predictions.npz", {"distilled/predicted": np.zeros(3, np.int64)}),
        ("predictions.npz", {"teacher/predicted": np.full(SAMPLES, -1)}),
        ("predictions.npz", {"teacher/predicted": np.full(SAMPLES, 10**12)}),
        ("predictions.npz", {"alone/confidence": np.zeros((SAMPLES, 2))}),
        ("predictions.npz", {"target": np.array("x")}),
        ("examples.npz", {"images": np.zeros((5, 8, 8), np.uint8)}),
        ("examples.npz", {"row": None}),
        ("examples.npz", {"classes": np.zeros((2, 2), np.int64)}),
        ("examples.npz", {"alone/probability": None}),
    ],
)
def test_arrays_that_are_not_of_the_run_are_named(
    name: str, changed: dict[str, np.ndarray | None], tmp_path: Path
) -> None:
    folder = write_run(tmp_path / "run")
    with np.load(folder / name) as stored:
        arrays = {**{key: stored[key] for key in stored.files}, **changed}
    kept = {key: values for key, values in arrays.items() if values is not None}
    np.savez(folder / name, **kept)
    with pytest.raises(DamagedFile, match=name):
        page_of_run(folder)


def test_what_an_older_run_lacks_is_said(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    (folder / "examples.npz").unlink()
    with np.load(folder / "predictions.npz") as stored:
        kept = {name: stored[name] for name in stored.files if "confidence" not in name}
    np.savez(folder / "predictions.npz", **kept)
    text = outline(page_of_run(folder).html()).text
    assert "The kdrun version of this run did not save the confidence of each prediction." in text
    assert "The kdrun version of this run did not save examples." in text


def test_a_failed_run_says_why(tmp_path: Path) -> None:
    page = page_of_run(write_run(tmp_path / "run", status="failed"))
    assert "the run is failed: the loss term 'kd' is not a number" in outline(page.html()).text
    assert "learning-accuracy" in names(page)


def test_sensitivity_is_shown_where_it_was_measured(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    losses = {"conv1": {"8 bits": -0.5, "50% of weights 0": -20.0}, "fc": {"8 bits": 0.0}}
    found = {"format": 1, "row": "distilled", "accuracy": 0.9, "losses": losses}
    (folder / "sensitivity.json").write_text(json.dumps(found))
    (figure,) = (one for one in page_of_run(folder).figures() if one.name == "sensitivity")
    assert "-20.0" in figure.body
    assert len(re.findall("<rect", figure.body)) == 3


def test_a_sweep_has_its_settings_heat_map_curves_and_jobs(tmp_path: Path) -> None:
    page = write.page_of(sweep(tmp_path / "s"))
    assert titles(page) == [
        "Settings", "Validation", "Accuracy and cost", "What differs", "Jobs", "How to reproduce",
    ]  # fmt: skip
    assert names(page) == [
        "validation-heat", "settings-curves", "cost-bytes", "cost-macs", "cost-latency",
    ]  # fmt: skip
    text = outline(page.html()).text
    assert "Validation chooses loss.temperature=4" in text
    heat, curves, *_ = page.figures()
    assert {"81.00", "91.00"} <= set(re.findall(r">(\d+\.\d\d)<", heat.body))
    assert "The frame marks" in heat.note
    assert curves.body.count("<polyline") == 2
    assert curves.body.count("fill-opacity") == 2  # a band over the seeds of each


def test_the_heat_map_averages_what_is_neither_row_nor_column(tmp_path: Path) -> None:
    number = 0
    for temperature in (1.0, 2.0, 4.0):
        for alpha in (0.1, 0.5, 0.9):
            for gamma, accuracy in ((0.1, 0.5), (0.2, 0.7)):
                loss = {"gamma": gamma, "alpha": alpha}
                told = {"temperature": temperature, "accuracy": accuracy, "loss": loss}
                write_run(tmp_path / str(number), **told)
                number += 1
    (heat, *_) = write.page_of([str(tmp_path)]).figures()
    assert heat.name == "validation-heat"
    assert "Averaged over loss.gamma." in heat.note
    assert re.findall(r">(\d+\.\d\d)<", heat.body) == ["60.00"] * 9


def test_a_failed_job_is_among_the_jobs_with_its_error(tmp_path: Path) -> None:
    (root,) = sweep(tmp_path / "s")
    write_run(tmp_path / "s" / "failed", status="failed", temperature=8.0)
    text = outline(write.page_of([root]).html()).text
    assert "the loss term 'kd' is not a number" in text
    assert "kdrun loss.temperature=1.0 seed=2" in text


def test_settings_keep_their_color_and_only_six_have_one(tmp_path: Path) -> None:
    for number in range(12):
        write_run(tmp_path / str(number), temperature=1.0 + number, accuracy=0.6 + number / 40)
    page = write.page_of([str(tmp_path)])
    shown = {figure.name: figure for figure in page.figures()}
    legend = r'class="marks">'
    for name in ("settings-curves", "cost-bytes"):
        words = shown[name].body.partition(legend)[0]
        assert "temperature=12<" in words
        assert "6 others" in words
        assert "temperature=1<" not in words


def test_one_run_named_by_its_sweep_is_shown_in_full(tmp_path: Path) -> None:
    write_run(tmp_path / "s" / "0")
    assert "Soft labels" in titles(write.page_of([str(tmp_path / "s")]))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("93.87 ±2.98", 93.87),
        ("1.23 M", 1.23e6),
        ("888^", 888),
        ("-0.56 (-2.27 to +1.16)", -0.56),
        ("0.059*", 0.059),
        ("1.2e-05", 1.2e-5),
        ("3 Mice", 3),
    ],
)
def test_cells_are_sorted_by_the_number_they_start_with(text: str, value: float) -> None:
    assert float(sort_value(text) or "nan") == pytest.approx(value)


def test_cells_without_a_number_have_no_value() -> None:
    assert [sort_value(text) for text in ("-", "", "distilled", "±3")] == [None] * 4


def test_a_fault_of_the_report_stops_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = RunFolder(write_run(tmp_path / "run"))
    (folder.path / "metrics.jsonl").write_text("no json\n")
    write.write_run_report(folder, Screen())
    assert "no report was written: DamagedFile: line 1 of" in capsys.readouterr().out
    assert not folder.report.exists()


def test_figures_of_one_name_do_not_overwrite_each_other(tmp_path: Path) -> None:
    sweep(tmp_path / "s")
    page = write.page_of([str(tmp_path / "s")])
    twice = Page(page.title, page.head, [*page.sections, *page.sections])
    paths = write.write_figures(twice, tmp_path / "figures", "svg")
    assert len(set(paths)) == 10
    assert (tmp_path / "figures" / "validation-heat-2.svg").exists()


def test_png_files_have_letters_without_any_font_of_the_system(tmp_path: Path) -> None:
    pytest.importorskip("resvg_py")
    image = pytest.importorskip("PIL.Image")
    page = write.page_of(sweep(tmp_path / "s"))
    paths = write.write_figures(page, tmp_path / "figures", "png")
    assert [path.suffix for path in paths] == [".png"] * 5
    pixels = np.asarray(image.open(tmp_path / "figures" / "validation-heat.png").convert("L"))
    assert (pixels[-30:] < 160).sum() > 50  # below the cells there are letters alone


def test_png_files_without_the_extra_name_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "resvg_py", None)
    page = write.page_of(sweep(tmp_path / "s"))
    with pytest.raises(UserError, match=re.escape("pip install 'kdrun[plot]'")):
        write.write_figures(page, tmp_path / "figures", "png")


def test_tables_that_do_not_compare_are_told_apart_with_the_reason(tmp_path: Path) -> None:
    for number in range(8):
        write_run(tmp_path / str(number), recipe={"name": f"recipe{number}"}, seed=number)
    page = write.page_of([str(tmp_path)])
    text = outline(page.html()).text
    assert "Table 8" in text
    assert text.count("recipe") >= 8
    assert len(page.html()) < 1_000_000
    assert names(page).count("cost-bytes") == 6  # charts of the largest tables alone
