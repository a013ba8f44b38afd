"""Everything that is tried before a run."""
