"""Datasets of texts, and their tokenizers."""
