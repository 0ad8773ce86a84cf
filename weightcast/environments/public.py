"""What other programs use: :class:`weightcast.Generator` and :class:`weightcast.Context`, from a finished study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from weightcast.core.device import choose_device
from weightcast.core.errors import InputError
from weightcast.environments import context as trained
from weightcast.environments import generator as arms
from weightcast.environments.code_posteriors import CodePosterior
from weightcast.environments.ensemble import (
    Ensemble,
    EnsembleForecast,
    check_counts,
    disturbed,
    draw_ensemble,
    error_at,
    forecast_together,
    summarise,
)
from weightcast.environments.frames_verdict import FramesVerdict
from weightcast.environments.inputs import with_shown
from weightcast.environments.model import PhysicalPredictor, physical_predictors
from weightcast.environments.smoothing import smoothed_starts

ARM = "context"
"""The context's name among arms."""


class Context(trained.Context):
    """A study's context: from a few frames of an environment that nobody can name to forecasts with their uncertainty.

    Frames are [trajectory, time, channel, y, x] or [time, channel, y, x], in physical units, one of the study's time
    steps apart, NaN where nothing was observed. Where the study has inputs, their columns, which must be known, stand
    behind the channels (`DataSettings.input_columns`). Attributes: see
    :class:`weightcast.environments.context.Context`.
    """

    @classmethod
    def load(cls, path: str | Path, device: str = "cpu") -> Self:
        """Read a context.

        Args:
            path: a study's folder (``results/<study>``) or ``base/context.safetensors`` in it.
            device: where it computes: ``cpu``, ``cuda``, ``cuda:<number>`` or ``auto``.

        Raises:
            InputError: there is none, or its file cannot be used.
        """
        path = Path(path)
        return super().load(_file(path) if path.is_dir() else path).to(choose_device(device))

    def infer(self, frames: Tensor, land: Tensor | None = None) -> CodePosterior:
        """What frames say of the code of the environment that they come from; also of several [environment, ...]. On
        land, bool [channel, y, x], nothing is compared with them."""
        frames = torch.as_tensor(frames, dtype=torch.float32)
        frames = frames if frames.ndim == 6 else self._checked(frames)[None]
        return super().infer(self._states(frames), land)

    def verdict(self, frames: Tensor) -> FramesVerdict:
        """Whether frames fit anything that is known, what they leave open, and which environment they are like."""
        frames = self._checked(frames)
        return FramesVerdict.of(self, self.infer(frames), self._states(frames))

    def ensemble(self, frames: Tensor, n: int | None = None, keep: int | None = None, seed: int = 0) -> Ensemble:
        """Candidates for the environment that frames come from, weighted, the most probable first.

        Args:
            frames: see the class.
            n: candidates drawn; as many as the study says if None; the only one is the most probable code.
            keep: how many of the most probable are kept; all if None.
            seed: the same seed gives the same candidates.

        Raises:
            InputError: frames or numbers are of no use.
        """
        frames = self._checked(frames)
        count = self.settings.members if n is None else n
        check_counts(count, keep)
        return draw_ensemble(self, self.infer(frames), count, keep, seed)

    def predictors(
        self, frames: Tensor, n: int | None = None, keep: int | None = None, seed: int = 0
    ) -> list[PhysicalPredictor]:
        """The same as torch modules in physical units, on the CPU."""
        return self._modules(self.ensemble(frames, n, keep, seed))

    def forecast(
        self,
        frames: Tensor,
        initial: Tensor | None = None,
        steps: int | None = None,
        n: int | None = None,
        seed: int = 0,
        times: Sequence[float] | None = None,
        initial_noise: float | None = None,
        inputs: Tensor | None = None,
    ) -> EnsembleForecast:
        """Forecast an environment of which frames were observed.

        Args:
            frames: that tell the environment, see the class.
            initial: whole frames to start from [trajectory, channel, y, x] or [channel, y, x]; where predictors see
                several frames the last ones, in the order of time [trajectory, frame, channel, y, x]. None: where
                the observed frames end, from what all of them say of the last one
                (:mod:`weightcast.environments.smoothing`).
            steps: frames to forecast, or
            times: since the initial frames, in steps: see :meth:`PhysicalPredictor.rollout`.
            n: members; as many as the study says if None.
            seed: of the ensemble.
            initial_noise: of the frames that a forecast starts from, in standard deviations of the study: every member
                then starts from what they may have been. None: none of ``initial``; of observed frames as much as
                looks like noise in them.
            inputs: columns of inputs from the frame on that the forecast starts from, over its whole horizon
                [trajectory, frame, column, y, x], one for all trajectories or one each; where the study has any.

        Returns:
            Members, weighted mean and quantiles (5, 25, 50, 75, 95 %); mean and quantiles with the error that the
            study's calibration found beyond the ensemble's spread.

        Raises:
            InputError: frames, numbers or times are of no use.
        """
        if initial is not None:
            initial = torch.as_tensor(initial, dtype=torch.float32)
            several = self.base.predictor.history > 1
            initial = initial[None] if initial.ndim == 3 + several else initial
            if initial.ndim != 4 + several or not bool(torch.isfinite(initial).all()):
                axes = "trajectory, frame, channel, y, x" if several else "trajectory, channel, y, x"
                raise InputError(f"initial: found shape {list(initial.shape)}, expected finite numbers [{axes}]")
        ensemble = self.ensemble(frames, n, None, seed)
        models = self._modules(ensemble)
        error = torch.tensor(self.calibration.model_error)
        if initial is not None:
            starts = disturbed(initial, len(models), initial_noise or 0.0, self.base.normalisation, seed)
        else:
            frames = self._checked(frames)
            layout = self.base.predictor.layout
            states = frames.shape[2] - len(layout.columns)
            columns = frames[:, :, states:] if layout.columns else None
            white = self.verdict(frames).white if initial_noise is None else initial_noise
            lags = [float(frames.shape[1] - 1 - place) for place in range(frames.shape[1])]
            starts = smoothed_starts(models, frames[:, :, :states], lags, white, error, seed, columns)
        members = forecast_together(models, starts, steps, times, inputs)
        at = list(times) if times is not None else [float(step) for step in range(1, members.shape[2] + 1)]
        normalisation = self.base.normalisation
        noise = error_at(error, at, normalisation) if error.numel() else None
        probabilities = ensemble.probabilities.cpu()
        mean, quantiles = summarise(members, probabilities, noise, transforms=normalisation.transforms)
        return EnsembleForecast(members, mean, quantiles)

    def _modules(self, ensemble: Ensemble) -> list[PhysicalPredictor]:
        return physical_predictors(ensemble.weights.cpu(), self.base.metadata, {})

    def _states(self, frames: Tensor) -> Tensor:
        """Frames as predictors see them: with those before them, and with what steps are shown of inputs."""
        return with_shown(frames, self.base.predictor.layout, self.base.predictor.history)

    def _checked(self, frames: Tensor) -> Tensor:
        """[trajectory, frame, channel, y, x], of which something was observed."""
        frames = torch.as_tensor(frames, dtype=torch.float32)
        frames = frames[None] if frames.ndim == 4 else frames
        layout, history = self.base.predictor.layout, self.base.predictor.history
        seen = len(self.base.normalisation.mean)  # older frames and what predictors are shown of inputs among them
        channels, points = (seen - layout.shown) // history + len(layout.columns), len(self.space.mean) // seen
        whole = frames.ndim == 5 and frames.shape[1] > 0 and frames.shape[2] == channels
        if not whole or frames.shape[3] * frames.shape[4] != points:
            raise InputError(
                f"frames: found shape {list(frames.shape)}, expected [trajectory, time, channel = {channels}, y, x] "
                f"with {points} point{'s' if points > 1 else ''} (y, x)"
            )
        if history > 1 and frames.shape[1] <= history:
            raise InputError(
                f"frames: found {frames.shape[1]}, expected {history + 1} or more: predictors see {history} of them "
                "(data.history), and are judged by the next"
            )
        if bool(torch.isinf(frames).any()) or not bool(torch.isfinite(frames).any()):
            raise InputError("frames: found Inf, or NaN alone, expected numbers, and NaN where nothing was observed")
        if layout.columns and not bool(torch.isfinite(frames[:, :, -len(layout.columns) :]).all()):
            raise InputError(f"frames: found NaN in inputs ({', '.join(layout.columns)}), expected them to be known")
        return frames


