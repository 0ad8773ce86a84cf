"""What drawing weights costs: from 2 to 1000 steps of the sampler, of many environments at once or one by one.

    OMP_NUM_THREADS=1 python benchmarks/sampler.py [--quick]

The latent diffusion of the default study (config.yaml), untrained: what a step costs does not depend on it. The study
samples in 2 steps; 1000 are those of its noise schedule, which the usual ancestral sampler takes one by one. The loop
over environments is measured on a few and multiplied. Of the published size (config/paper/lambda-omega.yaml, 12
layers of width 768 on 386 nodes) one set is drawn in 2, 10 and 1000 steps, the last measured on 20 of them; not in a
quick run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from side_by_side import ROOT, Effort, Row, alone, take_turns

from weightcast.core.draws import Draws
from weightcast.core.nets.sizes import count_nodes
from weightcast.environments.conditions import Known, new_condition
from weightcast.environments.config.load import load_study
from weightcast.environments.diffusion import LatentDiffusion

NAME = "sampler"
STEPS = (2, 10, 50, 250, 1000)
SETS = 42
"""Environments of the default study."""
LOOPED = 2
"""Of the loop that are measured."""
PUBLISHED = (2, 10, 1000)
"""Steps of the published size."""
MEASURED = 20
"""Of so many steps, where there are more: the others cost the same."""
SHORT = 250
"""Steps up to which a quick run looks at all environments."""


def rows(effort: Effort) -> Iterator[Row]:
    """One environment and all of the study's, at growing numbers of steps."""
    for steps in STEPS:
        yield from sampler_rows(1, steps, effort)
    for steps in STEPS:
        if effort.quick and steps > SHORT:
            yield Row.skipped(NAME, _case(SETS), steps, f"a quick run stops at {SHORT} steps")
        else:
            yield from sampler_rows(SETS, steps, effort)
    yield from published_rows(effort)


def published_rows(effort: Effort) -> Iterator[Row]:
    """One set of latents of the published size."""
    case = "published size, one environment, steps"
    if effort.quick:
        yield Row.skipped(NAME, case, max(PUBLISHED), "minutes, which a quick run does not take")
        return
    diffusion, draws = _diffusion("config/paper/lambda-omega.yaml"), Draws("cpu", 0, "noise")
    noise, prepared = draws.normal(1, *diffusion.shape), draws.uniform(1, 2)

    def drawn(steps: int) -> Callable[[], object]:
        return torch.no_grad()(lambda: diffusion.sample(noise, prepared, min(steps, MEASURED)))

    ways = {f"{steps} steps": drawn(steps) for steps in PUBLISHED}
    parts = {f"{steps} steps": steps / MEASURED for steps in PUBLISHED if steps > MEASURED}
    yield from take_turns(ways, effort, parts=parts).rows(NAME, case, max(PUBLISHED), "s")


def sampler_rows(sets: int, steps: int, effort: Effort) -> Iterator[Row]:
    """So many sets of weights' latents, in so many steps."""
    diffusion, draws = _diffusion(), Draws("cpu", 0, "noise")
    noise, prepared = draws.normal(sets, *diffusion.shape), draws.uniform(sets, 2)

    @torch.no_grad()
    def at_once() -> None:
        diffusion.sample(noise, prepared, steps)

    @torch.no_grad()
    def one_by_one() -> None:
        for row in range(min(LOOPED, sets)):
            diffusion.sample(noise[row : row + 1], prepared[row : row + 1], steps)

    ways: dict[str, Callable[[], object]] = {"at once": at_once}
    if sets > 1:
        ways["one by one"] = one_by_one
    turns = take_turns(ways, effort, parts={"one by one": max(1.0, sets / LOOPED)})
    yield from turns.rows(NAME, _case(sets), steps)


def _case(sets: int) -> str:
    return "steps, one environment" if sets == 1 else f"steps, {sets} environments"


def _diffusion(config: str = "config.yaml") -> LatentDiffusion:
    study = load_study(ROOT / config)
    vae, settings = study.generator.of_arm(next(iter(study.generator.arms)))
    nodes = count_nodes(study.predictor, len(study.data.channels))
    corners = [Known(parameters={"a": end, "b": end}) for end in (0.0, 1.0)]
    return LatentDiffusion(nodes, vae.latent, new_condition("parameters", corners), settings)


if __name__ == "__main__":
    alone(rows, __doc__)
