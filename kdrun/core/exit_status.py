"""What the exit statuses of the command mean: the one table, which the help prints."""

MEANINGS = {
    0: "done",
    1: "failed: a run or a job did not finish, or a fault of kdrun or of a plugin",
    2: "a mistake in the command, the config or the data, or something that the machine lacks",
    3: "a limit: a file is larger than anything kdrun reads there, or a sweep has too many jobs",
    4: "storage: the disk is full, or a folder can't be written",
    5: "in use: another process writes this run or sweep",
    6: "not finite: a loss term, a gradient or a weight",
    7: "out of memory, of the device or of the machine",
    8: "a worker process that reads images died",
    9: "damaged: no good checkpoint, or a file that is not what kdrun writes",
    129: "stopped by SIGHUP, as by a closed terminal",
    130: "stopped by Ctrl-C (SIGINT)",
    141: "the program that read the output has ended",
    143: "stopped by SIGTERM",
}


def status_lines() -> str:
    """Return a line for each exit status."""
    return "\n".join(f"  {status:3}  {meaning}" for status, meaning in MEANINGS.items())
