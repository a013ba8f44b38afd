"""How large the files may be that a command reads: ten times what large runs write, or more."""

YAML = 1_000_000  # bytes of a config file
RECORD = 64_000_000  # bytes of a JSON file: a sweep of 100,000 jobs has about 50 million
METRICS = 256_000_000  # bytes of metrics.jsonl: about a million lines
ARRAYS = 512_000_000  # bytes of a file of arrays, and of what it unpacks into
MEMBERS = 10_000  # arrays in a file
JOBS = 10_000  # of a sweep; each has a folder, and a line in what the sweep says
TOKENIZER = 128_000_000  # bytes of a file of a tokenizer; 262,144 tokens have 33 million
TEXT = 8_000_000_000  # bytes of a file of texts, and of what it unpacks into
