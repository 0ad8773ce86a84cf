"""What most people would write instead: torch modules, trained one after the other by torch's own optimiser."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from weightcast.core.config.training import PredictorTraining
from weightcast.core.nets.build import build_predictor


class PlainFourierLayer(nn.Module):
    """The usual spectral convolution, by rfft2 and complex weights, with a 1x1 convolution beside it."""

    def __init__(self, width: int, modes: tuple[int, int]) -> None:
        super().__init__()
        self.modes = modes
        self.weights = nn.ParameterList(
            nn.Parameter(torch.randn(width, width, *modes, dtype=torch.cfloat) / width) for _ in range(2)
        )
        self.skip = nn.Conv2d(width, width, 1)

    def forward(self, fields: Tensor) -> Tensor:
        spectrum = torch.fft.rfft2(fields)
        out = torch.zeros_like(spectrum)
        rows, columns = self.modes
        for weight, block in zip(self.weights, (slice(0, rows), slice(-rows, None)), strict=True):
            out[..., block, :columns] = torch.einsum("biyx,ioyx->boyx", spectrum[..., block, :columns], weight)
        return torch.fft.irfft2(out, s=fields.shape[-2:]) + self.skip(fields)


class PlainFNO(nn.Module):
    """The Fourier neural operator of an architecture without positions, written in the usual way."""

    def __init__(self, channels: int, width: int, modes: tuple[int, int], depth: int, projection: int) -> None:
        super().__init__()
        self.lifting = nn.Conv2d(channels, width, 1)
        self.layers = nn.ModuleList(PlainFourierLayer(width, modes) for _ in range(depth))
        self.hidden = nn.Conv2d(width, projection, 1)
        self.output = nn.Conv2d(projection, channels, 1, bias=False)

    def forward(self, frames: Tensor) -> Tensor:
        fields = self.lifting(frames)
        for index, layer in enumerate(self.layers):
            fields = layer(fields)
            if index < len(self.layers) - 1:
                fields = F.gelu(fields)
        return frames + self.output(F.gelu(self.hidden(fields)))


class PlainDensity(nn.Module):
    """An autoregressive density of counts with torch's own recurrent layer."""

    def __init__(self, features: int, states: int, hidden: int) -> None:
        super().__init__()
        self.recurrent = nn.GRU(features, hidden, batch_first=True)
        self.head = nn.Linear(hidden, states)

    def log_prob(self, features: Tensor, values: Tensor) -> Tensor:
        """Features of the dimensions before [sample, dimension, feature], values [sample, dimension] -> [sample]."""
        outputs = self.head(self.recurrent(features)[0]).log_softmax(-1)
        return outputs.gather(-1, values.long()[..., None])[..., 0].sum(-1)


def plain_predictor(architecture: dict[str, object]) -> nn.Module:
    """A predictor as a module of its own: an FNO by FFTs, anything else as the library builds it."""
    if architecture["kind"] != "fno":
        return build_predictor(dict(architecture))
    names = ("channels", "width", "modes", "depth", "projection")
    channels, width, modes, depth, projection = (architecture[name] for name in names)
    return PlainFNO(channels, width, tuple(modes), depth, projection)  # type: ignore[arg-type]


def train_plainly(networks: Iterable[nn.Module], frames: Tensor, training: PredictorTraining) -> None:
    """Train networks one after the other, each on an environment of its own.

    Args:
        networks: as many as there are environments, or fewer.
        frames: [environment, trajectory, frame, channel, y, x].
        training: steps, rate, unroll, batch, clip.
    """
    for network, own in zip(networks, frames, strict=False):
        optimiser = torch.optim.AdamW(network.parameters(), lr=training.learning_rate, weight_decay=0.0)
        for _ in range(training.steps):
            trajectory = torch.randint(own.shape[0], (training.batch,))
            begin = torch.randint(own.shape[1] - training.unroll, (training.batch,))
            state, loss = own[trajectory, begin], torch.zeros(())
            for ahead in range(1, training.unroll + 1):
                state = network(state)
                loss = loss + (state - own[trajectory, begin + ahead]).square().mean()
            optimiser.zero_grad()
            (loss / training.unroll).sqrt().backward()
            nn.utils.clip_grad_norm_(network.parameters(), training.clip)
            optimiser.step()
