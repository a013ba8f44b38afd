"""What a closed terminal does: it sends SIGHUP, and printing to it fails from then on."""

import os
import signal
import stat

_STREAMS = (1, 2)  # stdout and stderr


def stop_signals() -> tuple[signal.Signals, ...]:
    """Return the signals that ask this process to stop; `nohup` makes it ignore SIGHUP."""
    kept = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return (signal.SIGTERM,) if kept else (signal.SIGTERM, signal.SIGHUP)


def silence_closed_terminal() -> None:
    """Discard what is printed to a terminal that was closed: otherwise printing would fail."""
    for stream in _STREAMS:
        if stat.S_ISCHR(os.fstat(stream).st_mode) and not os.isatty(stream):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream)
            os.close(nowhere)
