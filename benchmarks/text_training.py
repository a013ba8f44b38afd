"""Speed of kdrun on texts beside transformers' Trainer and a plain loop, in real tokens.

python -m benchmarks.text_training [--rounds 5] [--steps 60]

SST-2 (KDRUN_DATA), batches of 32 sentences, a BERT of 3 layers of 192 with new weights, labels
alone, one thread. Padding is not counted as tokens.
"""

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.loops import train_spec, use_pytorch_defaults
from benchmarks.machine import describe_machine, has_half_units
from benchmarks.timing import Contender, Tick, make_clock, ratios, spread, table, time_in_turns
from kdrun.check.preflight import check
from kdrun.config.compose import compose_runs
from kdrun.core.inputs.text import Encoding, tokens_of
from kdrun.core.types import Batch, TapShapes
from kdrun.dataset.data import Data
from kdrun.engine.training_spec import TrainingSpec
from kdrun.loss.table import build_loss
from kdrun.run.plan import Plan
from kdrun.stage.start import build_network

BATCH_SIZE, RATE = 32, 5e-4
TRAINER, GROUPED = "Trainer, as it comes", "Trainer, group_by_length"
PLAIN, FP32, BF16, BARE = "plain loop, buckets", "kdrun, fp32", "kdrun, bf16", "bare loop, fp32"
_MOST = 3000  # steps that are timed


@dataclass
class Counts:
    """The tokens that a loop read, step by step; padding apart.

    Attributes:
        real: tokens of each step.
        padded: the same with padding.
    """

    real: list[int] = field(default_factory=list)
    padded: list[int] = field(default_factory=list)

    def add(self, mask: Tensor) -> None:
        self.real.append(int(mask.sum()))
        self.padded.append(mask.numel())

    def share_of_padding(self) -> float:
        return 1 - sum(self.real) / sum(self.padded)


@dataclass(frozen=True)
class TextWorkload:
    """A checked config and its network, which every loop copies."""

    plan: Plan
    network: nn.Module

    @property
    def encoding(self) -> Encoding:
        encoding = self.network.encoding
        assert isinstance(encoding, Encoding)
        return encoding

    def batches(self, epoch: int = 0) -> Iterator[Batch]:
        """The batches of an epoch as kdrun makes them."""
        config = self.plan.config
        return self.data.train.epoch(epoch, epoch, config.seed, BATCH_SIZE)

    @property
    def data(self) -> Data:
        """The data with the texts as the network reads them."""
        return self.plan.data.for_networks([self.plan.config.student.node])


def main(words: list[str] | None = None) -> None:
    """Print the table."""
    options = _options(words)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    use_pytorch_defaults()
    with TemporaryDirectory() as folder:
        model = Path(folder, "bert")
        _write_bert(model, Path(os.environ["KDRUN_DATA"], "tokenizers", "bert_uncased"))
        fp32, bf16 = (_workload(model, f"precision={name}") for name in ("fp32", "bf16"))
        counts: dict[str, Counts] = {}
        contenders = [
            _contender(TRAINER, partial(_train_with_trainer, fp32, folder, False), fp32, counts),
            _contender(GROUPED, partial(_train_with_trainer, fp32, folder, True), fp32, counts),
            _contender(PLAIN, partial(_train_by_hand, fp32), fp32, counts),
            _contender(BARE, partial(_train_bare_loop, fp32), fp32, counts),
            _contender(FP32, partial(_train_with_kdrun, fp32), fp32, counts),
            _contender(BF16, partial(_train_with_kdrun, bf16), bf16, counts),
        ]
        print(describe_machine(torch.device("cpu")))
        print(f"{options.rounds} rounds of {options.steps} steps of {BATCH_SIZE} sentences\n")
        clock = make_clock(torch.device("cpu"))
        times = time_in_turns(contenders, options.rounds, options.steps, clock)
        print(_report(times, counts, options))
    if not has_half_units():
        print("bf16: this processor has no units for it")


