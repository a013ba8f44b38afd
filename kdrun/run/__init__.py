"""One run: from a checked plan to a finished run folder."""
