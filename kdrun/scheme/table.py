"""Every scheme: its name on the command line -> where its class is."""

SCHEMES = {
    "dafl": "kdrun.scheme.data_free:DAFL",
    "deep_inversion": "kdrun.scheme.data_free:DeepInversion",
    "none": "kdrun.scheme.base:Scheme",
    "zskt": "kdrun.scheme.data_free:ZSKT",
}
