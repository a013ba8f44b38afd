"""Every scheme: its name on the command line -> where its class is."""

SCHEMES = {
    "assistants": "kdrun.scheme.assistants:Assistants",
    "none": "kdrun.scheme.base:Scheme",
}
