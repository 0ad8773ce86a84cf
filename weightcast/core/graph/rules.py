"""Node rules: which entries of a module's parameters make up the token of each of its output units.

A rule takes a module and returns its layers of nodes, ``{layer name below the module: parts}``; ``""`` names the
module's own single layer. The parts of a layer stand side by side, so all must have the same number of nodes. A rule
may leave parameters out: the graph gives each of those a layer of its own, one node per leading row.

A new kind of layer takes part in one of two ways:

- it declares ``weight_nodes() -> {parameter name: output axis}``, which merges the named parameters, its children's
  included, into one layer (a Fourier layer merges both spectral blocks, the skip's row and the bias);
- a rule for its type is registered with ``@register(Type)``, which also serves its subclasses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from operator import attrgetter
from typing import Any, TypeVar

from torch import Tensor, nn

from weightcast.core.errors import InputError


@dataclass(frozen=True)
class Part:
    """Some consecutive entries of one parameter, laid out as the rows [nodes, width] of a layer.

    The entries from ``offset`` on are seen as a tensor of ``shape``. The axes in ``units`` index the output unit, in
    this order; all others run along the row.
    """

    parameter: str  # dotted name: below the module in a rule, below the root in a graph
    shape: tuple[int, ...]
    units: tuple[int, ...] = (0,)
    offset: int = 0
    bias: bool = False  # whether the entries are added to the unit's output

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def nodes(self) -> int:
        return prod(self.shape[axis] for axis in self.units)

    @property
    def width(self) -> int:
        return prod(length for axis, length in enumerate(self.shape) if axis not in self.units)

    @property
    def order(self) -> tuple[int, ...]:
        """The axes of ``shape``, those of the unit first."""
        return self.units + tuple(axis for axis in range(len(self.shape)) if axis not in self.units)

    def rows(self, entries: Tensor) -> Tensor:
        """[..., size] -> [..., nodes, width]."""
        lead = entries.shape[:-1]
        block = entries.reshape(*lead, *self.shape)
        block = block.permute(*range(len(lead)), *(len(lead) + axis for axis in self.order))
        return block.reshape(*lead, self.nodes, self.width)

    def entries(self, rows: Tensor) -> Tensor:
        """[..., nodes, width] -> [..., size]: the inverse of ``rows``."""
        lead = rows.shape[:-2]
        block = rows.reshape(*lead, *(self.shape[axis] for axis in self.order))
        place = {axis: len(lead) + i for i, axis in enumerate(self.order)}
        block = block.permute(*range(len(lead)), *(place[axis] for axis in range(len(self.shape))))
        return block.reshape(*lead, self.size)


Rule = Callable[[Any], Mapping[str, Sequence[Part]]]
AnyRule = TypeVar("AnyRule", bound=Rule)

_RULES: dict[type[nn.Module], Rule] = {}


def register(*kinds: type[nn.Module]) -> Callable[[AnyRule], AnyRule]:
    """Make the decorated function the rule of these module types and of their subclasses without a rule."""

    def decorate(rule: AnyRule) -> AnyRule:
        for kind in kinds:
            if kind in _RULES:
                raise ValueError(f"{kind.__name__} has a node rule already: {_RULES[kind].__name__}")
            _RULES[kind] = rule
        return rule

    return decorate


def layers_of(module: nn.Module) -> Mapping[str, Sequence[Part]]:
    """The layers of nodes that the module itself declares; none for a container."""
    declare = getattr(module, "weight_nodes", None)
    if declare is not None:
        return {"": _declared_parts(module, declare())}
    for kind in type(module).__mro__:
        if kind in _RULES:
            return _RULES[kind](module)
    return {}


def is_bias(name: str) -> bool:
    return name.rpartition(".")[2] == "bias"


def _declared_parts(module: nn.Module, axes: Mapping[str, int]) -> list[Part]:
    kind = type(module).__name__
    parameters = dict(module.named_parameters(remove_duplicate=False))
    parts = []
    for name, axis in axes.items():
        try:
            value = attrgetter(name)(module)
        except AttributeError:
            raise InputError(f"{kind}.weight_nodes() names {name!r}, which {kind} does not have") from None
        if value is None:  # a child made with bias=False
            continue
        if name not in parameters:
            raise InputError(f"{kind}.weight_nodes() names {name!r}, a {type(value).__name__}, expected a parameter")
        shape = tuple(parameters[name].shape)
        if not -len(shape) <= axis < len(shape):
            raise InputError(f"{kind}.weight_nodes() names axis {axis} of {name!r}, whose shape is {list(shape)}")
        parts.append(Part(name, shape, units=(axis % len(shape),), bias=is_bias(name)))
    return parts


def _own_shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(parameter.shape) for name, parameter in module.named_parameters(recurse=False)}


@register(
    nn.Linear,
    nn.Bilinear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.LayerNorm,
    nn.RMSNorm,
    nn.GroupNorm,
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.InstanceNorm1d,
    nn.InstanceNorm2d,
    nn.InstanceNorm3d,
    # An embedding's node is the vector of one entry of its vocabulary: also what a tied output layer calls a row.
    nn.Embedding,
)
def output_first(module: nn.Module) -> dict[str, list[Part]]:
    """One node per output channel, which both ``weight`` and ``bias`` have as their first axis."""
    shapes = _own_shapes(module)
    return {"": [Part(name, shapes[name], bias=is_bias(name)) for name in ("weight", "bias") if name in shapes]}


@register(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
def transposed_convolution(module: Any) -> dict[str, list[Part]]:
    """One node per output channel, which is counted group by group: weight [in, out / groups, *kernel], bias [out]."""
    shapes = _own_shapes(module)
    parts = []
    if "weight" in shapes:
        inputs, outputs, *kernel = shapes["weight"]
        by_group = (module.groups, inputs // module.groups, outputs, *kernel)
        parts.append(Part("weight", by_group, units=(0, 2)))
    if "bias" in shapes:
        parts.append(Part("bias", shapes["bias"], bias=True))
    return {"": parts}


@register(nn.RNNCell, nn.GRUCell, nn.LSTMCell)
def recurrent_cell(module: Any, suffix: str = "") -> dict[str, list[Part]]:
    """One node per hidden unit, merging its rows for all gates.

    The unit, not the gate's row, is what other layers read and what can be renumbered without changing the network,
    and its gates act on one number together. weight_ih [gates * hidden, in], weight_hh [gates * hidden, hidden].
    """
    shapes = _own_shapes(module)
    hidden = module.hidden_size
    parts = []
    for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        name = kind + suffix
        if name in shapes:
            rows, *inputs = shapes[name]
            parts.append(Part(name, (rows // hidden, hidden, *inputs), units=(1,), bias=kind.startswith("bias")))
    return {suffix.removeprefix("_"): parts}


@register(nn.RNN, nn.GRU, nn.LSTM)
def recurrent(module: Any) -> dict[str, list[Part]]:
    """A layer of nodes for each stacked layer and direction, named as torch names them: l0, l0_reverse, l1, ..."""
    directions = ("", "_reverse") if module.bidirectional else ("",)
    layers: dict[str, list[Part]] = {}
    for depth in range(module.num_layers):
        for direction in directions:
            layers |= recurrent_cell(module, f"_l{depth}{direction}")
    return layers


@register(nn.MultiheadAttention)
def attention(module: Any) -> dict[str, list[Part]]:
    """Three layers, q, k and v, with one node per channel each; the output projection is a linear layer of its own.

    So it makes no difference to the nodes whether torch packs the three projections (in_proj_weight [3 * embed,
    embed]) or keeps them apart because keys or values have another width (k_proj_weight [embed, kdim]).
    """
    shapes = _own_shapes(module)
    embed = module.embed_dim
    layers: dict[str, list[Part]] = {}
    for place, name in enumerate("qkv"):
        parts = layers[name] = []
        if "in_proj_weight" in shapes:
            parts.append(Part("in_proj_weight", (embed, embed), offset=place * embed * embed))
        elif f"{name}_proj_weight" in shapes:
            parts.append(Part(f"{name}_proj_weight", shapes[f"{name}_proj_weight"]))
        if "in_proj_bias" in shapes:
            parts.append(Part("in_proj_bias", (embed,), offset=place * embed, bias=True))
        if f"bias_{name}" in shapes:  # [1, 1, embed]: one more learned key or value, not added to the others
            parts.append(Part(f"bias_{name}", (embed,)))
    return layers
