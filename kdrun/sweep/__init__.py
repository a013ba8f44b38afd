"""Several runs: the jobs of a sweep, the launchers that run them, the trials of a search."""
