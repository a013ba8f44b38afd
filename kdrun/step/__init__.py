"""What is made of a trained network, step by step. Importing this package alone loads no torch."""
