"""Priors of codes: a normal distribution, or a mixture of them, of the visible codes or of what a diffusion draws.

A mixture of normal distributions has a density, which a search needs, and in each of its parts a problem with a linear
forecast is solved exactly. So what a diffusion of codes has learned is put into one as well: fitted to many draws. One
part is the widened normal distribution of all visible codes, since unseen environments may lie outside of whatever else
was learned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from weightcast.core.draws import Draws
from weightcast.core.errors import InputError
from weightcast.core.run import Run
from weightcast.environments.code_diffusion import train_code_diffusion
from weightcast.environments.config.code_prior import CodeDiffusionSettings, CodePriorName

WIDE_SHARE = 0.1
"""Of the widened normal distribution in a mixture."""
DRAWN = 1024
"""Codes that are drawn of a diffusion to fit a mixture to."""
ITERATIONS = 60
"""Of expectation and maximisation."""
NARROWEST = 0.05
"""Standard deviation of a mixture's part in any direction, at least, in those of the visible codes."""


@dataclass(frozen=True)
class CodePrior:
    """What codes are like: normal.

    Attributes:
        mean: [dimension].
        factor: lower triangular, whose product with its transpose is the covariance [dimension, dimension].
    """

    mean: Tensor
    factor: Tensor

    @classmethod
    def of(cls, codes: Tensor, widened: float) -> CodePrior:
        """The normal distribution of the visible environments' codes [environment, dimension], widened.

        Args:
            codes: learned.
            widened: what standard deviations are multiplied with; more than 1 since environments are asked for that lie
                outside of what was visible.
        """
        centred = codes - codes.mean(0)
        covariance = centred.mT @ centred / max(1, len(codes) - 1)
        # Few environments say little of correlations.
        share = codes.shape[1] / (codes.shape[1] + len(codes))
        covariance = (1 - share) * covariance + share * torch.diag(covariance.diagonal())
        floor = 1e-6 * covariance.diagonal().mean() + 1e-12
        covariance = widened**2 * covariance + floor * torch.eye(codes.shape[1], device=codes.device)
        return cls(codes.mean(0), torch.linalg.cholesky(covariance))

    def whitened(self, codes: Tensor) -> Tensor:
        """[..., dimension] -> standard normal."""
        return torch.linalg.solve_triangular(self.factor, (codes - self.mean)[..., None], upper=False)[..., 0]

    def codes(self, whitened: Tensor) -> Tensor:
        """The inverse of :meth:`whitened`."""
        return self.mean + (self.factor @ whitened[..., None])[..., 0]

    # A mixture (weightcast.environments.code_priors) has several parts, in each of which is searched; this is its own
    # and only one.

    @property
    def log_shares(self) -> Tensor:
        """Logarithms of the parts' shares [part]."""
        return self.mean.new_zeros(1)

    def tensors(self) -> dict[str, Tensor]:
        """What an artifact holds beside the visible codes."""
        return {}

    @property
    def centres_of_parts(self) -> Tensor:
        """Codes [part, dimension]."""
        return self.mean[None]

    def log_whitened(self, whitened: Tensor) -> Tensor:
        """Whitened codes [..., dimension] -> log-density, but for a constant [...]."""
        return -0.5 * whitened.square().sum(-1)

    def starts(self, candidates: Tensor, errors: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Where searches begin.

        Args:
            candidates: codes [candidate, dimension].
            errors: that they leave [environment, candidate].
            count: searches.

        Returns:
            Codes [environment, start, dimension] and the part of the prior that each search is in, long [start].
        """
        best = errors.topk(min(count, len(candidates)), dim=1, largest=False).indices
        return candidates[best], torch.zeros(best.shape[1], dtype=torch.long, device=best.device)

    def parts(self, of: Tensor) -> CodePrior:
        """The normal distributions of these parts, long [problem], with a leading axis where there are several."""
        return self

    def relative(self) -> tuple[Tensor, Tensor]:
        """The parts in whitened codes: means [part, dimension], precisions [part, dimension, dimension], in double."""
        eye = torch.eye(len(self.mean), dtype=torch.float64, device=self.mean.device)
        return self.mean.new_zeros(1, len(self.mean)), eye[None]

    def from_parts(self, modes: Tensor, precision: Tensor, of: Tensor) -> tuple[Tensor, Tensor]:
        """Solutions in the whitened codes of their part as they are in those of the whole prior.

        Args:
            modes: [environment, mode, dimension].
            precision: [environment, mode, dimension, dimension].
            of: parts, long [mode].
        """
        return modes, precision


@dataclass(frozen=True)
class MixturePrior(CodePrior):
    """What codes are like: a mixture of normal distributions.

    ``mean`` and ``factor`` are those of the first part, the widest, in whose whitened codes posteriors are stated.

    Attributes:
        centres: of all parts, in whitened codes; 0 of the first [part, dimension].
        factors: lower triangular, whose products with their transposes are the covariances there; the identity of the
            first [part, dimension, dimension].
        shares: with a sum of 1 [part].
    """

    centres: Tensor
    factors: Tensor
    shares: Tensor

    @classmethod
    def around(cls, wide: CodePrior, means: Tensor, covariances: Tensor, shares: Tensor) -> Self:
        """A mixture beside a wide normal distribution.

        Args:
            wide: the first part, with the share ``WIDE_SHARE``.
            means: of the others, codes [part, dimension].
            covariances: of codes [part, dimension, dimension].
            shares: of the others, with a sum of 1 [part].
        """
        half = torch.linalg.solve_triangular(wide.factor, covariances, upper=False)
        inner = torch.linalg.solve_triangular(wide.factor, half.mT, upper=False)
        factors = torch.linalg.cholesky(0.5 * (inner + inner.mT))
        dimensions = len(wide.mean)
        return cls(
            wide.mean,
            wide.factor,
            torch.cat([wide.mean.new_zeros(1, dimensions), wide.whitened(means)]),
            torch.cat([torch.eye(dimensions, device=means.device)[None], factors]),
            torch.cat([shares.new_tensor([WIDE_SHARE]), (1.0 - WIDE_SHARE) * shares]),
        )

    @property
    def log_shares(self) -> Tensor:
        return self.shares.log()

    def tensors(self) -> dict[str, Tensor]:
        """As an artifact holds them."""
        return {f"prior.{name}": getattr(self, name) for name in ("centres", "factors", "shares")}

    @classmethod
    def from_tensors(cls, wide: CodePrior, tensors: Mapping[str, Tensor]) -> CodePrior:
        """The inverse of :meth:`tensors`; the wide prior alone where there are none.

        Raises:
            InputError: they are not of as many parts, or of other codes.
        """
        if not any(name.startswith("prior.") for name in tensors):
            return wide
        centres, factors, shares = (
            tensors[f"prior.{name}"].to(wide.mean.device) for name in ("centres", "factors", "shares")
        )
        parts, dimensions = len(shares), len(wide.mean)
        if (centres.shape, factors.shape) != ((parts, dimensions), (parts, dimensions, dimensions)):
            found = f"shapes {list(centres.shape)} and {list(factors.shape)}"
            raise InputError(f"tensors: prior.centres, prior.factors: found {found}, expected those of {parts} parts")
        if shares.ndim != 1 or not bool((shares > 0).all()):
            raise InputError("tensors: prior.shares: expected one above 0 for each part")
        return cls(wide.mean, wide.factor, centres, factors, shares)

    @property
    def centres_of_parts(self) -> Tensor:
        return self.codes(self.centres)

    def starts(self, candidates: Tensor, errors: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """The best candidates in the widest part, and in every other one the best of those that are likeliest its: the
        first candidates must be the parts' centres."""
        wide, parts = super().starts(candidates, errors, count)
        further = torch.arange(1, len(self.centres), device=errors.device)
        own = self.log_parts(self.whitened(candidates))[:, 1:].argmax(1) + 1  # [candidate]
        own[further] = further
        ranked = errors[:, None].masked_fill(own != further[:, None], torch.inf)  # [environment, part, candidate]
        return torch.cat([wide, candidates[ranked.argmin(2)]], 1), torch.cat([parts, further])

    def parts(self, of: Tensor) -> CodePrior:
        return CodePrior(self.centres_of_parts[of], (self.factor @ self.factors)[of])

    def relative(self) -> tuple[Tensor, Tensor]:
        inverse = torch.linalg.inv(self.factors.double())
        return self.centres, inverse.mT @ inverse

    def from_parts(self, modes: Tensor, precision: Tensor, of: Tensor) -> tuple[Tensor, Tensor]:
        factors = self.factors[of]
        inverse = torch.linalg.inv(factors.to(precision.dtype))
        modes = self.centres[of] + (factors @ modes[..., None])[..., 0]
        return modes, inverse.mT @ precision @ inverse

    def log_parts(self, whitened: Tensor) -> Tensor:
        """Whitened codes [..., dimension] -> log-density of each part, its share included, but for a constant [...,
        part]."""
        centres, precision = self.relative()
        difference = (whitened[..., None, :] - centres).to(precision.dtype)
        distance = torch.einsum("...ki,kij,...kj->...k", difference, precision, difference)
        return self.log_shares + (0.5 * torch.logdet(precision) - 0.5 * distance).to(whitened.dtype)

    def log_whitened(self, whitened: Tensor) -> Tensor:
        return self.log_parts(whitened).logsumexp(-1)

    def log_density(self, codes: Tensor) -> Tensor:
        """Codes [..., dimension] -> log-density over that of the widest part at its mean [...]."""
        return self.log_whitened(self.whitened(codes))


def fit_mixture(points: Tensor, parts: int, floor: Tensor | float, draws: Draws) -> tuple[Tensor, Tensor, Tensor]:
    """Mixtures of normal distributions by expectation and maximisation, several sets of points at once.

    Args:
        points: [set, point, dimension].
        parts: of each mixture.
        floor: variance that is added in every direction, as of points that are smeared [set] or one for all.
        draws: source of the first centres.

    Returns:
        Means [set, part, dimension], covariances [set, part, dimension, dimension], shares [set, part].
    """
    sets, count, dimensions = points.shape
    points = points.double()
    eye = torch.eye(dimensions, dtype=points.dtype, device=points.device)
    added = torch.as_tensor(floor, dtype=points.dtype, device=points.device).expand(sets)[:, None, None, None] * eye
    # The first centre is drawn, every further one is the point farthest from those before.
    first = draws.integers(count, sets)
    rows = torch.arange(sets, device=points.device)
    means = points[rows, first][:, None]
    for _ in range(parts - 1):
        far = torch.cdist(points, means).amin(2).argmax(1)
        means = torch.cat([means, points[rows, far][:, None]], 1)
    spread = points - points.mean(1, keepdim=True)
    whole = (spread.mT @ spread / count)[:, None]  # [set, 1, dimension, dimension]
    covariances = whole.expand(-1, parts, -1, -1) / parts ** (2.0 / dimensions) + added
    shares = points.new_full((sets, parts), 1.0 / parts)
    for _ in range(ITERATIONS):
        of = _log_normals(points, means, covariances, shares).softmax(2)  # [set, point, part]
        size = of.sum(1).clamp(min=1e-6)
        shares = size / size.sum(1, keepdim=True)
        means = (of.mT @ points) / size[..., None]
        off = points[:, :, None] - means[:, None]  # [set, point, part, dimension]
        inner = torch.einsum("snk,snki,snkj->skij", of, off, off)
        # A part of few points leans on what all points are like, as a prior of two points' worth.
        shrunk = 2.0 * whole / parts ** (2.0 / dimensions)
        covariances = (inner + shrunk) / (size + 2.0)[..., None, None] + added
    return means, covariances, shares


def _log_normals(points: Tensor, means: Tensor, covariances: Tensor, shares: Tensor) -> Tensor:
    """Log-density of each part at each point, its share included, but for a constant [set, point, part]."""
    factor = torch.linalg.cholesky(covariances)
    off = (points[:, :, None] - means[:, None]).permute(0, 2, 3, 1)  # [set, part, dimension, point]
    distance = torch.linalg.solve_triangular(factor, off, upper=False).square().sum(2)  # [set, part, point]
    size = factor.diagonal(dim1=2, dim2=3).log().sum(2)
    return (shares.log()[..., None] - size[..., None] - 0.5 * distance).mT


def fit_prior(
    run: Run,
    kind: CodePriorName,
    codes: Tensor,
    widened: float,
    settings: CodeDiffusionSettings,
    seed: int,
    name: str,
) -> CodePrior:
    """What codes of environments are like that were not seen.

    Args:
        run: whose device the codes are on.
        kind: of the prior.
        codes: of the visible environments [environment, dimension].
        widened: what standard deviations of a normal distribution are multiplied with.
        settings: of mixtures and diffusion.
        seed: of the draws.
        name: of the training, if there is one.
    """
    wide = CodePrior.of(codes, widened)
    if kind == "gaussian":
        return wide
    if len(codes) < 2 * settings.folds:
        print(f"{name}: {len(codes)} codes are too few for more than one normal distribution", flush=True)
        return wide
    scale = CodePrior.of(codes, 1.0)
    points = scale.whitened(codes)
    folds = _folds(len(codes), settings.folds, run.draws(seed, "folds"))
    everything = list(range(len(codes)))
    kept = [[one for one in everything if one not in fold] for fold in folds] + [everything]
    make = _mixture_parts if kind == "mixture" else _diffusion_parts
    tried = make(run, points, kept, settings, seed, name)
    best, best_score = None, -torch.inf
    for label, fitted in tried.items():
        found = [_mixture(scale, wide, fitted, member) for member in range(len(kept))]
        left_out = [found[number].log_density(codes[fold]) for number, fold in enumerate(folds)]
        score = float(torch.cat(left_out).mean())
        if score > best_score:
            best, best_score, chosen = found[-1], score, label
    assert best is not None
    print(f"{name}: {chosen}, log-likelihood {best_score:.3g} of codes left out", flush=True)
    return best


Fitted = tuple[Tensor, Tensor, Tensor]
"""Means, covariances and shares of mixtures, with a leading axis over members: one a fold that is left out, and one of
all codes."""


def _mixture_parts(
    run: Run, points: Tensor, kept: Sequence[Sequence[int]], settings: CodeDiffusionSettings, seed: int, name: str
) -> dict[str, Fitted]:
    """Mixtures of the codes themselves, by number of parts."""
    tried = {}
    for parts in settings.parts:
        if parts > len(points) // 4:
            continue
        fitted = [
            fit_mixture(points[list(rows)][None], parts, NARROWEST**2, run.draws(seed, "mixture", parts))
            for rows in kept
        ]
        means, covariances, shares = (torch.cat(part) for part in zip(*fitted, strict=True))
        tried[f"{parts} parts"] = (means, covariances, shares)
    return tried or {"1 part": _mixture_parts(run, points, kept, _single(settings), seed, name)["1 parts"]}


def _single(settings: CodeDiffusionSettings) -> CodeDiffusionSettings:
    return settings.model_copy(update={"parts": [1]})


def _diffusion_parts(
    run: Run, points: Tensor, kept: Sequence[Sequence[int]], settings: CodeDiffusionSettings, seed: int, name: str
) -> dict[str, Fitted]:
    """Mixtures of what diffusions draw, by smoothing and number of parts."""
    members = [(rows, smoothing) for smoothing in settings.smoothings for rows in kept]
    diffusion = train_code_diffusion(
        run,
        points,
        [rows for rows, _ in members],
        [smoothing for _, smoothing in members],
        settings,
        seed,
        name,
    )
    noise = run.draws(seed, "drawn").normal(DRAWN, points.shape[1]).expand(len(members), -1, -1)
    # A member that strays is no reason to stop: its draws are the limit, and it is not chosen.
    drawn = torch.nan_to_num(diffusion.sample(noise)).clamp(-10.0, 10.0)
    tried = {}
    for parts in settings.parts:
        fitted = fit_mixture(drawn, parts, NARROWEST**2, run.draws(seed, "mixture", parts))
        for number, smoothing in enumerate(settings.smoothings):
            own = slice(number * len(kept), (number + 1) * len(kept))
            tried[f"smoothing {smoothing:g}, {parts} parts"] = (fitted[0][own], fitted[1][own], fitted[2][own])
    return tried


def _mixture(scale: CodePrior, wide: CodePrior, fitted: Fitted, member: int) -> MixturePrior:
    """Of standardised codes, as it is for codes."""
    means, covariances, shares = (part[member].to(wide.mean.dtype) for part in fitted)
    return MixturePrior.around(wide, scale.codes(means), scale.factor @ covariances @ scale.factor.mT, shares)


def _folds(count: int, folds: int, draws: Draws) -> list[list[int]]:
    """Positions, each in one fold."""
    order = draws.permutation(count).tolist()
    return [sorted(order[start::folds]) for start in range(folds)]
