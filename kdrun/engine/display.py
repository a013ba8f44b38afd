"""Shows the progress of training: a live display, or plain lines without a terminal."""

import time
from collections.abc import Mapping
from typing import NamedTuple

from rich.console import Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text
from torch import Tensor

from kdrun.core.number_format import duration
from kdrun.core.screen import Screen
from kdrun.task.base import Task
from kdrun.task.classification import CLASSIFICATION

_REFRESH = 0.25  # seconds between two readings of the losses; each waits for the device
_LINE_EVERY = 5.0  # seconds between two plain lines


class Scored(NamedTuple):
    """What is trained on: the task, and the word for one sample, such as `image`."""

    task: Task = CLASSIFICATION
    sample: str = "image"


class Display:
    """Shows stage, epoch, step, loss terms, scores, samples per second and remaining time."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self._live: Live | None = None
        self._bar = _progress(screen)
        self._task = TaskID(0)
        self._stage = ""
        self._epochs = self._steps = 0
        self._drawn_at = self._line_at = self._started_at = 0.0
        self._samples = self._first_epoch = 0
        self._validation = ""
        self._scored = Scored()

    def note(self, text: str) -> None:
        """Write a line to the log only."""
        self.screen.note(text)

    def begin(self, stage: str, epochs: int, steps: int, epochs_done: int, scored: Scored) -> None:
        """Start the display of a phase; if it resumes, `epochs_done` epochs are finished."""
        self.end()
        self._scored = scored
        self._stage, self._epochs, self._steps = stage, epochs, steps
        self._drawn_at = self._started_at = time.monotonic()
        self._line_at, self._samples, self._first_epoch = 0.0, 0, epochs_done
        self._validation = ""
        resumed = f", from epoch {epochs_done + 1}" if epochs_done else ""
        self.screen.note(f"{stage}: {epochs} epochs of {steps} steps{resumed}")
        if self.screen.live:
            self._start_live(epochs_done * steps)

    def step(self, epoch: int, step: int, samples: int, sums: Mapping[str, Tensor]) -> None:
        """Count a finished step; redraw a few times a second at most."""
        self._samples += samples
        now = time.monotonic()
        if self._live is None or now - self._drawn_at < _REFRESH:
            return
        self._drawn_at = now
        means = {name: float(value) / max(1, step) for name, value in sums.items()}
        self._bar.update(
            self._task,
            completed=epoch * self._steps + step,
            place=f"epoch {epoch + 1}/{self._epochs} step {step}/{self._steps}",
        )
        self._draw(f"  {self._terms(means)}{self._validation}  {self._rate()}")

    def epoch(
        self, epoch: int, means: Mapping[str, float], validation: Mapping[str, float]
    ) -> None:
        """Show the results of a finished epoch, counted from 1."""
        metric = self._scored.task.leading()
        self._validation = f"  val {metric.text(validation[metric.name])}"
        line = (
            f"{self._stage}: epoch {epoch}/{self._epochs}  {self._terms(means)}{self._validation}"
            f"  {self._rate()}"
        )
        now = time.monotonic()
        if self._live is None and (now - self._line_at > _LINE_EVERY or epoch == self._epochs):
            self._line_at = now
            seconds = (now - self._started_at) / (epoch - self._first_epoch)
            seconds_left = seconds * (self._epochs - epoch)
            self.screen.say(f"{line}  {duration(seconds_left)} left")
        else:
            self.screen.note(line)

    def end(self) -> None:
        """Remove the live display."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _start_live(self, steps_done: int) -> None:
        self._bar = _progress(self.screen)
        self._task = self._bar.add_task(
            self._stage, total=self._epochs * self._steps, completed=steps_done, place=""
        )
        self._live = Live(console=self.screen.console, transient=True, refresh_per_second=4)
        self._live.start()
        self._draw("")

    def _draw(self, line: str) -> None:
        if self._live is not None:
            text = Text(line, no_wrap=True, overflow="ellipsis")
            self._live.update(Group(self._bar, text))

    def _rate(self) -> str:
        rate = self._samples / max(time.monotonic() - self._started_at, 1e-9)
        return f"{rate:.0f} {self._scored.sample}s/s"

    def _terms(self, means: Mapping[str, float]) -> str:
        scores = self._scored.task.scores
        terms = [f"{name} {value:.3f}" for name, value in means.items() if name not in scores]
        terms += [
            f"train {scores[name].text(value)}" for name, value in means.items() if name in scores
        ]
        return "  ".join(terms)


def _progress(screen: Screen) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[place]}", markup=False),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=screen.console,
    )
