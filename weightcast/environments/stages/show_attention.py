"""The stage ``show_attention``: which layers and nodes of the predictor the VAEs' encoders look at, over the zoos."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from weightcast.core.outputs import Table
from weightcast.core.run import Run
from weightcast.core.stage import stage
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.deviations import COPIES
from weightcast.environments.explain.encoder_attention import TOGETHER, between_layers, encoder_attention, received
from weightcast.environments.jobs import ShowAttention
from weightcast.environments.known import known_of
from weightcast.environments.vae import WeightVAE
from weightcast.environments.vae_artifact import TrainedVae
from weightcast.environments.zoo import Zoo


@stage("show_attention")
def show_attention(
    run: Run, settings: ShowAttention, zoos: list[Zoo], vaes: list[TrainedVae], observed: TrajectoryFolder | None = None
) -> dict[str, Table]:
    """Encode the experts that did not diverge, and average the attention over heads and experts.

    Args:
        run: whose device encodes.
        settings: the visible environments, the arms.
        zoos: one a base.
        vaes: one an arm, in the order of ``settings.arms``.
        observed: trajectories of the environments, where a condition sees frames.
    """
    layers, nodes = list[dict[str, Any]](), list[dict[str, Any]]()
    for arm, trained in zip(settings.arms, vaes, strict=True):
        zoo = next(zoo for zoo in zoos if zoo.metadata["base"] == trained.metadata["base"]).healthy()
        prepared = run.place(trained.condition.prepare(known_of(settings, observed, zoo.environments)))
        vae = run.place(trained.vae)
        attention = encoder_attention(vae, _deviations(run, vae, zoo, prepared), len(prepared))
        shares, looked_at = between_layers(attention, vae.graph).tolist(), received(attention).tolist()
        for block in range(len(attention)):
            node = 0
            for row, layer in enumerate(vae.graph.layers):
                for column, other in enumerate(vae.graph.layers):
                    layers.append(
                        {
                            "arm": arm,
                            "block": block + 1,
                            "layer": layer.name,
                            "attended": other.name,
                            "share": shares[block][row][column],
                            "even": other.nodes / vae.graph.num_nodes,
                        }
                    )
                for number in range(layer.nodes):
                    cell = {"arm": arm, "block": block + 1, "layer": layer.name, "node": number}
                    nodes.append(cell | {"received": looked_at[block][node]})
                    node += 1
    return {"layers": Table.of_rows(layers), "nodes": Table.of_rows(nodes)}


@torch.no_grad()
def _deviations(run: Run, vae: WeightVAE, zoo: Zoo, prepared: Tensor) -> Iterator[Tensor]:
    """Of a zoo's weights from their origins [member, weight], some members at a time."""
    together = run.together(COPIES * zoo.weights.shape[1])
    together = max(TOGETHER, together - together % TOGETHER)  # attention is added up in the same steps
    for rows in torch.arange(len(zoo.weights)).split(together):
        yield run.place(zoo.weights[rows]) - vae.origins(prepared[rows])
