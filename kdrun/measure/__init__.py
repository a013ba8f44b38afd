"""What a network is worth and what it costs: scores, parameters, MACs, bytes, latency."""
