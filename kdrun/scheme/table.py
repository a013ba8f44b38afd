"""Every scheme: its name on the command line -> where its class is."""

SCHEMES = {
    "concepts": "kdrun.scheme.concepts:Concepts",
    "none": "kdrun.scheme.base:Scheme",
}
