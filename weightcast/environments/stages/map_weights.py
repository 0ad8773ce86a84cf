"""The stage ``map_weights``: the weight-environment map, principal components of the zoos' weights and latents."""

from __future__ import annotations

import math

import pandas as pd
import torch
from sklearn.decomposition import PCA

from weightcast.core.outputs import Table
from weightcast.core.run import Run
from weightcast.core.stage import stage
from weightcast.core.stored_tensor import Rows, column_blocks
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.deviations import COPIES
from weightcast.environments.gram import principal_plane
from weightcast.environments.jobs import MapWeights
from weightcast.environments.known import known_of
from weightcast.environments.vae_artifact import TrainedVae
from weightcast.environments.zoo import Zoo

DECOMPOSED = 6
"""Numbers that are held of each number that principal components are made of: three times in double precision."""


@stage("map_weights")
def map_weights(
    run: Run, settings: MapWeights, zoos: list[Zoo], vaes: list[TrainedVae], observed: TrajectoryFolder | None = None
) -> Table:
    """Map the experts that did not diverge.

    Args:
        run: whose device encodes.
        settings: the visible environments.
        zoos: one a base, in the order of ``settings.bases``.
        vaes: one an arm.
        observed: trajectories of these environments, where a condition sees frames.
    """
    healthy = {base: zoo.healthy() for base, zoo in zip(settings.bases, zoos, strict=True)}
    tables = [mapped("weights", base, zoo, zoo.weights, run) for base, zoo in healthy.items()]
    shown = set()
    for trained in vaes:
        base = next(name for name, zoo in healthy.items() if zoo.metadata["base"] == trained.metadata["base"])
        if base in shown:  # several arms may stand on one base: the first one's latents are shown
            continue
        shown.add(base)
        zoo = healthy[base]
        known = known_of(settings, observed, zoo.environments)
        prepared = run.place(trained.condition.prepare(known))
        vae = run.place(trained.vae)
        parts = torch.arange(len(prepared)).split(run.together(vae.coding_numbers + COPIES * zoo.weights.shape[1]))
        latents = run.room(len(prepared), vae.graph.num_nodes * vae.latent)
        for rows in parts:
            with torch.no_grad():
                latents[rows] = vae.encode(run.place(zoo.weights[rows]), prepared[rows]).flatten(1).cpu()
        tables.append(mapped("latents", base, zoo, latents, run))
    return Table(pd.concat(tables))


def mapped(space: str, base: str, zoo: Zoo, points: Rows, run: Run) -> pd.DataFrame:
    """Rows of one space: the first two components of points [member, number]."""
    if run.holds(DECOMPOSED * math.prod(points.shape)):
        components = PCA(min(2, len(points)), random_state=0)
        places = components.fit_transform(points[:].double().numpy())
        explained = components.explained_variance_ratio_
    else:
        plane, shares = principal_plane(lambda: column_blocks(points, run.together(DECOMPOSED * len(points))))
        places, explained = plane.numpy(), shares.numpy()
    return pd.DataFrame(
        {
            "space": space,
            "base": base,
            "environment": zoo.environments,
            "member": [entry["member"] for entry in zoo.manifest],
            "component_1": places[:, 0],
            "component_2": places[:, -1],
            "explained_1": explained[0],
            "explained_2": explained[-1],
        }
    )
