"""Whether frames fit what a context knows: those of its kind of system whatever their gaps and noise, and others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_context import CODES, NORMALISATION, made_by, tiny_context
from torch import Tensor

from weightcast.environments.base import BaseNetwork
from weightcast.environments.conditions.codes import CodeCondition
from weightcast.environments.config.context import RefineSettings
from weightcast.environments.config.weight_map import LinearMap
from weightcast.environments.context import Calibration, Context
from weightcast.environments.frames_verdict import FramesVerdict
from weightcast.environments.weight_maps import LinearWeights, build_weight_map
from weightcast.environments.witnesses import MOST, TENSOR, residual_of_witnesses, with_witnesses


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """One that keeps frames of its three visible environments, of trajectories of their own."""
    plain = tiny_context(tmp_path)
    # Frames that the space of frames has not seen, as those of an unknown environment are.
    space = replace(plain.space, components=plain.space.components[:1], variances=plain.space.variances[:1])
    plain = replace(plain, space=space, calibration=replace(plain.calibration, least_noise=[5e-5] * 8))
    seen = torch.stack([torch.from_numpy(made_by(plain, code).values) for code in CODES.values()])
    return with_witnesses(plain, NORMALISATION.apply(seen))


def frames_of(context: Context, code: float = 0.5, noise: float = 0.0, frames: int = 9) -> Tensor:
    return torch.from_numpy(made_by(context, code, noise=noise).values)[:, :frames]


def masked(frames: Tensor) -> Tensor:
    """Without the left half."""
    hidden = frames.clone()
    hidden[..., : frames.shape[-1] // 2] = torch.nan
    return hidden


def verdict(context: Context, frames: Tensor) -> FramesVerdict:
    return FramesVerdict.of(context, context.infer(frames[None]), frames)


def test_what_gaps_cost_is_seen_in_visible_environments(context: Context) -> None:
    """Filled frames are poor starts: residuals are far above those of whole frames, and are no misfit."""
    found = verdict(context, masked(frames_of(context)))
    assert found.usual > 10 * context.calibration.usual_residual * context.calibration.noise_of(8)
    assert found.noise > 0.2 * found.usual
    assert found.fits
    assert found.warning() is None


def test_without_witnesses_gaps_are_taken_for_a_misfit(context: Context) -> None:
    """What the kept frames are for: the verdict above is theirs."""
    further = {name: tensor for name, tensor in context.base.further.items() if name != TENSOR}
    without = replace(context, base=replace(context.base, further=further))
    assert not verdict(without, masked(frames_of(context))).fits


@pytest.mark.parametrize("hide", [False, True])
def test_time_run_backwards_fits_nothing(context: Context, hide: bool) -> None:
    """Fields that grow where all that is known damps them."""
    frames = frames_of(context).flip(1)
    found = verdict(context, masked(frames) if hide else frames)
    assert not found.fits
    assert "outside of what the zoo knows" in str(found.warning())


def test_noise_is_told_from_a_misfit_by_three_frames_and_not_by_two(context: Context) -> None:
    noisy = frames_of(context, noise=0.2)
    of_three, of_two = verdict(context, noisy[:, :3]), verdict(context, noisy[:, :2])
    assert of_three.fits
    assert of_three.judged
    assert of_two.fits
    assert not of_two.judged
    assert any("two frames do not tell noise from a misfit" in line for line in of_two.words())
    assert of_two.warning() is None


def test_a_residual_that_jumps_is_no_noise_where_the_frames_do_not(context: Context) -> None:
    """Smooth frames have no noise, whatever a wrong predictor's residual looks like."""
    frames, step = frames_of(context, frames=9), torch.arange(9.0)[None, :, None, None, None]
    smooth = NORMALISATION.invert(NORMALISATION.apply(frames[:, :1]) + torch.cos(1.2 * step))
    found = verdict(context, smooth)
    assert not found.fits


def test_a_code_far_out_is_told_although_frames_fit(context: Context) -> None:
    found = verdict(context, frames_of(context, code=4.0))
    assert found.fits
    assert found.distance == pytest.approx(4.0, rel=0.2)
    assert "times as far out as that of any visible environment" in str(found.warning())
    assert verdict(context, frames_of(context, code=0.9)).warning() is None


def test_witnesses_are_few_whole_and_kept_in_the_file(context: Context, tmp_path: Path) -> None:
    context.save(tmp_path / "context.safetensors")
    loaded = Context.load(tmp_path / "context.safetensors")
    torch.testing.assert_close(loaded.base.further[TENSOR], context.base.further[TENSOR])
    many = torch.randn(3 * MOST, 1, 4, 2, 6, 8)
    codes = replace(context, base=replace(context.base, further={}))
    assert with_witnesses(codes, many).base.further[TENSOR].shape[0] == MOST
    many[0, 0, 1, 0, 0, 0] = torch.nan
    assert TENSOR not in with_witnesses(codes, many).base.further
    assert TENSOR not in with_witnesses(codes, many[:, :0]).base.further


def test_witnesses_of_another_grid_or_of_too_few_frames_say_nothing(context: Context) -> None:
    assert residual_of_witnesses(context, torch.zeros(1, 9, 2, 3, 3)) is None
    assert residual_of_witnesses(context, torch.zeros(1, 1, 2, 6, 8)) is None
    assert residual_of_witnesses(context, torch.full((1, 9, 2, 6, 8), torch.nan)) is None


def test_a_number_of_a_code_that_does_nothing_is_not_open(context: Context) -> None:
    """With a second number that no weight depends on, frames settle the one direction that there is."""
    codes = torch.tensor([[-1.0, 0.3], [0.0, -1.0], [1.0, 0.7]])
    before = context.base.weight_map
    assert isinstance(before, LinearWeights)
    condition = CodeCondition(codes)
    weight_map = build_weight_map(LinearMap(), condition, before.weights, context.base.predictor.graph)
    assert isinstance(weight_map, LinearWeights)
    with torch.no_grad():
        weight_map.weights.copy_(before.weights)
        weight_map.directions.zero_()
        weight_map.directions[:1].copy_(before.directions)
    base = BaseNetwork(
        weight_map.requires_grad_(False),
        context.base.predictor,
        NORMALISATION,
        context.base.metadata,
        context.base.further,
    )
    wider = Context(base, context.space, RefineSettings(members=16), Calibration(0.3, [1e-3] * 8, [], 2.0))
    frames = frames_of(context)
    assert wider.infer(frames[None]).spread[0, 0] == pytest.approx(1.0, abs=0.05)
    found = verdict(wider, frames)
    assert len(found.spread) == 1
    assert found.spread[0] < 0.05
    assert "settle all 1 direction " in found.words()[0]
