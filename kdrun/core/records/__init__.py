"""The types of what a run writes about itself: tables, artefacts, manifests, measurements.

Each record is a TypedDict whose keys are those of the JSON file. All of them are of format 1;
`NotRequired` marks keys that apply to some records only, or that were added to the format later:
files without them are read.
"""
