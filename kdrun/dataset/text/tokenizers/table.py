"""Every tokenizer: its name in the config -> the function that makes it from training texts."""

TOKENIZERS = {
    "bpe": "kdrun.dataset.text.tokenizers.trained:train_bpe",
    "bytes": "kdrun.dataset.text.tokenizers.byte_values:make_bytes",
    "chars": "kdrun.dataset.text.tokenizers.vocabulary:count_characters",
    "folder": "kdrun.dataset.text.tokenizers.folder:read_folder",
    "saved": "kdrun.dataset.text.tokenizers.saved:read_saved",
    "wordpiece": "kdrun.dataset.text.tokenizers.trained:train_wordpiece",
    "words": "kdrun.dataset.text.tokenizers.vocabulary:count_words",
}

GIVEN = ("texts",)  # parameters that the dataset passes
