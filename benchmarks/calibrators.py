"""Accuracy that each calibrator keeps: one network in 8, 6 and 4 bits.

    python -m benchmarks.calibrators RUN [--row distilled] [--bits 8,6,4]

RUN is a finished run. Ranges are chosen from its calibration samples, which are of the training
split; accuracies are of its test split, by which nothing is chosen.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.machine import describe_machine
from kdrun.check.finished_run import read_run
from kdrun.compare.runs import named_row
from kdrun.compress.calibrators import CALIBRATORS
from kdrun.compress.fold_batch_norm import fold_batch_norms
from kdrun.compress.quantization_grid import QuantizationGrid
from kdrun.compress.quantize.requantize import quantize_static
from kdrun.compress.quantize.weight_scales import WeightGrid
from kdrun.compress.step_inputs import StepInputs, TokenUse
from kdrun.config.compose import compose_runs
from kdrun.core.device import choose_hardware
from kdrun.core.folder import RunFolder
from kdrun.core.registry import build
from kdrun.engine.evaluate import score
from kdrun.stage.artefact import artefact_of
from kdrun.stage.step_inputs import calibration_batches


def main(words: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calibrators", description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--row", default="distilled")
    parser.add_argument("--bits", default="8,6,4")
    options = parser.parse_args(words)
    bits = [int(number) for number in options.bits.split(",")]
    folder = RunFolder(Path(options.run))
    config, data = read_run(folder.config())
    network = fold_batch_norms(artefact_of(folder, *named_row(folder, options.row)).network())
    hardware = choose_hardware("cpu", "fp32", 1, 1, 0)
    torch.set_num_threads(1)

    def accuracy(tested: torch.nn.Module) -> str:
        return f"{100 * score(tested, data.test, hardware, 256)['accuracy']:.2f}"

    print(describe_machine())
    print(
        f"{options.row} of {config.slug}: {accuracy(network)} % in float; test samples"
        f" {data.test.size}, calibration samples {config.compress.calibration}\n"
    )
    print(f"| calibrator | {' | '.join(f'{number} bits' for number in bits)} |")
    print("|---" * (1 + len(bits)) + "|")
    no_tokens = TokenUse(torch.zeros(0), 0)
    batches = list(calibration_batches(data, config.seed, config.compress.calibration))
    for name in CALIBRATORS:
        (job,) = compose_runs([f"compress.calibrator={name}"], multirun=False)
        node = job.tree["compress"]["calibrator"]
        calibrator = build("calibrator", CALIBRATORS, node)
        inputs = StepInputs(batches, calibrator, 0, lambda _: 0, lambda _: 0.0, lambda _: no_tokens)
        cells = []
        for number in bits:
            grids = QuantizationGrid(number, symmetric=False), WeightGrid.of(number, True, True)
            cells.append(accuracy(quantize_static(network, inputs, *grids).network))
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
