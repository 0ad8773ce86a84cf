"""Put what seeds of the context differ by into docs/across-environments.md.

python docs/write_seeds.py RESULTS ...     after `make seeds`; replaces what stands between the markers <study>-seeds
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from write_results import ROOT, SPLITS, fill, read

from weightcast.cli.errors import exit_on_input_error
from weightcast.core.artifact_header import ArtifactHeader
from weightcast.core.errors import InputError
from weightcast.core.methods import CONTEXT, ENSEMBLE, ONE_PER_ENV_PREFIX
from weightcast.core.significance import bootstrap_median, value_grid
from weightcast.environments.config.evaluation import ObservedCase
from weightcast.environments.config.load import load_study
from weightcast.environments.report.unknown import words_of

PAGE = ROOT / "docs" / "across-environments.md"
KEYS = ["case", "method", "split", "metric"]


class SeedTable:
    """Markdown: a row a seed, medians over environments inside / outside the range, and rows of all seeds together.

    Args:
        observed: rows of observed.csv at the trained horizon.
        cases: in the order of the columns.
        maps: kind of map, by seed.
    """

    def __init__(self, observed: pd.DataFrame, cases: Sequence[ObservedCase], maps: dict[int, str]) -> None:
        self.cases, self.maps = cases, maps
        self.rows = {key: group for key, group in observed.groupby(KEYS) if np.isfinite(group["value"]).any()}
        references = [one for one in observed["method"].unique() if one.startswith(ONE_PER_ENV_PREFIX)]
        self.reference = min(references, key=lambda one: self._median(self._grid(cases[0], one, SPLITS[0])))

    def lines(self) -> list[str]:
        """The table."""
        headings = ["seed", "map", *map(words_of, self.cases)]
        lines = [f"| {' | '.join(headings)} |", "|---" * len(headings) + "|"]
        for seed, kind in self.maps.items():
            lines.append(self._line(str(seed), kind, partial(self._of_seed, seed)))
        lines.append(self._line("all", "", self._interval))
        lines.append(self._line("largest, over One-per-Env", "", self._ratio))
        lines.append(self._line("held by the ensemble's 90 % interval, all", "", self._held))
        return lines

    def _line(self, name: str, kind: str, cell: Callable[[ObservedCase, str], str]) -> str:
        cells = [" / ".join(cell(case, split) for split in SPLITS) for case in self.cases]
        return f"| {' | '.join([name, kind, *cells])} |"

    def _grid(self, case: ObservedCase, method: str, split: str, metric: str = "rmse") -> pd.DataFrame:
        """Values (environments, seeds)."""
        return value_grid(self.rows[case.name, method, split, metric], metric)

    @staticmethod
    def _median(values: pd.DataFrame | pd.Series) -> float:
        return float(values.mean(axis=1).median() if isinstance(values, pd.DataFrame) else values.median())

    def _of_seed(self, seed: int, case: ObservedCase, split: str) -> str:
        return f"{self._median(self._grid(case, CONTEXT, split)[seed]):.3f}"

    def _interval(self, case: ObservedCase, split: str) -> str:
        found = bootstrap_median(self._grid(case, CONTEXT, split).to_numpy())
        return f"{found.median:.3f} [{found.low:.3f}, {found.high:.3f}]"

    def _ratio(self, case: ObservedCase, split: str) -> str:
        """The largest of the seeds' medians over that of experts of the very environment."""
        grid, expert = self._grid(case, CONTEXT, split), self._median(self._grid(case, self.reference, split))
        return f"{max(self._median(grid[seed]) for seed in self.maps) / expert:.2f}"

    def _held(self, case: ObservedCase, split: str) -> str:
        return f"{100 * self._median(self._grid(case, CONTEXT + ENSEMBLE, split, 'coverage_90')):.0f} %"


def maps_of(results: Path) -> dict[int, str]:
    """Kinds of the contexts' maps, by seed: those that are there, whichever seeds the last whole run had."""
    headers = [ArtifactHeader.load(path).metadata for path in sorted((results / "base").glob("context*.safetensors"))]
    found = {int(one["settings"]["context_seed"]): str(one["weight_map"]["kind"]) for one in headers}
    return dict(sorted(found.items()))


@exit_on_input_error()
def main() -> None:
    for results in map(Path, sys.argv[1:]):
        study, observed = load_study(results / "config.yaml"), read(results / "observed.csv")
        at_horizon = observed[observed["horizon"] == study.trained_horizon]
        seeds = set(at_horizon.loc[at_horizon["method"] == CONTEXT, "seed"])
        if len(seeds) < 2:
            raise InputError(
                f"{results / 'observed.csv'}: found {len(seeds)} seeds of {CONTEXT}, run `make seeds` first"
            )
        maps = {seed: kind for seed, kind in maps_of(results).items() if seed in seeds}
        table = SeedTable(at_horizon, study.evaluation.observed, maps)
        fill(PAGE, f"{results.name}-seeds", "\n".join(table.lines()))


if __name__ == "__main__":
    main()