class Generator:
    """A finished study's generator: an environment in, complete predictors out, without training there.

    For parameters it is an arm's (:class:`weightcast.environments.generator.Generator`, whose attributes it has as
    well), for frames the study's context where there is one and no arm was asked for.

    Attributes:
        arm: generator of the arm; None where the study has none.
        context: None where the study has none, or an arm was asked for.
    """

    def __init__(self, arm: arms.Generator | None, context: Context | None) -> None:
        self.arm, self.context = arm, context

    @classmethod
    def load(
        cls,
        path: str | Path,
        arm: str | None = None,
        seed: int | None = None,
        device: str = "cpu",
        condition: str | None = None,
    ) -> Generator:
        """Read a trained generator.

        Args:
            path: a study's folder (``results/<study>``) or one generator artifact.
            arm: which arm of the study, or ``context``; if None, its first for parameters and the context for frames.
            seed: which of the arm's seeds; the first if None.
            device: where it computes: ``cpu``, ``cuda``, ``cuda:<number>`` or ``auto``.
            condition: what an arm must be told: ``parameters``, ``frames``, ``label``; anything if None.

        Raises:
            InputError: there is none, its file cannot be used, or there is no such device.
        """
        path = Path(path)
        context = None
        if arm == ARM or (arm is None and condition is None and path.is_dir() and _file(path).is_file()):
            context = Context.load(path, device)
        if context is None:
            return cls(arms.Generator.load(path, arm, seed, device, condition), None)
        try:
            known = None if arm == ARM else arms.Generator.load(path, None, seed, device)
        except InputError:
            if seed is not None:
                raise
            known = None  # a study without arms, or of which only the context was trained
        return cls(known, context)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in ("arm", "context"):  # a copy that is being made has neither yet
            raise AttributeError(name)
        if self.arm is None:
            raise InputError(f"{name}: found a generator without an arm, expected one: this study has only a context")
        return getattr(self.arm, name)

    def posterior(self, frames: Tensor) -> CodePosterior:
        """What frames say of the code of their environment: see :class:`Context`.

        Raises:
            InputError: the study has no context, or the frames are of no use.
        """
        if self.context is None:
            raise InputError("posterior: found a generator without a context, expected a study with a section context")
        return self.context.infer(frames)

    def sample(
        self,
        environment: Mapping[str, float] | None = None,
        frames: Tensor | None = None,
        n: int = 1,
        seed: int = 0,
        times: Tensor | None = None,
    ) -> list[PhysicalPredictor]:
        """Generate predictors for an environment given by its parameters, or by a few frames observed there.

        Args:
            environment: value of each parameter, in the study's units.
            frames: observed, physical units [time, channel, y, x] or [trajectory, time, channel, y, x]; with a context
                NaN where nothing was observed, and a single one will do.
            n: how many predictors; from a context, the only one is the most probable.
            seed: the same seed gives the same predictors.
            times: of the frames [time], counted in the study's frames, for an arm that is told frames; consecutive
                ones if None.

        Returns:
            ``n`` modules, each [batch, channel, y, x] -> the next frames, in physical units, with ``rollout``.

        Raises:
            InputError: parameters or frames cannot be used.
        """
        if (environment is None) == (frames is None):
            raise InputError("sample: expected either the environment's parameters or observed frames")
        if frames is not None and self.context is not None:
            return self.context.predictors(frames, n, seed=seed)
        if self.arm is None:
            raise InputError("environment: found a study that has only a context, expected frames")
        return self.arm.sample(environment, frames, n, seed, times)


def _file(results: Path) -> Path:
    return results / "base" / "context.safetensors"
