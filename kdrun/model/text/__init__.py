"""Networks of texts.

Each takes a mapping with the tokens of its encoding, and no value of padding enters its answer.
"""
