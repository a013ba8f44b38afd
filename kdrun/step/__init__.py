"""The steps of compression, and how a run plans their stages. This file imports no torch."""
