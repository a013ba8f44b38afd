"""A second signal stops the process at once, with the exit status of that signal."""

import os
import signal

import pytest

from kdrun.core.errors import Interrupted
from kdrun.core.screen import Screen, report
from kdrun.engine.interrupt import Interrupt


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["int", "term"]
)
def test_a_second_signal_stops_at_once_with_its_own_status(number: int, status: int) -> None:
    with pytest.raises(KeyboardInterrupt) as caught, Interrupt() as interrupt:
        os.kill(os.getpid(), number)
        assert interrupt.signal == number
        os.kill(os.getpid(), number)
    assert report(caught.value, Screen(), debug=False) == status


def test_a_closed_terminal_stops_after_the_step_however_often_it_is_told() -> None:
    with Interrupt() as interrupt:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGHUP)
        assert interrupt.signal == signal.SIGHUP
        with pytest.raises(Interrupted) as caught:
            interrupt.check("distill")
    assert report(caught.value, Screen(), debug=False) == 129


def test_nohup_is_kept() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupt() as interrupt:
            os.kill(os.getpid(), signal.SIGHUP)
            assert interrupt.signal is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_ctrl_c_before_training_has_its_status() -> None:
    assert report(KeyboardInterrupt(), Screen(), debug=False) == 130
