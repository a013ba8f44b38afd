"""Quantization: weights as integers, activations rounded to integers."""
