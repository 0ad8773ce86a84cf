"""A trained weight VAE on disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from weightcast.artifacts import load_artifact, save_artifact
from weightcast.config.vae import VAESettings
from weightcast.environments.vae import WeightVAE
from weightcast.nets.build import build_predictor
from weightcast.predictor import StackedPredictor


def save_vae(path: str | Path, vae: WeightVAE, metadata: Mapping[str, Any]) -> None:
    """Write a ``vae`` artifact; ``metadata`` holds at least ``architecture`` and ``vae`` (its settings)."""
    save_artifact(path, "vae", vae.state_dict(), metadata)


def load_vae(path: str | Path) -> tuple[WeightVAE, StackedPredictor, dict[str, Any]]:
    """Read a ``vae`` artifact: the VAE, the predictor whose weights it codes, and the metadata.

    Raises:
        InputError: it is missing, damaged or of another kind.
    """
    artifact = load_artifact(path, "vae")
    predictor = StackedPredictor(build_predictor(artifact.metadata["architecture"]))
    vae = WeightVAE(predictor.graph, VAESettings(**artifact.metadata["vae"]))
    vae.load_state_dict(artifact.tensors)
    return vae.eval(), predictor, artifact.metadata
