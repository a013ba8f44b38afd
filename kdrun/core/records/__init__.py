"""The types of the JSON files that runs write: summaries, artefacts, manifests, measurements.

Each record is a TypedDict with the keys of the file. All files have format 1. `NotRequired` marks
keys that only some records have, and keys that older files of this format lack.
"""
