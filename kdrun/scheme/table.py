"""Every scheme: its name on the command line -> where its class is."""

SCHEMES = {
    "concepts": "kdrun.scheme.concepts:Concepts",
    "domain_shift": "kdrun.scheme.domain_shift:DomainShift",
    "none": "kdrun.scheme.base:Scheme",
}
