"""Channel pruning: whole channels are removed from all layers that depend on them."""
