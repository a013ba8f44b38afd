"""Checks of a run before it starts: its config, data, networks and machine."""
