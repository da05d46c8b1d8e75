"""The form of a measured figure: one JSON object a line on stdout, progress on stderr."""

import json
import math
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

_DIGITS = 4


@dataclass(frozen=True, slots=True)
class Figure:
    """`value` and `reference` have the same unit and were measured in the same run.

    `reference_is` says what was measured for it. Raises ValueError for a reference that is not
    above zero, because then nothing was measured.
    """

    bench: str
    case: str
    metric: str
    value: float
    unit: str
    reference: float
    reference_is: str

    def __post_init__(self) -> None:
        if not (math.isfinite(self.value) and math.isfinite(self.reference) and self.reference > 0):
            raise ValueError(f"{self.bench}, {self.metric}: {self.value} beside {self.reference}")

    def line(self) -> str:
        """As JSON, numbers with four significant digits."""
        return json.dumps(
            {
                "bench": self.bench,
                "case": self.case,
                "metric": self.metric,
                "value": _rounded(self.value),
                "unit": self.unit,
                "reference": _rounded(self.reference),
                "reference_is": self.reference_is,
                "ratio": _rounded(self.value / self.reference),
            },
            ensure_ascii=False,
        )

    def show(self) -> None:
        """Print it at once, so that a run that is broken off leaves what it has measured."""
        print(self.line(), flush=True)


def _rounded(number: float) -> float | int:
    if number == 0:
        return 0
    places = _DIGITS - 1 - math.floor(math.log10(abs(number)))
    rounded = round(number, places)
    return int(rounded) if rounded == int(rounded) else rounded


def quantile(samples: Sequence[float], share: float) -> float:
    """The smallest sample that at least `share` of all samples do not exceed (nearest rank).

    Of 50 samples the 0.95 quantile is the 48th. Raises ValueError without samples.
    """
    if not samples or not 0 < share <= 1:
        raise ValueError("a quantile needs samples and a share above 0, at most 1")
    return sorted(samples)[math.ceil(share * len(samples)) - 1]


def progress(bench: str, line: str) -> None:
    """Tell the person who waits."""
    print(f"[{bench}] {line}", file=sys.stderr, flush=True)


def machine() -> str:
    """Processors and the load of the last minute: the circumstances of a figure."""
    return f"{len(os.sched_getaffinity(0))} cores, load average {os.getloadavg()[0]:.2f}"
