"""What a launcher does when it is asked to stop."""

import os
import signal

import pytest

from kdrun.sweep.hydra_launcher import exit_on_sigterm


def test_sigterm_ends_a_launcher_and_its_old_meaning_comes_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as end, exit_on_sigterm():
        os.kill(os.getpid(), signal.SIGTERM)
    assert end.value.code == 143
    assert signal.getsignal(signal.SIGTERM) == before
