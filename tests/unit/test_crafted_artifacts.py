"""Artifacts with correct digests that somebody made: refused in one line, or loaded to the numbers that they have."""

from __future__ import annotations

import json
import random
import resource
from pathlib import Path

import pytest
import torch
from crafted_artifacts import (
    BENDS,
    STRANGE,
    Crafted,
    bend_tensor,
    damage,
    nested,
    outcome,
    places_of,
    replace_value,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from valid_artifacts import READERS, write_valid

from weightcast.core.artifact_header import read_metadata
from weightcast.core.errors import InputError

KINDS = sorted(READERS)
WITH_TENSORS = sorted(READERS.keys() - {"zoo", "experts"})  # which are manifests
few = settings(max_examples=60, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def valid(tmp_path_factory) -> dict[str, Path]:
    return write_valid(tmp_path_factory.mktemp("valid"))


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_not_changed_is_loaded(kind: str, valid: dict[str, Path], tmp_path: Path) -> None:
    again = tmp_path / "again.safetensors"
    Crafted.of(valid[kind]).write(again)
    assert outcome(valid[kind], kind) == outcome(again, kind) == "loaded"


values = st.sampled_from(STRANGE) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@few
@given(kind=st.sampled_from(KINDS), place=st.randoms(use_true_random=False), value=values | st.just(KeyError))
def test_metadata_that_say_something_else(kind: str, place: random.Random, value, valid, tmp_path_factory) -> None:
    crafted = Crafted.of(valid[kind])
    replace_value(crafted, place.choice(places_of(crafted.metadata)), value)
    path = tmp_path_factory.getbasetemp() / "crafted.safetensors"
    crafted.write(path)
    outcome(path, kind)


@few
@given(kind=st.sampled_from(WITH_TENSORS), name=st.randoms(use_true_random=False), how=st.sampled_from(BENDS))
def test_tensors_that_are_others(kind: str, name: random.Random, how: str, valid, tmp_path_factory) -> None:
    crafted = Crafted.of(valid[kind])
    bend_tensor(crafted, name.choice(sorted(crafted.tensors)), how)
    path = tmp_path_factory.getbasetemp() / "bent.safetensors"
    crafted.write(path)
    found = outcome(path, kind)
    if how in ("nan", "inf", "half", "bfloat16", "int8", "int64", "bool", "long"):
        assert found == "refused"


@few
@given(kind=st.sampled_from(KINDS), draws=st.randoms(use_true_random=False))
def test_bytes_that_are_others(kind: str, draws: random.Random, valid, tmp_path_factory) -> None:
    path = valid[kind].with_name("damaged.safetensors")  # beside the files that it may be the manifest of
    whole = valid[kind].read_bytes()
    changed = damage(whole, draws)
    path.write_bytes(changed)
    assert outcome(path, kind) == ("loaded" if changed == whole else "refused")


@pytest.mark.parametrize("depth", [40, 900, 100_000])
def test_values_nested_beyond_any_writer(depth: int, valid: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "deep.safetensors"
    text = json.dumps(read_metadata(valid["zoo"]))
    deep = "[" * depth + "]" * depth
    save_file({"weights": torch.zeros(3)}, path, metadata={"weightcast": f'{text[:-1]}, "x": {deep}}}'})
    assert outcome(path, "zoo") == "refused"
    if depth < 500:
        crafted = Crafted.of(valid["zoo"])
        crafted.metadata["x"] = nested(depth)
        crafted.write(path)
        assert outcome(path, "zoo") == "refused"


ABSURD = 10**9


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        *(("vae", ("vae", name)) for name in ("width", "latent", "layers", "heads")),
        *(("generator", ("diffusion", name)) for name in ("width", "layers", "noise_steps", "frequencies")),
        *(
            (kind, ("architecture", name))
            for kind in ("zoo", "model", "base")
            for name in ("width", "depth", "channels")
        ),
        ("base", ("weight_map", "width")),
        *(("flow", ("flow", name)) for name in ("width", "layers")),
        *((kind, ("architecture", "hidden")) for kind in ("anchors", "flow", "anchors-real", "flow-mixed", "family")),
        *((kind, ("architecture", "hidden")) for kind in ("path-vae", "path-experts")),
        *((kind, ("architecture", "space", "components")) for kind in ("anchors-real", "flow-mixed", "family")),
        *((kind, ("width",)) for kind in ("conditional-flow", "flow-matching")),
        *(("path-generator", ("path_diffusion", name)) for name in ("width", "layers", "frequencies")),
        *(("path-generator", ("path_condition", name)) for name in ("parameters", "said")),
        *(("family", ("map", name)) for name in ("rank", "width", "condition", "weights")),
        *(
            ("path-vae", ("map", name))
            for name in ("rank", "condition", "weights", "knots", "width", "heads", "layers")
        ),
        ("labels", ("condition", "features", "channels")),
        *(("labels", ("condition", "regression", name)) for name in ("points", "features", "outputs")),
        *((kind, ("architecture", "space", name)) for kind in ("anchors", "flow") for name in ("states", "dimensions")),
    ],
    ids=lambda value: value if isinstance(value, str) else ".".join(value),
)
@pytest.mark.parametrize("size", [5000, ABSURD])
def test_networks_that_the_file_has_no_weights_of(kind: str, place, size: int, valid, tmp_path: Path) -> None:
    crafted = Crafted.of(valid[kind])
    replace_value(crafted, place, size)
    path = tmp_path / "large.safetensors"
    crafted.write(path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = outcome(path, kind)
    # A longer schedule of noise is a schedule; a zoo builds nothing of its architecture.
    assert found == "refused" or (size == 5000 and ("noise_steps" in place or kind == "zoo"))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000


@pytest.mark.parametrize(
    ("kind", "place", "value"),
    [
        *(
            (kind, ("architecture", "space", name), value)
            for kind in ("anchors-real", "flow-mixed", "family")
            for name, values in {
                "mean": (2, None, "x", [], ["1"], [1.0] * 3),
                "deviation": (2, [0.0, 1.0], ["1e400", 1.0], [1.0, 1.0, 1.0]),
                "atoms": (2, [1.0], [[]] * 3, [["0"], []]),
                "components": ("2", 2.5, 0, True),
                "kind": ("other", None, ["real"]),
            }.items()
            for value in values
        ),
        *(
            ("anchors", ("architecture", "space", name), value)
            for name in ("states", "dimensions")
            for value in ("4", 0)
        ),
        *(("anchors", ("architecture", name), value) for name in ("hidden", "layers") for value in ("3", [3], True)),
        ("anchors", ("architecture", "backbone"), "lstm"),
        ("conditional-flow", ("guidance",), "1e400"),
        ("conditional-flow", ("guidance",), "1.5"),
        ("conditional-flow", ("width",), "4"),
        *(
            (kind, ("times",), value)
            for kind in ("conditional-flow", "family")
            for value in ([3.0, 0.0], ["0", "3"], [0.0])
        ),
        *(
            (kind, ("scaling", "low"), value)
            for kind in ("conditional-flow", "family")
            for value in ([0.5], [0.5, "1"], 2)
        ),
        *((kind, ("scaling", "logarithmic"), ["other"]) for kind in ("conditional-flow", "family")),
        ("conditional-flow", ("scaling", "low"), [0.5, -1.0]),
        ("family", ("widened",), "1e400"),
        ("family", ("widened",), 0.0),
        ("family", ("told",), "x"),
        *(("family", (name,), None) for name in ("told", "widened", "inflation", "masses", "ids", "map")),
        *(("conditional-flow", (name,), None) for name in ("guidance", "width", "times", "scaling")),
        *((kind, ("seconds",), value) for kind in ("flow-matching", "labels") for value in (None, KeyError)),
        ("base", ("weight_map", "condition", "kind"), "x" * 100_000),
        ("zoo", ("files", 0, "file"), "x" * 100_000),
        ("vae", ("origin", "condition", "kind"), "x" * 100_000),
        *((kind, ("architecture", "space", "kind"), "x" * 100_000) for kind in ("anchors", "family")),
        ("family", ("ids",), ["a"]),
        ("family", ("inflation", "far"), "1"),
        ("family", ("masses", 0, "noise"), "1e400"),
        ("family", ("masses", 1, "knots"), ["0", "1", "3"]),
        ("family", ("map", "rank"), "1"),
        ("flow-mixed", ("mass", "masses"), ["1", "2", "1e400"]),
        ("flow-mixed", ("forecast", "shares"), ["0.25", "0.75"]),
        ("flow-matching", ("width",), "4"),
        ("labels", ("condition", "features", "channels"), "1"),
        ("labels", ("condition", "features", "scales", "middle"), [0.0]),
        ("labels", ("condition", "regression", "length"), 0.0),
        ("labels", ("condition", "inputs"), "spectra"),
        ("labels", ("environments",), ["a"]),
        ("context", ("context", "calibration", "temper"), "0.3"),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_fields_of_another_type_or_length(
    kind: str, place: tuple[str | int, ...], value, valid, tmp_path: Path
) -> None:
    crafted = Crafted.of(valid[kind])
    replace_value(crafted, place, value)
    path = tmp_path / "crafted.safetensors"
    crafted.write(path)
    assert outcome(path, kind) == "refused"


@pytest.mark.parametrize(
    ("kind", "name", "tensor"),
    [
        *((kind, "deviation", torch.ones(1)) for kind in ("conditional-flow", "flow-matching")),
        *((kind, "deviation", torch.ones(2, 1)) for kind in ("conditional-flow", "flow-matching")),
        *((kind, "deviation", torch.tensor([1.0, 0.0])) for kind in ("conditional-flow", "flow-matching")),
        *((kind, "times", torch.tensor([0.0, 3.0, 1.0])) for kind in ("flow-matching", "couplings", "anchors-real")),
        ("couplings", "times", torch.tensor([[0.0, 1.0, 3.0]] * 3)),
        ("couplings", "end", torch.ones(8, 1)),
        ("couplings", "leaving", torch.ones(8, 2)),
        ("labels", "distances", torch.ones(3, 2)),
        ("labels", "labels", torch.ones(3, 2)),
        ("family", "parameters", torch.zeros(3)),
        ("family", "prior.centres", torch.zeros(3, 1)),
        ("family", "further.1.prior.shares", torch.tensor([1.0, 0.0])),
        ("family", "codes", torch.zeros(3, 2)),
    ],
)
def test_tensors_of_another_shape(kind: str, name: str, tensor: torch.Tensor, valid, tmp_path: Path) -> None:
    crafted = Crafted.of(valid[kind])
    crafted.tensors[name] = tensor.to(crafted.tensors[name].dtype)
    crafted.metadata["numbers"] = sum(one.numel() for one in crafted.tensors.values())
    path = tmp_path / "crafted.safetensors"
    crafted.write(path)
    assert outcome(path, kind) == "refused"


@pytest.mark.parametrize("name", ["prior.shares", "further.1.prior.factors"])
def test_a_mixture_is_whole(name: str, valid, tmp_path: Path) -> None:
    crafted = Crafted.of(valid["family"])
    bend_tensor(crafted, name, "gone")
    path = tmp_path / "crafted.safetensors"
    crafted.write(path)
    assert outcome(path, "family") == "refused"


@pytest.mark.parametrize("change", [{"shape": [1, 7]}, {"tensors_digest": "0" * 64}])
def test_a_manifest_whose_files_are_others_is_named_with_them(change, valid, tmp_path: Path) -> None:
    crafted = Crafted.of(valid["zoo"])
    crafted.metadata["files"][0] |= change
    for file in crafted.metadata["files"][1:]:
        file["shape"] = [1, crafted.metadata["files"][0]["shape"][1]]
    path = tmp_path / "zoo.safetensors"
    crafted.write(path)
    with pytest.raises(InputError, match=f"{path}: files: .*{Path(crafted.metadata['files'][0]['file']).name}"):
        READERS["zoo"](path)
