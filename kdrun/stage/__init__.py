"""The stages of a run: each reads artefacts and makes one."""
