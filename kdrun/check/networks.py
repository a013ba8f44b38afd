"""Checks whether networks, weights, losses, steps and data fit each other, by trying them."""

from torch import nn

from kdrun import model
from kdrun.check.built import ROLES, BuiltRun, sound_networks
from kdrun.check.environment import check_disk_space, has_teacher_source
from kdrun.check.losses import check_losses
from kdrun.check.outputs import check_teacher_outputs
from kdrun.check.settings import check_network_settings
from kdrun.check.steps import check_protocol, check_steps
from kdrun.check.training import (
    check_batch_sizes,
    check_frozen_layers,
    check_other_training,
    check_student_start,
    check_student_training,
    check_teacher_start,
)
from kdrun.core.config import Network
from kdrun.core.faults import Faults
from kdrun.core.memory import refuse_too_large
from kdrun.core.memory_format import contiguous_reason
from kdrun.core.taps import resolve_taps
from kdrun.core.types import DataInfo
from kdrun.export.trace import try_formats
from kdrun.model.table import COMPOSED
from kdrun.scheme.table import make_scheme
from kdrun.stage.tokenizer_file import tokenizer_of


def check_networks(run: BuiltRun) -> None:
    """Build every network; try losses, steps and data with them. Faults go to `run.faults`."""
    build_networks(run)
    check_batch_sizes(run)
    check_teacher_start(run)
    check_frozen_layers(run)
    check_student_training(run)
    check_export(run)
    if run.faults or not _is_complete(run):
        return
    check_student_start(run)
    plan_stages(run)
    check_other_training(run)
    if run.faults:
        return
    check_losses(run)
    check_steps(run)
    check_teacher_outputs(run)
    check_protocol(run)
    check_disk_space(run)


def build_networks(run: BuiltRun) -> None:
    """Build every network of the scheme, and run each once."""
    for role, network in sound_networks(run.config, run.sound).items():
        if network.name in COMPOSED and run.faults:
            continue  # it consists of other networks, whose faults are reported already
        count_before = len(run.faults)
        if role not in ROLES:  # settings of teacher and student are checked before data is read
            check_network_settings(role, network, run.faults)
        if len(run.faults) > count_before:
            continue
        info = run.data[role].info if run.data else run.info
        module = try_network(role, network, info, run.faults)
        if module is not None:
            run.modules[role] = module
            run.notes += _memory_format_notes(role, module)
        if len(run.faults) > count_before:
            run.unfit.add(role)


def try_network(role: str, network: Network, info: DataInfo, faults: Faults) -> nn.Module | None:
    """Build a network and run it once.

    Args:
        role: the network's key in the config, for the messages.
        network: the network's section of the config.
        info: the dataset that the network is built for.
        faults: receives the faults: the network cannot be built, it cannot take the inputs, or it
            lacks a module that its taps name.

    Returns:
        The network; None if it cannot be built.
    """
    module = None
    with faults.under(role):
        with refuse_too_large():
            module = model.build(network.node, info)
        faults.extend(misfits := model.check_forward(role, module, info))
        if not misfits:
            _check_taps(role, network, module, info, faults)
    return module


def check_export(run: BuiltRun) -> None:
    """Check that the student can be exported to the formats that the config names."""
    formats = run.config.export if "export" in run.sound else []
    if "student" in run.modules and formats and not run.faults:
        with run.faults.under("export"):
            student = run.modules["student"]
            tokenizer = tokenizer_of(student, run.data["student"]) if run.data else None
            try_formats(student, run.info, formats, tokenizer)


def plan_stages(run: BuiltRun) -> None:
    """Plan the scheme's stages, which later checks read from `run.stages`."""
    keys = {"recipe", "teacher.recipe", "loss", "scheme", "controls", "stop", "compress"}
    if run.sound >= {*keys, "teacher_outputs"} and has_teacher_source(run.config):
        run.stages = make_scheme(run.config.scheme).stages(run.config)


def _memory_format_notes(role: str, module: nn.Module) -> list[str]:
    reason = contiguous_reason(module)
    if not reason:
        return []
    return [
        f"{role}: {type(module).__name__} runs on contiguous images and not in channels_last, the"
        f" faster memory format, where it fails: {reason}"
    ]


def _is_complete(run: BuiltRun) -> bool:
    """Return whether all networks are built and all data is read, so that they can be combined."""
    built = (
        "student" in run.modules
        and run.modules.keys() == sound_networks(run.config, run.sound).keys()
    )
    return built and bool(run.datasets) and run.sound >= ROLES


def _check_taps(
    role: str, network: Network, module: nn.Module, info: DataInfo, faults: Faults
) -> None:
    """Check that the network has the modules that its `taps` in the config name."""
    for key, paths in network.taps.apply_to({}).items():
        for path in paths:
            with faults.under(f"{role}.taps.{key}"):
                resolve_taps(role, {path: path}, {}, module, info)
