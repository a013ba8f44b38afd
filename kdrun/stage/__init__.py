"""The steps of a run: each takes artefacts and leaves one."""
