"""Networks with fewer channels: which go, what depends on them, and how it is done again."""
