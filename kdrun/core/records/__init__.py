"""The types of the JSON files that runs write: summaries, artefacts, manifests, measurements.

Each record is a TypedDict with the keys of the file. `NotRequired` marks keys that only some
records have, and keys that older files of this format lack.
"""

FORMAT = 1  # the number in each file; raised when the meaning of a key changes
