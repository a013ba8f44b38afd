"""Networks as files that run without kdrun: written, loaded back, and compared with PyTorch."""
