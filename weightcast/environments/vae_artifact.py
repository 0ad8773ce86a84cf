"""A trained weight VAE on disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from weightcast.core.artifacts import load_artifact, save_artifact
from weightcast.core.graph import WeightGraph
from weightcast.core.nets.build import build_predictor
from weightcast.environments.config.vae import VAESettings
from weightcast.environments.origin import build_origin
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.vae import WeightVAE


def save_vae(path: str | Path, vae: WeightVAE, metadata: Mapping[str, Any]) -> None:
    """Write a ``vae`` artifact.

    Args:
        path: a ``.safetensors`` file.
        vae: trained.
        metadata: holds at least ``architecture``, ``vae`` (its settings), and ``origin``: the description of its base's
            weight map, or None.
    """
    save_artifact(path, "vae", vae.state_dict(), metadata)


def load_vae(path: str | Path) -> tuple[WeightVAE, StackedPredictor, dict[str, Any]]:
    """Read a ``vae`` artifact: the VAE, the predictor whose weights it codes, and the metadata.

    Raises:
        InputError: it is missing, damaged or of another kind.
    """
    artifact = load_artifact(path, "vae")
    predictor = StackedPredictor(build_predictor(artifact.metadata["architecture"]))
    vae = build_vae(artifact.metadata, predictor.graph)
    vae.load_state_dict(artifact.tensors)
    return vae.eval(), predictor, artifact.metadata


def build_vae(metadata: Mapping[str, Any], graph: WeightGraph) -> WeightVAE:
    """An untrained VAE as the metadata of a ``vae`` or ``generator`` artifact describe it."""
    origin = build_origin(metadata.get("origin"), graph)  # not in artifacts from before there was one
    return WeightVAE(graph, VAESettings(**metadata["vae"]), origin)
