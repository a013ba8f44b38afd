"""Slow, literal evaluations in float64 that the tests of logit methods share."""

import math

from torch import Tensor

Rows = list[list[float]]


def rows(logits: Tensor) -> Rows:
    return logits.double().tolist()


def softmax(row: list[float], temperature: float = 1.0) -> list[float]:
    top = max(row)
    powers = [math.exp((value - top) / temperature) for value in row]
    return [power / sum(powers) for power in powers]


def kl(p: list[float], q: list[float]) -> float:
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def pearson(a: list[float], b: list[float]) -> float:
    a, b = ([value - mean(each) for value in each] for each in (a, b))
    size = math.sqrt(sum(v**2 for v in a) * sum(v**2 for v in b))
    return sum(x * y for x, y in zip(a, b, strict=True)) / size


def others(row: list[float], label: int) -> list[float]:
    return [value for number, value in enumerate(row) if number != label]


def scaled(row: list[float]) -> list[float]:
    center = mean(row)
    spread = math.sqrt(mean([(value - center) ** 2 for value in row]))
    return [(value - center) / spread for value in row]
