"""What is seen while a stage trains, as text at width 80."""

import io
import re

import pytest
import torch
from rich.console import Console
from rich.table import Table

from kdrun.core.screen import Screen
from kdrun.engine import display as module
from kdrun.engine.display import Display, Scored

SUMS = {name: torch.tensor(value) for name, value in (("ce", 120.0), ("kd", 88.5), ("loss", 208.5))}
HITS = torch.tensor(60.0)
VALIDATION = {"accuracy": 0.8812, "top5": 0.99}


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def strftime(self, pattern: str) -> str:
        return "12:00:00"


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr("kdrun.core.screen.time", clock)
    return clock


def make(tmp_path, live: bool) -> tuple[Display, io.StringIO]:
    """A display whose screen writes into a string, and its log into run.log."""
    text = io.StringIO()
    screen = Screen()
    screen.console = Console(
        file=text, width=80, force_terminal=live, color_system=None, highlight=False, markup=False,
        soft_wrap=True,
    )  # fmt: skip
    screen.log_to(tmp_path / "run.log")
    return Display(screen), text


@pytest.fixture
def plain(tmp_path, clock) -> tuple[Display, io.StringIO]:
    return make(tmp_path, live=False)


@pytest.fixture
def live(tmp_path, clock, monkeypatch) -> tuple[Display, io.StringIO]:
    monkeypatch.setattr(Screen, "live", property(lambda screen: True))
    return make(tmp_path, live=True)


def train(display: Display, clock: Clock, epochs: int, seconds: float, steps: int = 4) -> None:
    """Epochs of some steps of 64 images; each step takes its share of the seconds."""
    for epoch in range(epochs):
        for step in range(1, steps + 1):
            clock.now += seconds / steps
            display.step(epoch, step, 64, {**SUMS, "accuracy": HITS})
        means = {"ce": 0.12, "kd": 0.3, "loss": 0.42, "accuracy": 0.9125}
        display.epoch(epoch + 1, means, VALIDATION)


def test_without_a_terminal_an_epoch_is_a_plain_line(plain, clock):
    display, text = plain
    display.begin("distill", epochs=3, steps=4, epochs_done=0, scored=Scored())
    train(display, clock, epochs=1, seconds=10)
    assert text.getvalue() == (
        "distill: epoch 1/3  ce 0.120  kd 0.300  loss 0.420  train 91.25%  val 88.12%"
        "  26 images/s  20 s left\n"
    )


def test_without_a_terminal_lines_are_rare_but_first_and_last_are_there(plain, clock):
    display, text = plain
    display.begin("teacher", epochs=20, steps=4, epochs_done=0, scored=Scored())
    train(display, clock, epochs=20, seconds=1)
    epochs = re.findall(r"epoch (\d+)/20", text.getvalue())
    assert epochs == ["1", "7", "13", "19", "20"]


def test_the_log_has_every_epoch(plain, clock, tmp_path):
    display, _ = plain
    display.begin("teacher", epochs=20, steps=4, epochs_done=0, scored=Scored())
    train(display, clock, epochs=20, seconds=1)
    lines = (tmp_path / "run.log").read_text().splitlines()
    assert lines[0] == "12:00:00 teacher: 20 epochs of 4 steps"
    assert [int(re.search(r"epoch (\d+)/", line)[1]) for line in lines[1:]] == list(range(1, 21))


def test_no_escape_codes_without_a_terminal(plain, clock):
    display, text = plain
    display.begin("teacher", epochs=2, steps=4, epochs_done=0, scored=Scored())
    train(display, clock, epochs=2, seconds=10)
    display.end()
    assert "\x1b" not in text.getvalue()


@pytest.mark.parametrize(
    ("seconds", "left"), [(1, "9 s"), (10, "90 s"), (100, "15 min"), (1000, "2.5 h")]
)
def test_time_left_is_in_the_unit_that_reads_best(plain, clock, seconds, left):
    display, text = plain
    display.begin("teacher", epochs=10, steps=4, epochs_done=0, scored=Scored())
    train(display, clock, epochs=1, seconds=seconds)
    assert text.getvalue().endswith(f"  {left} left\n")


def test_a_resumed_stage_says_where_it_goes_on_and_counts_from_there(plain, clock, tmp_path):
    display, text = plain
    display.begin("teacher", epochs=10, steps=4, epochs_done=5, scored=Scored())
    assert "from epoch 6" in (tmp_path / "run.log").read_text()
    clock.now += 10
    display.epoch(6, {"loss": 1.0}, VALIDATION)
    assert text.getvalue().endswith("  40 s left\n")


def test_steps_do_not_look_at_the_losses_without_a_terminal(plain, clock):
    display, _ = plain
    display.begin("teacher", epochs=1, steps=4, epochs_done=0, scored=Scored())
    clock.now += 100
    display.step(0, 1, 64, {"loss": None})  # looking would fail


def test_steps_look_at_the_losses_a_few_times_a_second_at_most(live, clock):
    display, _ = live
    display.begin("teacher", epochs=1, steps=4, epochs_done=0, scored=Scored())
    clock.now += 0.1
    display.step(0, 1, 64, {"loss": None})
    clock.now += 0.2
    with pytest.raises(TypeError):
        display.step(0, 2, 64, {"loss": None})
    display.end()


def test_the_live_display_fits_in_80_columns_and_leaves_out_nothing(live, clock):
    display, text = live
    display.begin("distill", epochs=240, steps=781, epochs_done=0, scored=Scored())
    train(display, clock, epochs=2, seconds=1000, steps=781)
    text.truncate(0)
    text.seek(0)
    display.end()
    lines = [line for line in re.split(r"\x1b\[[0-9?;]*[A-Za-z]|\r|\n", text.getvalue()) if line]
    assert re.fullmatch(
        r"distill [━ ]+ epoch 2/240 step 781/781 \d:\d\d:\d\d left [-\d]:[-\d]{2}:[-\d]{2} *",
        lines[0],
    )
    assert lines[1] == ("  ce 0.154  kd 0.113  loss 0.267  train 7.68%  val 88.12%  50 images/s")
    assert all(len(line) <= 80 for line in lines)


def test_the_live_display_goes_away(live, clock):
    display, text = live
    display.begin("distill", epochs=2, steps=4, epochs_done=0, scored=Scored())
    train(display, clock, epochs=2, seconds=10)
    display.end()
    display.end()
    display.screen.say("after")
    assert text.getvalue().endswith("\x1b[2Kafter\n")


def test_a_second_stage_takes_the_place_of_the_first(live, clock):
    display, text = live
    for stage in ("teacher", "alone"):
        display.begin(stage, epochs=1, steps=4, epochs_done=0, scored=Scored())
        train(display, clock, epochs=1, seconds=10)
    text.truncate(0)
    display.end()
    assert "alone" in text.getvalue()
    assert "teacher" not in text.getvalue()


def test_notes_go_to_the_log_alone(plain, tmp_path):
    display, text = plain
    display.note("a choice")
    assert text.getvalue() == ""
    assert (tmp_path / "run.log").read_text() == "12:00:00 a choice\n"


def test_a_table_is_kept_in_the_log_without_colors(tmp_path, clock, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    display, _ = make(tmp_path, live=True)

    table = Table("model", title="results")
    table.add_row("teacher")
    display.screen.show(table)
    assert "teacher" in (tmp_path / "run.log").read_text()
    assert "\x1b" not in (tmp_path / "run.log").read_text()
