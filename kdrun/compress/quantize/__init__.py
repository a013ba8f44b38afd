"""Networks whose weights are whole numbers, and whose activations are rounded to such."""
