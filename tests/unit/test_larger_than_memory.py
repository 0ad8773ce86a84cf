"""Stages with far less memory than a zoo takes: they read it some experts at a time, and end in the same numbers."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_chain import Chain, tiny_plan
from tiny_study import ROOT

from weightcast.core.run import Run
from weightcast.core.share import Share
from weightcast.core.stored_tensor import ScratchTensor
from weightcast.environments.gram import gram_matrix, principal_plane, squared_distances
from weightcast.environments.stages import train_diffusion, train_vae
from weightcast.environments.weight_statistics import WeightStatistics, extremes, mean_squares, of_all, of_each_weight
from weightcast.environments.zoo import Zoo

LITTLE = partial(Run, memory=2e-6)
"""Two thousand bytes: a few of the study's networks of a hundred and some weights."""
CLOSE = {"rtol": 2e-3, "atol": 2e-5}


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    folder = tmp_path_factory.mktemp("chain")

    def relative_to_regression(config: dict[str, Any]) -> None:
        arms = config["generator"]["arms"]
        arms["paper"]["diffusion"] |= {"relative_to": "regression", "left_out": 0.3}

    made = Chain(tiny_plan(folder, relative_to_regression), folder)
    made.train()
    return made


def both(chain: Chain, stage: str, of_arm: str = "conditioned", **of: str) -> tuple[Any, Any]:
    """What a stage gives with memory, and with little of it."""
    found = []
    for run_of in (Run, LITTLE):
        chain.run_of = run_of
        output = chain.folder / "results" / "none" / "output.safetensors"
        found.append(chain.call(stage, chain.inputs_of(stage, of_arm), output, **of))
    chain.run_of = Run
    assert not list((chain.folder / "results" / "none").glob("[!.]*"))  # what waits in a file has no name
    return found[0], found[1]


def test_two_thousand_bytes_are_less_than_the_zoo(chain: Chain) -> None:
    zoo = Zoo.load(chain.folder / "results/zoo/conditioned.safetensors")
    assert not LITTLE().holds(zoo.numbers) and LITTLE().together(5 * zoo.weights.shape[1]) < len(zoo.weights)


@pytest.mark.parametrize("arm", ["conditioned", "paper"])
def test_a_vae_and_a_diffusion_are_the_same(arm: str, chain: Chain) -> None:
    for stage in ("train_vae", "train_diffusion"):
        whole, parts = both(chain, stage, arm, arm=arm, seed="0")
        ends = [
            one.vae.state_dict() | getattr(one, "diffusion", torch.nn.Module()).state_dict() for one in (whole, parts)
        ]
        for name, tensor in ends[0].items():
            torch.testing.assert_close(_counted(name, ends[1][name]), _counted(name, tensor), msg=name, **CLOSE)


