"""``weightcast generate --frames`` with a context: an ensemble for an environment that nobody can name."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from weightcast.core.config.yaml_file import read_yaml
from weightcast.core.console.warning import warn
from weightcast.core.device import choose_device
from weightcast.core.errors import InputError
from weightcast.environments.commands.frames_table import FileReading
from weightcast.environments.commands.gappy_frames import read_gappy_frames
from weightcast.environments.config.study import Study
from weightcast.environments.context import Context
from weightcast.environments.ensemble import check_counts, draw_ensemble
from weightcast.environments.frames_verdict import FramesVerdict
from weightcast.environments.missing_values import without_land
from weightcast.environments.model import save_models

CONTEXT = "context"
"""The name of the context among arms."""


def context_file(results: Path) -> Path:
    """Where a study's context lies."""
    return results / "base" / "context.safetensors"


def uses_context(results: Path, arm: str | None, stated: str | None, condition: str | None) -> bool:
    """Whether a study's context makes the predictors, rather than an arm of its generator.

    Args:
        results: the study's folder.
        arm: that was asked for; None for the default.
        stated: parameters that were given instead of frames; None with frames.
        condition: that an arm must be told; None if none was asked for.

    Raises:
        InputError: there is nothing that could.
    """
    config = results / "config.yaml"
    if not config.is_file():
        raise InputError(f"{config}: no such file, expected the folder of a study that has been run")
    whole = read_yaml(config)
    arms = list((whole.get("generator") or {}).get("arms") or {})
    there, file = context_file(results).is_file(), context_file(results)
    if stated is not None:
        if arm == CONTEXT or (not arms and (there or whole.get(CONTEXT))):
            raise InputError(
                f"--environment: found {stated!r}, expected --frames FILE: a context is told no parameters"
            )
        return False
    if arm not in (None, CONTEXT) or condition is not None:
        return False
    if there:
        return True
    if whole.get(CONTEXT):
        if arm == CONTEXT or not arms:
            raise InputError(f"{file}: no such file, expected the context of a study that has been run")
        return False
    if arm == CONTEXT and arms:
        raise InputError(
            f"--arm: found {CONTEXT}, expected one of {', '.join(arms)}: {config} has no section {CONTEXT}"
        )
    if not arms:
        raise InputError(
            f"{config}: generator.arms: found none, and no section {CONTEXT}, expected either: nothing in this study "
            "makes predictors of frames"
        )
    return False


def generate_from_frames(arguments: argparse.Namespace, study: Study, described: Mapping[str, Any]) -> None:
    """Infer, draw, keep, say what was found, and write the ensemble.

    Args:
        arguments: of the command.
        study: whose context is used.
        described: channels, grid, units and time step, as they go into the artifact.

    Raises:
        InputError: the frames cannot be used, or a number asked for.
    """
    file: Path = arguments.frames
    context = Context.load(context_file(arguments.results)).to(choose_device(arguments.device, "--device"))
    count = context.settings.members if arguments.samples is None else arguments.samples
    check_counts(count, arguments.keep)
    base = context.base
    observed = read_gappy_frames(
        file,
        described["channels"],
        described["grid"],
        described,
        base.normalisation,
        base.predictor.layout,
        base.predictor.history,
        FileReading.of(study.data),
    )
    posterior = context.infer(observed.values[None], observed.land)
    ensemble = draw_ensemble(context, posterior, count, arguments.keep, arguments.seed)
    verdict = FramesVerdict.of(context, posterior, without_land(observed.values, observed.land))
    print(f"{file}: {observed.words}")
    for line in verdict.words():
        print(line)
    warning = verdict.warning()
    if warning is not None:
        warn(f"{file}: {warning}")
    metadata = {
        "environment": {},
        "study": study.study,
        "arm": CONTEXT,
        "generator_digest": base.metadata["digest"],
        "seed": arguments.seed,
        "observed": file.name,
        "case": dict(observed.case),
        "candidates": count,
        "temper": context.calibration.temper,
        "model_error": context.calibration.model_error,
        **verdict.metadata(),
    }
    shared = {key: base.metadata[key] for key in ("architecture", "normalisation")}
    channels = len(described["channels"])
    seen_channels = len(context.space.mean) // math.prod(described["grid"])  # older frames and inputs among them
    save_models(
        arguments.output,
        ensemble.weights,
        shared,
        metadata | dict(described),
        ensemble.probabilities,
        context.space.of_channels(slice(channels), seen_channels).tensors(),
    )
    kept = len(ensemble.weights)
    noun = f"{kept} predictor{'s' if kept > 1 else ''} of {ensemble.weights.shape[1]:,} weights"
    among = f", the most probable of {count} candidates" if kept < count else ""
    print(f"wrote {arguments.output}: {noun} for {file}{among}")
