"""Every scheme: its name on the command line -> where its class is."""

SCHEMES = {
    "none": "kdrun.scheme.base:Scheme",
    "own_stages": "kdrun.scheme.own_stages:OwnStages",
}
