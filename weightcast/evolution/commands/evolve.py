"""``weightcast evolve``: samples of the distribution at any times."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weightcast.core.config.yaml_file import read_yaml
from weightcast.core.console.outputs import check_output
from weightcast.core.console.warning import warn
from weightcast.core.errors import InputError
from weightcast.evolution.commands.genes import genes_of_study
from weightcast.evolution.config.load import parse_time_study
from weightcast.evolution.weight_path import WeightPath
from weightcast.samples.record import Loadings
from weightcast.samples.snapshots import Snapshots
from weightcast.samples.write import EvolvedSamples, check_format

MOST_TIMES = 100_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "results", type=Path, metavar="RESULTS", help="folder of a study across time that has been run: results/STUDY"
    )
    parser.add_argument(
        "--times",
        required=True,
        metavar="TIMES",
        help="in the data's unit: numbers with commas (0,2.5,10), or FIRST:LAST:STEP, which includes its end",
    )
    parser.add_argument("-n", "--samples", default=1000, type=int, metavar="N", help="at each time; default: 1000")
    parser.add_argument("--arm", metavar="NAME", help="of the study's flow; default: the first")
    parser.add_argument("--extrapolate", action="store_true", help="allow times after the last snapshot")
    parser.add_argument("--seed", default=0, type=int, help="another seed gives other samples; default: 0")
    parser.add_argument("--device", default="auto", help="auto (a GPU where there is one), cpu, cuda or cuda:<number>")
    parser.add_argument(
        "-o", "--output", required=True, type=Path, metavar="FILE", help="to write: .nc, .csv, .npz or .h5ad (AnnData)"
    )
    parser.add_argument(
        "--without-genes",
        action="store_true",
        help="of principal components whose loadings the study has, do not write genes into .h5ad",
    )


def run(arguments: argparse.Namespace) -> None:
    check_output(arguments.output)
    check_format(arguments.output)
    times = parse_times(arguments.times)
    if arguments.samples < 1:
        raise InputError(f"--samples: found {arguments.samples}, expected at least 1")
    if not arguments.results.is_dir():
        raise InputError(f"{arguments.results}: found no such folder, expected that of a study that has been run")
    path = WeightPath.load(arguments.results, arguments.arm, device=arguments.device)
    drawn = path.sample(times, arguments.samples, arguments.seed, arguments.extrapolate)
    beyond = times > path.last
    if beyond.any():
        trends = path.trends
        kept = trends.shares[0]
        warn(
            f"{int(beyond.sum())} of {len(times)} times are extrapolated, after the last snapshot at {path.last:g}: a "
            f"forecast that keeps the last law with a share of {kept:.0%}, and lets its motion come to rest over up to "
            f"{max(trends.dampings):g} with the others"
        )
    if path.metadata.get("kept") == "spline":
        warn(
            f"arm {path.metadata['arm']}: its flow's training made samples set aside less likely, so that the spline "
            "through its anchors stands in its place"
        )
    said = {
        "arm": path.metadata["arm"],
        "flow_seed": path.metadata["seed"],
        "flow_digest": path.metadata["digest"],
        "seed": arguments.seed,
    }
    loadings = _genes(arguments, path)
    masses = None if path.mass_path is None else path.masses(times, arguments.extrapolate)
    growth = _growth(path, times, drawn.numpy())
    evolved = EvolvedSamples(times, drawn.numpy(), path.dimensions, beyond, said, (), loadings, masses, growth)
    evolved.save(arguments.output)
    print(
        f"wrote {arguments.output}: {arguments.samples} samples of {len(path.dimensions)} dimensions at {len(times)} "
        f"times from {times[0]:g} to {times[-1]:g}{with_genes(loadings)}{_with_masses(masses, growth)}"
    )


def _growth(path: WeightPath, times: NDArray[np.float64], drawn: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Growth rate at each sample [time, sample], NaN after the last snapshot; None where the study does not have it."""
    if path.couplings is None or path.mass_path is None:
        return None
    found = np.full(drawn.shape[:2], np.nan)
    for place, time in enumerate(times):
        if time <= path.last:
            found[place] = path.growth(float(time), drawn[place]).numpy()
    return found


def _with_masses(masses: NDArray[np.float64] | None, growth: NDArray[np.float64] | None) -> str:
    """What is said of the population."""
    if masses is None:
        return ""
    rates = "" if growth is None else ", and growth rates at the samples"
    return f", with masses from {masses[0]:.4g} to {masses[-1]:.4g} of that at the first snapshot{rates}"


def wants_genes(arguments: argparse.Namespace) -> bool:
    """Whether genes are to be written where the way to them is known."""
    return arguments.output.suffix.lower() == ".h5ad" and not arguments.without_genes


def with_genes(loadings: Loadings | None) -> str:
    """What is said of genes."""
    return "" if loadings is None else f", with {len(loadings.genes)} genes"


def _genes(arguments: argparse.Namespace, path: WeightPath) -> Loadings | None:
    if not wants_genes(arguments):
        return None
    config = arguments.results / "config.yaml"
    study = parse_time_study(read_yaml(config), config)
    return genes_of_study(
        arguments.results, study.snapshots, path.metadata, path.dimensions, lambda file: Snapshots.load(file).digest
    )


def parse_times(text: str) -> NDArray[np.float64]:
    """``0,2.5,10`` or ``FIRST:LAST:STEP`` -> increasing times; a slice includes its end if a step falls on it.

    Raises:
        InputError: it is neither, or times do not increase.
    """
    expected = "--times: found {!r}, expected numbers with commas between, or FIRST:LAST:STEP"
    try:
        if ":" in text:
            first, last, step = (float(part) for part in text.split(":"))
        else:
            times = np.array([float(part) for part in text.split(",")])
    except ValueError:
        raise InputError(expected.format(text)) from None
    if ":" in text:
        if not all(map(math.isfinite, (first, last, step))) or step <= 0 or last < first:
            raise InputError(f"--times: found {text!r}, expected FIRST <= LAST and STEP above 0")
        count = int((last - first) / step * (1 + 1e-12) + 1e-9) + 1
        if count > MOST_TIMES:
            raise InputError(f"--times: found {count} times in {text!r}, expected at most {MOST_TIMES}")
        times = first + step * np.arange(count)
    if not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise InputError(f"--times: found {text!r}, expected finite times that increase")
    return times
