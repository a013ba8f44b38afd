"""The pages in a real browser: nothing is asked of any server, tables sort, themes differ."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from report_runs import write_run

from kdrun.compare.report import write

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs the system's chromium")

HOSTILE = "</script><img src=x onerror=console.error(1)>"
WIDE, NARROW = 1280, 390


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run with hostile names, a sweep with a failed job, runs of several tables, as files."""
    root = tmp_path_factory.mktemp("pages")
    run = write_run(root / "run", name=HOSTILE, tags=[HOSTILE])
    for temperature, accuracy in ((1.0, 0.8), (2.0, 0.95), (10.0, 0.9)):
        for seed in range(3):
            told = {"temperature": temperature, "accuracy": accuracy + seed / 100}
            write_run(root / "sweep" / f"{temperature:g}-{seed}", seed, **told)
    write_run(root / "sweep" / "failed", status="failed", temperature=3.0)
    for number in range(4):  # long names, in tables that don't compare
        loss = {
            "a_key_without_any_end": f"a_value_that_is_longer_than_a_phone_is_wide_{number % 2}"
        }
        told = {"recipe": {"name": f"recipe{number // 2}"}, "accuracy": 0.8 + number / 20}
        write_run(root / "several" / str(number), loss=loss, **told)
    found = {}
    for name, path in (("run", run), ("sweep", root / "sweep"), ("several", root / "several")):
        found[name] = root / f"{name}.html"
        found[name].write_text(write.page_of([str(path)]).html(), encoding="utf-8")
    return found


class Opened:
    """A page in the browser with all that went wrong in it."""

    def __init__(self, browser: Any, path: Path, scheme: str = "light", width: int = WIDE) -> None:
        view = {"width": width, "height": 800}
        self.context = browser.new_context(color_scheme=scheme, viewport=view)
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())

    def background(self) -> str:
        found: str = self.page.evaluate("getComputedStyle(document.body).backgroundColor")
        return found


@pytest.fixture(params=["run", "sweep", "several"])
def path(request: pytest.FixtureRequest, pages: dict[str, Path]) -> Path:
    return pages[request.param]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_goes_wrong_and_nothing_is_asked_for(browser: Any, path: Path, scheme: str) -> None:
    opened = Opened(browser, path, scheme)
    opened.page.click(".theme")
    for details in opened.page.query_selector_all("summary"):
        details.click()
    for head in opened.page.query_selector_all("th button"):
        head.click()
    opened.page.wait_for_timeout(100)
    assert opened.said == []
    own = path.as_uri()
    assert [url for url in opened.asked if url != own and not url.startswith("data:")] == []
    opened.context.close()


def column(page: Any, table: str, number: int) -> list[str]:
    cells = f"{table} tbody tr td:nth-child({number + 1})"
    found: list[str] = page.eval_on_selector_all(cells, "all => all.map(one => one.textContent)")
    return found


def test_numbers_sort_as_numbers_in_both_directions(browser: Any, pages: dict[str, Path]) -> None:
    page = Opened(browser, pages["sweep"]).page
    heads = page.query_selector_all("table >> nth=0 >> th")
    names = [head.inner_text().replace("\n", " ") for head in heads]
    at = names.index("loss.temperature")
    button = heads[at].query_selector("button")
    button.click()
    first = [cell for cell in column(page, "table >> nth=0 >> ", at) if cell]
    button.click()
    second = [cell for cell in column(page, "table >> nth=0 >> ", at) if cell]
    assert {tuple(first), tuple(second)} == {("1", "2", "10"), ("10", "2", "1")}


def test_figures_sort_as_numbers_and_gaps_stay_last(browser: Any, pages: dict[str, Path]) -> None:
    page = Opened(browser, pages["run"]).page
    seconds = "table >> nth=1"
    heads = page.query_selector_all(f"{seconds} >> th")
    names = [head.inner_text().replace("\n", " ") for head in heads]
    at = names.index("disk bytes")
    before = column(page, f"{seconds} >> ", at)
    heads[at].query_selector("button").click()
    assert column(page, f"{seconds} >> ", at) == ["100 k", "9 k", "9 k"]
    assert heads[at].get_attribute("aria-sort") == "descending"
    heads[at].query_selector("button").click()
    assert column(page, f"{seconds} >> ", at) == ["9 k", "9 k", "100 k"]
    assert heads[at].get_attribute("aria-sort") == "ascending"
    assert sorted(before) == sorted(["100 k", "9 k", "9 k"])


def test_every_figure_has_marks_of_some_size(browser: Any, path: Path) -> None:
    page = Opened(browser, path).page
    counts = page.eval_on_selector_all(
        "figure svg .marks",
        """all => all.map(one => [...one.children].filter(mark => {
            const box = mark.getBoundingClientRect();
            return box.width + box.height > 1;
        }).length)""",
    )
    assert len(counts) >= 5
    assert min(counts) >= 2


def test_colors_of_marks_come_from_the_theme(browser: Any, path: Path) -> None:
    fills = """all => all.map(one => getComputedStyle(one).fill)"""
    marks = "figure svg .marks circle, figure svg .marks rect"
    found = {
        scheme: Opened(browser, path, scheme).page.eval_on_selector_all(marks, fills)
        for scheme in ("light", "dark")
    }
    assert len(found["light"]) == len(found["dark"]) > 10
    assert not set(found["light"]) & {"rgb(0, 0, 0)"}  # what an unknown color would be
    assert set(found["light"]) != set(found["dark"])


def test_light_and_dark_differ_and_the_button_turns_them(browser: Any, path: Path) -> None:
    light, dark = (Opened(browser, path, scheme) for scheme in ("light", "dark"))
    before = light.background()
    assert before != dark.background()
    light.page.click(".theme")
    assert light.background() == dark.background()
    light.page.click(".theme")
    assert light.background() == before


@pytest.mark.parametrize("width", [NARROW, 700, WIDE])
def test_nothing_is_wider_than_the_screen(browser: Any, path: Path, width: int) -> None:
    page = Opened(browser, path, width=width).page
    for details in page.query_selector_all("summary"):
        details.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_no_text_of_a_figure_is_cut(browser: Any, path: Path) -> None:
    """Every word of a drawing lies within the drawing."""
    page = Opened(browser, path).page
    outside = page.eval_on_selector_all(
        "figure svg",
        """all => all.flatMap(svg => {
            const whole = svg.getBoundingClientRect();
            return [...svg.querySelectorAll("text")].filter(text => {
                const box = text.getBoundingClientRect();
                return box.left < whole.left - 1 || box.right > whole.right + 1
                    || box.top < whole.top - 1 || box.bottom > whole.bottom + 1;
            }).map(text => text.textContent);
        })""",
    )
    assert outside == []