@pytest.mark.parametrize(
    ("stage", "of"),
    [
        ("train_base", {"base": "film-matched"}),
        ("train_context", {}),
        ("tune_generator", {"arm": "conditioned", "seed": "0"}),
    ],
)
def test_steps_that_do_not_fit_are_computed_piece_by_piece(
    stage: str, of: dict[str, str], chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces = []
    original = Share.pieces
    monkeypatch.setattr(Share, "pieces", lambda self, most: pieces.append(len(found := original(self, most))) or found)
    whole, parts = both(chain, stage, **of)
    half = len(pieces) // 2
    assert set(pieces[:half]) == {1} and min(pieces[half:]) > 1
    networks = [
        (one.vae, one.diffusion) if stage == "tune_generator" else (getattr(one, "base", one).weight_map,)
        for one in (whole, parts)
    ]
    for expected, found in zip(*networks, strict=True):
        for name, tensor in expected.state_dict().items():
            torch.testing.assert_close(
                _counted(name, found.state_dict()[name]), _counted(name, tensor), msg=name, **CLOSE
            )


def _counted(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """Without the key's share of an attention's bias, which changes no attention: its gradient is rounding, of which
    AdamW makes steps as long as of any other."""
    if not name.endswith("qkv.bias"):
        return tensor
    query, _, value = tensor.chunk(3)
    return torch.cat([query, value])


@pytest.mark.parametrize(
    ("stage", "of"),
    [
        ("regress_weights", {"base": "conditioned"}),
        ("regress_latents", {"arm": "conditioned"}),
        ("generate_weights", {"source": "generator-conditioned"}),
        ("fold_bases", {}),
        ("finetune_bases", {}),
        ("adapt_to_frames", {"case": "3-frames"}),
    ],
)
def test_weights_of_methods_are_the_same(stage: str, of: dict[str, str], chain: Chain, tmp_path: Path) -> None:
    whole, parts = both(chain, stage, **of)
    assert [one.key for one in whole.methods] == [one.key for one in parts.methods]
    if stage != "adapt_to_frames":
        assert any(not isinstance(one.weights, torch.Tensor) for one in parts.methods)
    for one, other in zip(whole.methods, parts.methods, strict=True):
        assert (one.environments, one.parameters, one.diverged) == (
            other.environments,
            other.parameters,
            other.diverged,
        )
        torch.testing.assert_close(other.weights[:], one.weights[:], msg=one.key, **CLOSE)
    whole.save(tmp_path / "whole.safetensors")
    parts.save(tmp_path / "parts.safetensors")
    tables = [
        chain.call("evaluate_weights", chain.inputs_of("evaluate_weights") | {"weights": path}, source=stage).frame
        for path in (tmp_path / "whole.safetensors", tmp_path / "parts.safetensors")
    ]
    np.testing.assert_allclose(tables[1].value, tables[0].value, rtol=5e-3, atol=1e-5)


def test_the_map_of_weights_is_the_same(chain: Chain) -> None:
    whole, parts = both(chain, "map_weights")
    for column in ("component_1", "component_2", "explained_1", "explained_2"):
        size = whole.frame[column].abs().max()
        np.testing.assert_allclose(parts.frame[column], whole.frame[column], atol=1e-3 * size)


def test_statistics_in_one_pass_are_those_of_all(chain: Chain) -> None:
    graph = train_vae.StackedPredictor.of_architecture(
        Zoo.load(chain.folder / "results/zoo/erm.safetensors").metadata["architecture"]
    ).graph
    weights = 3.0 + torch.randn(50, graph.num_parameters, generator=torch.Generator().manual_seed(1))
    for squared in (partial(mean_squares, graph=graph), of_each_weight, of_all):
        whole, parts = (WeightStatistics.of(weights.split(size), squared) for size in (50, 7))
        assert torch.equal(whole.mean, weights.mean(0))
        assert torch.equal(whole.square, squared(weights - weights.mean(0)))
        torch.testing.assert_close(parts.mean, whole.mean, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(parts.square, whole.square, rtol=1e-5, atol=0.0)
    for one, other in zip(extremes([weights], graph), extremes(weights.split(7), graph), strict=True):
        assert torch.equal(one, other)


def test_principal_components_from_inner_products() -> None:
    points = torch.randn(12, 40, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    points[:, :3] *= torch.tensor([9.0, 4.0, 2.0])
    plane, shares = principal_plane(lambda: iter(points.split(9, dim=1)))
    centred = points - points.mean(0)
    left, sizes, right = torch.linalg.svd(centred, full_matrices=False)
    sign = torch.sign(right[:2].gather(1, right[:2].abs().argmax(1, keepdim=True)))[:, 0]
    torch.testing.assert_close(plane, left[:, :2] * sizes[:2] * sign)
    torch.testing.assert_close(shares, (sizes.square() / sizes.square().sum())[:2])
    apart = squared_distances(gram_matrix(points.split(9, dim=1)))
    torch.testing.assert_close(apart, torch.cdist(points, points).square(), rtol=1e-9, atol=1e-9)


def test_latents_that_do_not_fit_wait_in_a_file(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    original = train_diffusion.train_latent_diffusion

    def noting(run: Run, diffusion: Any, latents: Any, *rest: Any, **named: Any) -> Any:
        seen.append(type(latents))
        return original(run, diffusion, latents, *rest, **named)

    monkeypatch.setattr(train_diffusion, "train_latent_diffusion", noting)
    chain.run_of = partial(Run, memory=1e-7)
    chain.call("train_diffusion", chain.inputs_of("train_diffusion"), arm="conditioned", seed="0")
    chain.run_of = Run
    assert seen == [ScratchTensor]


def test_a_zoo_five_times_as_large_as_memory_takes_no_more_than_memory(tmp_path: Path) -> None:
    """400 MB of experts, of which statistics are made and every one is read, with 80 MB."""
    script = tmp_path / "read.py"
    script.write_text(
        """
import resource, sys
from pathlib import Path
import torch
from weightcast.core.run import Run
from weightcast.environments.deviations import Deviations
from weightcast.environments.weight_statistics import WeightStatistics, of_all
from weightcast.environments.zoo import ExpertFile, Zoo, gather

WEIGHTS, MEMBERS = 250_000, 10
folder = Path(sys.argv[1])


class Vae:
    def origins(self, prepared):
        return torch.zeros(len(prepared), WEIGHTS)


names = [f"e{number}" for number in range(40)]
for number, name in enumerate(names):
    weights = torch.full((MEMBERS, WEIGHTS), float(number))
    manifest = [{"environment": name, "member": k, "diverged": False, "seconds": 1.0} for k in range(MEMBERS)]
    Zoo(weights, manifest, {}).save(folder / f"{name}.safetensors")
del weights
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
gather([Zoo.load(folder / f"{name}.safetensors") for name in names], names).save(folder / "zoo.safetensors")
zoo = Zoo.load(folder / "zoo.safetensors")
assert (folder / "zoo.safetensors").stat().st_size < 200_000
run, of = Run(memory=0.08), torch.arange(40).repeat_interleave(MEMBERS)
seen = Deviations(run, Vae(), zoo.weights, torch.zeros(40, 1), of)
found = WeightStatistics.of(seen.blocks(), of_all)
assert found.count == 400 and abs(float(found.mean[7]) - 19.5) < 1e-3 and abs(float(found.square) - 133.25) < 1e-2
assert seen.weights(torch.tensor([0, 399, 17]))[:, 3].tolist() == [0.0, 39.0, 1.0]
print(before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
""",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "zoo")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    before, after = (int(number) / 1024 for number in done.stdout.split())
    assert after - before < 100, (before, after)  # megabytes
