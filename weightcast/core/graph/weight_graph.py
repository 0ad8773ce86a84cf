"""WeightGraph: the weights of a module as one flat vector, as tokens per layer, and as padded tokens."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from weightcast.core.errors import InputError
from weightcast.core.graph.rules import Part, is_bias, layers_of


@dataclass(frozen=True)
class Layer:
    """Nodes of one kind, whose tokens [nodes, width] are the rows of the parts side by side."""

    name: str
    parts: tuple[Part, ...]

    @property
    def nodes(self) -> int:
        return self.parts[0].nodes

    @property
    def width(self) -> int:
        return sum(part.width for part in self.parts)


class WeightGraph:
    """The structure that all modules of one architecture share: a node per output unit, a token per node.

    The token of a node is every weight into the unit and its bias. Three forms of the weights go into each other
    exactly, with any leading axes (members of a zoo, batches, times), differentiably and without a loop over members:

    - flat [..., num_parameters]: the order of ``module.named_parameters()``, each flattened;
    - tokens: for each layer [..., nodes, width];
    - padded tokens [..., num_nodes, max_width]: all layers in one tensor, zeros after a token's own width.

    A graph keeps names and shapes only, no weights and no module. A tied parameter is one parameter: it belongs to
    the first module that names it. Buffers are not weights.
    """

    def __init__(self, module: nn.Module) -> None:
        parameters = dict(module.named_parameters())
        _check_parameters(module, parameters)
        self.shapes = {name: tuple(parameter.shape) for name, parameter in parameters.items()}
        self.layers = _layers(module, parameters)
        self.device = torch.device("cpu")  # of mask, layer_index, node_of and bias_entries
        self.num_parameters = sum(map(prod, self.shapes.values()))
        self.num_nodes = sum(layer.nodes for layer in self.layers)
        self.max_width = max(layer.width for layer in self.layers)
        # What state_dict() holds beside the parameters (buffers, other names of tied parameters) is no error to see.
        self._not_weights = frozenset(module.state_dict()) - frozenset(self.shapes)

        # A flat vector is cut once into the parts of all layers, here in the order in which they stand in it. Cutting
        # and reshaping beats one gather by a precomputed permutation: its backward is three to five times faster than
        # the gather's scatter, and no index as long as the weights is kept.
        place = {name: i for i, name in enumerate(self.shapes)}
        parts = [part for layer in self.layers for part in layer.parts]
        self._cuts = sorted(parts, key=lambda part: (place[part.parameter], part.offset))
        self._sizes = [part.size for part in self._cuts]

    def __repr__(self) -> str:
        return (
            f"WeightGraph({len(self.layers)} layers, {self.num_nodes} nodes, {self.num_parameters} parameters, "
            f"max_width={self.max_width})"
        )

    def to(self, device: torch.device | str) -> WeightGraph:
        """The same graph with its index tensors on the device."""
        moved = copy.copy(self)
        moved.device = torch.device(device)
        moved.__dict__.update({k: v.to(device) for k, v in vars(self).items() if isinstance(v, Tensor)})
        return moved

    # Named parameters <-> flat

    def flatten(self, state: Mapping[str, Tensor]) -> Tensor:
        """Parameters [..., *shape] by name -> flat [..., P]. Buffers, as in ``module.state_dict()``, are left out."""
        unknown = sorted(set(state) - set(self.shapes) - self._not_weights)
        if unknown:
            raise InputError(f"parameter {unknown[0]!r} is not of this architecture")
        missing = [name for name in self.shapes if name not in state]
        if missing:
            raise InputError(f"parameter {missing[0]!r} is missing")
        values = {}
        for name, shape in self.shapes.items():
            _check_shape(f"parameter {name!r}", state[name], shape)
            lead = state[name].shape[: state[name].ndim - len(shape)]
            values[name] = state[name].reshape(*lead, prod(shape))
        _check_alike({f"parameter {name!r}": value for name, value in values.items()}, axes=1)
        return torch.cat(list(values.values()), dim=-1)

    def unflatten(self, flat: Tensor) -> dict[str, Tensor]:
        """Flat [..., P] -> parameters [..., *shape] by name, views where possible."""
        _check_shape("flat weights", flat, (self.num_parameters,))
        pieces = flat.split([prod(shape) for shape in self.shapes.values()], dim=-1)
        return {
            name: piece.reshape((*flat.shape[:-1], *shape))  # a tuple, since a scalar has no axes to pass
            for (name, shape), piece in zip(self.shapes.items(), pieces, strict=True)
        }

    def read(self, module: nn.Module) -> Tensor:
        """A copy of the module's weights: flat [P]."""
        return self.flatten({name: parameter.detach() for name, parameter in self._parameters(module).items()})

    def write(self, module: nn.Module, flat: Tensor) -> None:
        """Set the module's weights to flat [P], in place."""
        parameters = self._parameters(module)
        if flat.ndim != 1:
            raise InputError(f"weights to write: shape {list(flat.shape)}, expected [{self.num_parameters}]")
        values = self.unflatten(flat)
        for name, parameter in parameters.items():
            if parameter.dtype != flat.dtype:
                raise TypeError(f"parameter {name!r} is {parameter.dtype}, the weights to write are {flat.dtype}")
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(values[name])

    # Flat <-> tokens

    def tokens(self, flat: Tensor) -> list[Tensor]:
        """Flat [..., P] -> for each layer [..., nodes, width]."""
        _check_shape("flat weights", flat, (self.num_parameters,))
        piece = dict(zip(self._cuts, flat.split(self._sizes, dim=-1), strict=True))
        return [torch.cat([part.rows(piece[part]) for part in layer.parts], dim=-1) for layer in self.layers]

    def flat(self, tokens: Sequence[Tensor]) -> Tensor:
        """For each layer [..., nodes, width] -> flat [..., P]."""
        if len(tokens) != len(self.layers):
            raise InputError(f"tokens of {len(tokens)} layers, expected {len(self.layers)}")
        for layer, token in zip(self.layers, tokens, strict=True):
            _check_shape(f"tokens of layer {layer.name!r}", token, (layer.nodes, layer.width))
        _check_alike({f"layer {layer.name!r}": t for layer, t in zip(self.layers, tokens, strict=True)}, axes=2)

        piece: dict[Part, Tensor] = {}
        for layer, token in zip(self.layers, tokens, strict=True):
            rows = token.split([part.width for part in layer.parts], dim=-1)
            piece |= {part: part.entries(row) for part, row in zip(layer.parts, rows, strict=True)}
        return torch.cat([piece[part] for part in self._cuts], dim=-1)

    def padded_tokens(self, flat: Tensor) -> Tensor:
        """Flat [..., P] -> [..., num_nodes, max_width], zeros where ``mask`` is False."""
        tokens = self.tokens(flat)
        return torch.cat([nn.functional.pad(token, (0, self.max_width - token.shape[-1])) for token in tokens], dim=-2)

    def from_padded(self, tokens: Tensor) -> Tensor:
        """[..., num_nodes, max_width] -> flat [..., P], whatever the padding holds."""
        _check_shape("padded tokens", tokens, (self.num_nodes, self.max_width))
        by_layer = tokens.split([layer.nodes for layer in self.layers], dim=-2)
        return self.flat([token[..., : layer.width] for layer, token in zip(self.layers, by_layer, strict=True)])

    # Index tensors

    @cached_property
    def layer_index(self) -> Tensor:
        """[num_nodes], the layer of each node."""
        layer_of = [i for i, layer in enumerate(self.layers) for _ in range(layer.nodes)]
        return torch.tensor(layer_of, dtype=torch.long, device=self.device)

    @cached_property
    def mask(self) -> Tensor:
        """Bool [num_nodes, max_width], True where a padded token holds a weight."""
        widths = [layer.width for layer in self.layers for _ in range(layer.nodes)]
        places = torch.arange(self.max_width, device=self.device)
        return places < torch.tensor(widths, dtype=torch.long, device=self.device)[:, None]

    @cached_property
    def node_of(self) -> Tensor:
        """[P], the node that each flat entry belongs to."""
        by_layer = torch.arange(self.num_nodes, device=self.device).split([layer.nodes for layer in self.layers])
        return self.flat(
            [node[:, None].expand(-1, layer.width) for layer, node in zip(self.layers, by_layer, strict=True)]
        )

    @cached_property
    def bias_entries(self) -> Tensor:
        """Bool [P], True for the flat entries that are added to a unit's output.

        A scale and a shift of the units' outputs fold into the weights, where each unit has one bias, as
        ``flat * (1 + scale[..., node_of]) + shift[..., node_of] * bias_entries``.
        """
        return torch.cat([torch.full((part.size,), part.bias, device=self.device) for part in self._cuts])

    # Identity

    def describe(self) -> dict[str, Any]:
        """The structure in JSON's types: parameters in flat order, and how they make up the layers."""
        return {
            "parameters": [{"name": name, "shape": list(shape)} for name, shape in self.shapes.items()],
            "layers": [
                {
                    "name": layer.name,
                    "nodes": layer.nodes,
                    "width": layer.width,
                    "parts": [
                        {
                            "parameter": part.parameter,
                            "offset": part.offset,
                            "shape": list(part.shape),
                            "units": list(part.units),
                            "bias": part.bias,
                        }
                        for part in layer.parts
                    ],
                }
                for layer in self.layers
            ],
        }

    def digest(self) -> str:
        """SHA-256 of the structure: equal for all modules whose weights may be exchanged entry by entry.

        What holds no weights (activations, dropout, dtype, values) does not enter.
        """
        text = json.dumps(self.describe(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def _parameters(self, module: nn.Module) -> dict[str, nn.Parameter]:
        """The module's parameters, if they are those of this architecture."""
        parameters = dict(module.named_parameters())
        found = {name: tuple(parameter.shape) for name, parameter in parameters.items()}
        for name in [*self.shapes, *found]:
            if found.get(name) != self.shapes.get(name):
                raise InputError(
                    f"module of another architecture: parameter {name!r} has shape {found.get(name)}, "
                    f"expected {self.shapes.get(name)}"
                )
        return parameters


def _layers(module: nn.Module, parameters: Mapping[str, nn.Parameter]) -> tuple[Layer, ...]:
    """The layers of nodes of a module and all its children, every entry of every parameter in exactly one."""
    name_of = {id(parameter): name for name, parameter in parameters.items()}
    # A tied parameter has several names: by each of them, the one it goes by.
    canonical = {name: name_of[id(p)] for name, p in module.named_parameters(remove_duplicate=False)}
    # Parameter -> (module, name in the module) of its first claim. Modules come parents first, so a parent's
    # ``weight_nodes`` goes before its children's rules; later claims, also those of tied modules, are passed over.
    claims: dict[str, tuple[str, str]] = {}
    layers: list[Layer] = []

    def add(prefix: str, child: nn.Module, suffix: str, parts: Iterable[Part]) -> None:
        name = _join(prefix, suffix) or "(root)"
        own = []
        for part in parts:
            full = _join(prefix, part.parameter)
            if full not in canonical:
                raise InputError(f"layer {name!r}: its node rule names {full!r}, which is no parameter")
            claim = (prefix, part.parameter)
            if claims.setdefault(canonical[full], claim) == claim:
                own.append(replace(part, parameter=canonical[full]))
        if len({part.nodes for part in own}) > 1:
            found = ", ".join(f"{part.parameter!r} has {part.nodes}" for part in own)
            raise InputError(f"layer {name!r}: parameters of one layer need the same number of nodes, {found}")
        if own:
            layers.append(Layer(name, tuple(own)))

    for prefix, child in module.named_modules():
        for suffix, parts in layers_of(child).items():
            add(prefix, child, suffix, parts)
        for name, parameter in child.named_parameters(recurse=False):
            if canonical[_join(prefix, name)] not in claims:  # no rule: a layer of its own, one node per leading row
                add(prefix, child, name, [Part(name, tuple(parameter.shape) or (1,), bias=is_bias(name))])

    _check_cover(layers, parameters)
    return tuple(layers)


def _check_cover(layers: Sequence[Layer], parameters: Mapping[str, nn.Parameter]) -> None:
    names = [layer.name for layer in layers]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"layer {twice!r} is declared twice")
    parts = sorted((part for layer in layers for part in layer.parts), key=lambda part: part.offset)
    ends = dict.fromkeys(parameters, 0)
    for part in parts:
        if part.offset != ends[part.parameter]:
            what = "missing" if part.offset > ends[part.parameter] else "taken twice"
            raise InputError(f"parameter {part.parameter!r}: its node rule leaves entries {what} at {part.offset}")
        ends[part.parameter] += part.size
    for name, parameter in parameters.items():
        if ends[name] != parameter.numel():
            raise InputError(f"parameter {name!r}: its nodes cover {ends[name]} of {parameter.numel()} entries")


def _check_parameters(module: nn.Module, parameters: Mapping[str, nn.Parameter]) -> None:
    if not parameters:
        raise InputError(f"{type(module).__name__} has no parameters, so no weights to make a graph of")
    for name, parameter in parameters.items():
        if isinstance(parameter, nn.parameter.UninitializedParameter):
            raise InputError(f"parameter {name!r} has no shape yet: run the module once before making its graph")
        if not parameter.is_floating_point():
            raise TypeError(f"parameter {name!r} is {parameter.dtype}, expected real floating-point weights")
    _check_alike({f"parameter {name!r}": parameter for name, parameter in parameters.items()}, axes=None)


def _check_alike(tensors: Mapping[str, Tensor], axes: int | None) -> None:
    """One dtype, since torch.cat would promote without a word, and the same axes before the last ``axes``, if given."""
    (first, model), *rest = tensors.items()
    for name, tensor in rest:
        if tensor.dtype != model.dtype:
            raise TypeError(f"{name} is {tensor.dtype}, {first} is {model.dtype}: weights must share one dtype")
        if axes is not None and tensor.shape[:-axes] != model.shape[:-axes]:
            found, expected = tuple(tensor.shape[:-axes]), tuple(model.shape[:-axes])
            raise InputError(f"{name} has leading axes {found}, {first} has {expected}: expected the same")


def _check_shape(what: str, tensor: Tensor, last: tuple[int, ...]) -> None:
    lead = tensor.ndim - len(last)
    if lead < 0 or tuple(tensor.shape[lead:]) != last:
        raise InputError(f"{what}: shape {list(tensor.shape)}, expected [{', '.join(['...', *map(str, last)])}]")


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix and name else prefix or name
