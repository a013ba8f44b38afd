"""Which calibrator keeps the most: one network in 8, 6 and 4 bits, by each of them.

    python -m benchmarks.calibrators RUN [--row distilled] [--bits 8,6,4]

RUN is a finished run. Ranges are chosen from its own calibration samples, of the training split;
accuracies are of its test split, by which nothing is chosen.
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
from kdrun.compress.step_inputs import StepInputs
from kdrun.config.compose import compose_runs
from kdrun.core.device import choose_hardware
from kdrun.core.folder import RunFolder
from kdrun.engine.evaluate import score
from kdrun.stage.artefact import artefact_of
from kdrun.stage.step_inputs import calibration_batches, make_calibrator


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calibrators", description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--row", default="distilled")
    parser.add_argument("--bits", default="8,6,4")
    given = parser.parse_args(words)
    bits = [int(one) for one in given.bits.split(",")]
    folder = RunFolder(Path(given.run))
    config, data = read_run(folder.config())
    network = fold_batch_norms(artefact_of(folder, *named_row(folder, given.row)).network())
    hardware = choose_hardware("cpu", "fp32", 1, 1, 0)
    torch.set_num_threads(1)

    def percent(one: torch.nn.Module) -> str:
        return f"{100 * score(one, data.test, hardware, 256)['accuracy']:.2f}"

    print(describe_machine())
    print(
        f"{given.row} of {config.slug}: {percent(network)} % in float; test samples"
        f" {data.test.size}, calibration samples {config.compress.calibration}\n"
    )
    print(f"| calibrator | {' | '.join(f'{one} bits' for one in bits)} |")
    print("|---" * (1 + len(bits)) + "|")
    batches = list(calibration_batches(data, config.seed, config.compress.calibration))
    for name in CALIBRATORS:
        (job,) = compose_runs([f"compress.calibrator={name}"], multirun=False)
        node = job.tree["compress"]["calibrator"]
        material = StepInputs(batches, make_calibrator(node), 0, lambda _: 0, lambda _: 0.0)
        made = (
            quantize_static(
                network,
                material,
                QuantizationGrid(one, symmetric=False),
                WeightGrid.of(one, True, True),
            )
            for one in bits
        )
        print(f"| {name} | {' | '.join(percent(one.network) for one in made)} |", flush=True)


if __name__ == "__main__":
    main()
