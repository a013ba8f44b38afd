"""Taps and phases for the members of a committee, a network that holds several networks.

`0/tap/NAME` is the name of a tap on the first member.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from kdrun.core.types import Phase, TapShapes
from kdrun.loss.prefixes import strip_prefix

NETWORK_OUTPUT = ""  # the module path of the network itself, whose output is its logits


def member_prefix(number: int, kind: str = "tap") -> str:
    """Return the prefix of the taps on a member: `0/tap/`."""
    return f"{number}/{kind}/"


def logits_tap(number: int) -> str:
    """Return the name of the tap on the logits of a member: `0/logits`."""
    return f"{number}/logits"


def logits_taps(count: int) -> dict[str, str]:
    """Return taps on the logits of all members."""
    return {logits_tap(number): NETWORK_OUTPUT for number in range(count)}


def member_path(committee: TapShapes, number: int) -> str:
    """Return the module path of a member in the committee."""
    return committee.paths[logits_tap(number)]


def member_shapes(committee: TapShapes, number: int, kind: str = "tap") -> TapShapes:
    """Return the taps of a member, with names and paths as if it were the only network."""
    path, prefix = member_path(committee, number), member_prefix(number, kind)
    paths = {
        name: tap.removeprefix(path).removeprefix(".")
        for name, tap in strip_prefix(prefix, committee.paths).items()
    }
    network = committee.network.get_submodule(path)
    return TapShapes(strip_prefix(prefix, committee.shapes), network, paths)


def move_phase(phase: Phase, paths: Mapping[str, Iterable[str]]) -> Phase:
    """Return a phase whose globs match parameters at other paths.

    Args:
        phase: a phase of the inner loss.
        paths: prefix of a glob -> new prefixes; the glob is repeated with each of them.
    """
    globs: list[str] = []
    for glob in phase.trains:
        prefixes = [prefix for prefix in paths if glob.startswith(prefix)]
        moved = [path + glob.removeprefix(prefix) for prefix in prefixes for path in paths[prefix]]
        globs += moved or [glob]
    return replace(phase, trains=tuple(dict.fromkeys(globs)))