def _options(words: list[str] | None) -> Namespace:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=60)
    return parser.parse_args(words)


def _contender(
    name: str,
    loop: Callable[[Counts, Tick], object],
    workload: TextWorkload,
    counts: dict[str, Counts],
) -> Contender:
    counts[name] = Counts()
    settings = workload.plan.hardware.prepare
    apply = partial(settings, workload.plan.config.deterministic)
    return Contender(
        name, partial(loop, counts[name]), apply if "kdrun" in name else use_pytorch_defaults
    )


def _write_bert(folder: Path, tokenizer: Path) -> None:
    """Write a Hugging Face folder of a small BERT with new weights and a real tokenizer."""
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    words = AutoTokenizer.from_pretrained(tokenizer, local_files_only=True)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=192,
        num_hidden_layers=3,
        num_attention_heads=6,
        intermediate_size=768,
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    words.save_pretrained(folder)


def _workload(model: Path, *words: str) -> TextWorkload:
    (job,) = compose_runs(
        [
            "task=text",
            "dataset=table",
            "dataset.root=sst2",
            "dataset.text=sentence",
            "dataset.label=label",
            "teacher=hf",
            f"teacher.path={model}",
            "student=hf",
            f"student.path={model}",
            "loss=ce",
            f"recipe.lr={RATE}",
            "recipe.lr_by_model=null",
            f"recipe.batch_size={BATCH_SIZE}",
            "threads=1",
            *words,
        ],
        multirun=False,
    )
    plan = check(job.tree)
    plan.hardware.prepare(plan.config.deterministic)
    network = build_network(plan.config.student.node, plan.data, plan.config.seed, "student")
    return TextWorkload(plan, network)


def _train_with_trainer(
    workload: TextWorkload, folder: str, grouped: bool, counts: Counts, tick: Tick
) -> None:
    """Train transformers' own class of the same size on the same sentences."""
    from transformers import (
        AutoModelForSequenceClassification,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    class CallTick(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            tick()

    samples = _encoded_samples(workload)
    arguments = TrainingArguments(
        output_dir=f"{folder}/trainer-{grouped}",
        per_device_train_batch_size=BATCH_SIZE,
        learning_rate=RATE,
        num_train_epochs=100,
        use_cpu=True,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        dataloader_pin_memory=False,
        train_sampling_strategy="group_by_length" if grouped else "random",
    )
    network = AutoModelForSequenceClassification.from_pretrained(f"{folder}/bert")
    Trainer(
        model=network,
        args=arguments,
        train_dataset=samples,
        data_collator=partial(_collate, counts),
        callbacks=[CallTick()],
    ).train()


def _encoded_samples(workload: TextWorkload) -> list[dict[str, Any]]:
    """The sentences as kdrun encodes them, without padding, in the order of the split."""
    samples: dict[int, dict[str, Any]] = {}
    for batch in workload.data.train.batches(1024):
        ids, mask = tokens_of(batch.inputs, workload.encoding)  # type: ignore[arg-type]
        for row, (index, target) in enumerate(
            zip(batch.index.tolist(), batch.targets.tolist(), strict=True)
        ):
            samples[index] = {"input_ids": ids[row, mask[row]].tolist(), "labels": target}
    return [samples[index] for index in range(len(samples))]


def _collate(counts: Counts, samples: list[dict[str, Any]]) -> dict[str, Tensor]:
    """Pad to the longest of the batch, as transformers' DataCollatorWithPadding does."""
    rows = [torch.tensor(sample["input_ids"]) for sample in samples]
    ids = nn.utils.rnn.pad_sequence(rows, batch_first=True)
    mask = nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
    counts.add(mask)
    labels = torch.tensor([sample["labels"] for sample in samples])
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def _train_by_hand(workload: TextWorkload, counts: Counts, tick: Tick) -> None:
    """A loop written by hand: sorted pools of 50 batches, padding to the longest, fused AdamW."""
    network = deepcopy(workload.network).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, fused=True)
    samples, random = _encoded_samples(workload), torch.Generator().manual_seed(0)
    name_ids, name_mask = workload.encoding.keys
    for _ in count():
        order = torch.randperm(len(samples), generator=random)
        for pool in order.split(50 * BATCH_SIZE):
            by_length = sorted(pool.tolist(), key=lambda index: len(samples[index]["input_ids"]))
            batches = torch.tensor(by_length).split(BATCH_SIZE)
            for number in torch.randperm(len(batches), generator=random).tolist():
                batch = _collate(counts, [samples[index] for index in batches[number].tolist()])
                optimizer.zero_grad(set_to_none=True)
                inputs = {name_ids: batch["input_ids"], name_mask: batch["attention_mask"].bool()}
                F.cross_entropy(network(inputs), batch["labels"]).backward()
                nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimizer.step()
                tick()


def _train_bare_loop(workload: TextWorkload, counts: Counts, tick: Tick) -> None:
    """kdrun's batches and arithmetic alone: no records, checkpoints, display or seeds."""
    network = deepcopy(workload.network).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, fused=True)
    for epoch in count():
        for batch in workload.batches(epoch):
            counts.add(tokens_of(batch.inputs, workload.encoding).mask)  # type: ignore[arg-type]
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(network(batch.inputs), batch.targets).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            tick()


