"""Making networks smaller: prune, factorize, quantize. This package alone loads no torch."""
