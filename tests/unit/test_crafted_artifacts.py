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
    READERS,
    STRANGE,
    Crafted,
    bend_tensor,
    damage,
    nested,
    outcome,
    places_of,
    replace_value,
    write_valid,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from weightcast.core.artifact_header import read_metadata

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
        *((kind, ("architecture", "hidden")) for kind in ("anchors", "flow")),
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
