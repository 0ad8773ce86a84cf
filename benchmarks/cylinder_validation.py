"""The flow past a cylinder against what is known of it: shedding frequency, drag, lift, and no-slip.

    OMP_NUM_THREADS=1 python benchmarks/cylinder_validation.py [--quick]

Two problems, each at two resolutions (about seven minutes of one core; one minute with --quick):

open      a cylinder in a free-slip channel of height 20 D and length 30 D, 10 D behind the inlet (blockage 0.05).
          Strouhal number: St = 0.2731 - 1.1129 / sqrt(Re) + 0.4821 / Re (C. H. K. Williamson and G. L. Brown, A series
          in 1 / sqrt(Re) to represent the Strouhal-Reynolds number relationship of the cylinder wake, J. Fluids Struct.
          12 (1998) 1073). Mean drag and largest lift of two-dimensional simulations: C. Liu, X. Zheng and C. H. Sung,
          J. Comput. Phys. 139 (1998) 35; M. N. Linnick and H. F. Fasel, J. Comput. Phys. 204 (2005) 157.
channel   a cylinder in a no-slip channel, slightly off the middle, with a parabolic inlet (blockage 0.24): the
          benchmarks 2D-1 (Re = 20, steady) and 2D-2 (Re = 100, shedding; largest drag and lift) of M. Schaefer and
          S. Turek, Benchmark computations of laminar flow around a cylinder, Notes Numer. Fluid Mech. 52 (1996) 547.

Slip is the velocity at the wall over U, extrapolated from the fluid (`velocity_at_wall`), in the last instant: root
mean square over the wall, and the largest. Cell updates are per second of processor time.
"""

from __future__ import annotations

import argparse
import time
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from weightcast.systems.curved_boundary import velocity_at_wall
from weightcast.systems.cylinder_flow import CylinderFlow

LATTICE_SPEED = 0.08
SAMPLES = 25  # of the force, per D / U


class Run(NamedTuple):
    """Force coefficients [sample, (drag, lift)], one every `step` D / U, from the second half of a simulation."""

    forces: NDArray[np.float64]
    step: float
    slip: tuple[float, float]
    updates: float


def simulate(flow: CylinderFlow, start: NDArray[np.float64], cells: int, duration: float) -> Run:
    """Run for `duration` D / U."""
    flow.start(start)
    steps = round(cells / flow.lattice_speed / SAMPLES)
    before = time.process_time()
    forces = []
    for _ in range(round(duration * SAMPLES)):
        flow.advance(steps)
        forces.append(flow.force_coefficients()[0])
    seconds = time.process_time() - before
    slip = np.abs(np.linalg.norm(velocity_at_wall(flow.solver.links[0], flow.velocity()[:, 0]), axis=0))
    updates = flow.solver.solid.size * steps * len(forces) / seconds
    late = np.array(forces[len(forces) // 2 :])
    return Run(late, steps * flow.lattice_speed / cells, (float(np.sqrt((slip**2).mean())), float(slip.max())), updates)


def open_flow(reynolds: float, cells: int, duration: float) -> Run:
    """The open problem with D = 1 and `cells` cells in it; an eddy behind the cylinder sets off the shedding."""
    domain, centre = (20.0, 30.0), (10.0, 10.0)
    flow = CylinderFlow(reynolds, 0.5, domain, centre, "free-slip", cells, cells / LATTICE_SPEED)
    y, x = ((np.arange(length * cells) + 0.5) / cells for length in (20, 30))
    start = np.zeros((2, 1, len(y), len(x)))
    start[0] = 1
    start[1] = 0.5 * np.exp(-((y[:, None] - centre[0]) ** 2) - (x - centre[1] - 1.5) ** 2)
    return simulate(flow, start, cells, duration)


def channel_flow(reynolds: float, cells: int, duration: float) -> Run:
    """The benchmark's channel with D = 1 and mean inlet velocity 1; `cells` is a multiple of 10."""
    height = 4.1
    y = (np.arange(round(height * cells)) + 0.5) / cells / height
    profile = 6 * y * (1 - y)
    flow = CylinderFlow(
        reynolds, 0.5, (height, 22.0), (2.0, 2.0), "no-slip", cells, 1.5 * cells / LATTICE_SPEED, inlet=profile
    )
    start = np.zeros((2, 1, *flow.solver.solid.shape))
    start[0] = profile[:, None]
    return simulate(flow, start, cells, duration)


def strouhal(run: Run) -> float:
    """Frequency of the lift, from its upward crossings of its mean."""
    lift = run.forces[:, 1] - run.forces[:, 1].mean()
    before = np.nonzero((lift[:-1] < 0) & (lift[1:] >= 0))[0]
    crossings = before + lift[before] / (lift[before] - lift[before + 1])
    return float(1 / (np.diff(crossings).mean() * run.step))


COLUMNS = "{:<8} {:>4} {:>8} {:>7} {:>14} {:>7} {:>14} {:>7} {:>14} {:>7} {:>7} {:>10}"


def report(problem: str, reynolds: int, cells: int, run: Run, expected: tuple[str, str, str]) -> None:
    """Print a line of the table; `expected` are Strouhal number, drag and lift."""
    drag = run.forces[:, 0].max() if problem == "channel" else run.forces[:, 0].mean()
    found = [f"{strouhal(run):.4f}" if expected[0] else "", f"{drag:.4f}", f"{run.forces[:, 1].max():.4f}"]
    pairs = [value for pair in zip(found, expected, strict=True) for value in pair]
    slip = [f"{value:.4f}" for value in run.slip]
    print(COLUMNS.format(problem, reynolds, cells, *pairs, *slip, f"{run.updates / 1e6:.0f} M/s"), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the coarser resolution of each problem alone")
    quick = parser.parse_args().quick

    pairs = [name for value in ("St", "drag", "lift") for name in (value, "expected")]
    print(COLUMNS.format("problem", "Re", "cells/D", *pairs, "slip", "largest", "updates"))
    for cells in (10,) if quick else (10, 20):
        report("channel", 20, cells, channel_flow(20, cells, 40), ("", "5.57 to 5.59", "0.0104..0.0110"))
        expected = ("0.295 to 0.305", "3.22 to 3.24", "0.99 to 1.01")
        report("channel", 100, cells, channel_flow(100, cells, 100), expected)
        for reynolds, drag, lift in ((100, "1.33 to 1.35", "0.33 to 0.34"), (200, "1.31 to 1.34", "0.66 to 0.69")):
            relation = 0.2731 - 1.1129 / reynolds**0.5 + 0.4821 / reynolds
            report("open", reynolds, cells, open_flow(reynolds, cells, 100), (f"{relation:.4f}", drag, lift))


if __name__ == "__main__":
    main()
