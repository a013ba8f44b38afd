"""Who learns from whom: the plans of a run. Importing this package alone loads no torch."""
