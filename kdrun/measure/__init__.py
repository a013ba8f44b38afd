"""Measuring networks: scores, parameters, multiply-accumulates, bytes, latency."""
