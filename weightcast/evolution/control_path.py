"""The control path: anchors projected to a few dimensions, with a natural cubic spline through the codes.

WeightFlow, section 3.3: an autoencoder projects the anchors; PCA, multidimensional scaling and Isomap stand beside it.
The spline is torchcde's (Kidger et al., "Neural controlled differential equations for irregular time series", NeurIPS
2020).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torchcde
from torch import Tensor, nn

from weightcast.core.config.training import TrainingSettings
from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.evolution.config.flow import ControlPathSettings

AUTOENCODER_WIDTH = 32


class ControlPath(nn.Module):
    """Z(s), a smooth curve of the few dimensions in which the anchors lie.

    Attributes:
        times: [anchor], scaled such that the anchors run from 0 to 1.
        codes: [anchor, dimension].
    """

    times: Tensor
    codes: Tensor
    _spline: torchcde.CubicSpline

    def __init__(self, times: Tensor, codes: Tensor) -> None:
        super().__init__()
        self.register_buffer("times", times.clone())  # clones: a file of weights holds no tensor twice
        self.register_buffer("codes", codes.clone())
        # In double precision, since short pieces divide small numbers.
        coefficients = torchcde.natural_cubic_coeffs(codes.double(), times.double())
        spline = torchcde.CubicSpline(coefficients.to(codes.dtype), times)
        object.__setattr__(self, "_spline", spline)  # not a part of this module's state, which it follows from

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> ControlPath:
        super()._apply(fn, recurse)
        self._spline._apply(fn)  # follows the codes to their device, though it is no part of the state
        return self

    @property
    def dimensions(self) -> int:
        return self.codes.shape[1]

    def position(self, times: Tensor) -> Tensor:
        """Times [...] -> Z [..., dimension]."""
        return self._spline.evaluate(times)

    def velocity(self, times: Tensor) -> Tensor:
        """Times [...] -> dZ/ds [..., dimension]."""
        return self._spline.derivative(times)


def encode_anchors(run: Run, weights: Tensor, settings: ControlPathSettings, seed: int) -> Tensor:
    """Codes of anchors.

    Args:
        run: that an autoencoder is trained in.
        weights: standardised [anchor, parameter].
        settings: which projection, how many dimensions. At most one less than there are anchors are made.
        seed: of the autoencoder's and the scaling's start.

    Returns:
        [anchor, dimension], centred, each dimension of variance 1; a dimension without any variance is left out,
        unless it is the only one.
    """
    dimensions = min(settings.dimensions, len(weights) - 1)
    if settings.kind == "autoencoder":
        codes = _autoencode(run, weights, dimensions, settings.steps, seed)
    else:
        codes = _project(weights, dimensions, settings, seed)
    codes = codes - codes.mean(0)
    spread = codes.square().mean(0).sqrt()
    kept = spread > 1e-6 * spread.max().clamp(min=1e-12)
    if not kept.any():
        kept[0] = True
    return codes[:, kept] / spread[kept].clamp(min=1e-12)


def _project(weights: Tensor, dimensions: int, settings: ControlPathSettings, seed: int) -> Tensor:
    from sklearn.decomposition import PCA
    from sklearn.manifold import MDS, Isomap

    values = weights.double().cpu().numpy()
    state = derive_seed(seed, "control path") % 2**32
    if settings.kind == "pca":
        found = PCA(dimensions, svd_solver="full").fit_transform(values)
    elif settings.kind == "mds":
        found = MDS(dimensions, n_init=1, init="classical_mds", random_state=state).fit_transform(values)
    else:
        neighbours = min(settings.neighbours, len(values) - 1)
        found = Isomap(n_neighbors=neighbours, n_components=dimensions).fit_transform(values)
    return torch.from_numpy(found).to(weights)


def _autoencode(run: Run, weights: Tensor, dimensions: int, steps: int, seed: int) -> Tensor:
    """Codes of a small autoencoder trained on the anchors themselves."""
    with run.initialised(derive_seed(seed, "control path")):
        encoder = nn.Sequential(
            nn.Linear(weights.shape[1], AUTOENCODER_WIDTH), nn.Tanh(), nn.Linear(AUTOENCODER_WIDTH, dimensions)
        )
        decoder = nn.Sequential(
            nn.Linear(dimensions, AUTOENCODER_WIDTH), nn.Tanh(), nn.Linear(AUTOENCODER_WIDTH, weights.shape[1])
        )
    weights, encoder, decoder = run.place(weights), encoder.to(run.device), decoder.to(run.device)
    training = TrainingSettings(steps=steps, learning_rate=3e-3)
    parameters = [*encoder.parameters(), *decoder.parameters()]
    run.fit(parameters, lambda _: (decoder(encoder(weights)) - weights).square().mean(), training, name="autoencoder")
    with torch.no_grad():
        return encoder(weights)
