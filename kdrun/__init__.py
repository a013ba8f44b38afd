"""kdrun: distill and compress neural networks from one command."""

__version__ = "0.1.0"