def _train_with_kdrun(workload: TextWorkload, counts: Counts, tick: Tick) -> None:
    plan, student = workload.plan, deepcopy(workload.network).requires_grad_(True)
    batches = (batch for epoch in count() for batch in workload.batches(epoch))
    masks = [tokens_of(batch.inputs, workload.encoding).mask for batch in islice(batches, _MOST)]  # type: ignore[arg-type]
    remaining = iter(masks)  # made before the first turn that counts

    def count_and_tick() -> None:
        counts.add(next(remaining))
        tick()

    loss = build_loss(plan.config.loss)
    loss.bind(TapShapes({}, student, {}), None, plan.data.info)
    recipe = plan.config.recipe
    spec = TrainingSpec("distill", "hf", student, None, loss, workload.data, recipe)
    train_spec(workload, spec, count_and_tick)  # type: ignore[arg-type]  # only its plan is read


def _report(
    times: Mapping[str, list[float]], counts: Mapping[str, Counts], options: Namespace
) -> str:
    """Tokens a second of each loop, and how many times those of the Trainer."""
    speeds = {
        name: _speeds(seconds, counts[name], options.steps) for name, seconds in times.items()
    }
    targets = {FP32: "2.3; 1.1 of group_by_length", BF16: "2.6, with bf16 units"}
    rows = [
        [
            name,
            spread(values, ".0f"),
            f"{counts[name].share_of_padding():.0%}",
            spread(ratios(speeds, name, TRAINER)),
            spread(ratios(speeds, name, GROUPED)),
            targets.get(name, ""),
        ]
        for name, values in speeds.items()
    ]
    titles = ["loop", "tokens/s", "padding", "times Trainer", "times grouped", "at least"]
    overhead = [(ratio - 1) * 100 for ratio in ratios(speeds, BARE, FP32)]
    note = f"kdrun, fp32, over the bare loop: {spread(overhead, '.1f')} %; at most 3 % is wanted"
    return f"{table(titles, rows)}\n\n{note}"


def _speeds(seconds: list[float], counts: Counts, steps: int) -> list[float]:
    """Real tokens a second in each round; the first turn is a warm-up."""
    turns = [sum(counts.real[start : start + steps]) for start in range(0, len(counts.real), steps)]
    return [tokens / steps / second for tokens, second in zip(turns[1:], seconds, strict=False)]


if __name__ == "__main__":
    main()
