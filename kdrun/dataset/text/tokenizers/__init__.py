"""Tokenizers, which turn texts into the numbers of tokens."""
