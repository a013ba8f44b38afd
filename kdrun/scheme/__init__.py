"""Schemes: the plans of who learns from whom. Importing this package alone loads no torch."""
