"""Devices: every step of every stage keeps to the run's device, and a GPU agrees with the CPU.

Torch's ``meta`` device has shapes and no numbers, and refuses to mix with tensors of the CPU. So a step that runs on it
creates nothing elsewhere, forward or backward. Where a stage wants to look at numbers, it ends here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from refusals import refused
from tiny_chain import Chain, tiny_plan
from torch import Tensor, nn

from weightcast.core.config.training import TrainingSettings
from weightcast.core.device import choose_device
from weightcast.core.draws import Draws
from weightcast.core.run import Run
from weightcast.core.training import Fit, Loss, losses_of
from weightcast.environments import conditioned
from weightcast.environments.base import BaseNetwork
from weightcast.environments.conditions import Known
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.diffusion import LatentDiffusion
from weightcast.environments.evaluation import roll_out
from weightcast.environments.experts import one_step_error, plan_members, starting_weights, train_experts
from weightcast.environments.generator import Generator
from weightcast.environments.jobs import EvaluateWithoutNetwork, Plan, TrainExperts
from weightcast.environments.jobs import weights as weights_jobs
from weightcast.environments.stages import adapt_to_frames as adapting
from weightcast.environments.stages import finetune_bases as finetuning
from weightcast.environments.stages import train_diffusion as diffusing
from weightcast.environments.vae_artifact import TrainedVae

META = torch.device("meta")
NO_NUMBERS = re.compile(r"meta tensor|on meta|Tensor\.item\(\)|data-dependent")


class MetaRun(Run):
    """A run on the meta device, which takes the first step of every training, forward and backward, and no other."""

    def __init__(self) -> None:
        super().__init__(META)
        self.trained: list[str] = []

    def fit(
        self,
        parameters: Sequence[Tensor],
        loss: Loss | Sequence[Loss],
        settings: TrainingSettings,
        *,
        name: str,
        stacked: bool = False,
        may_diverge: bool = False,
        validation: Callable[[], Tensor] | None = None,
    ) -> Fit:
        members = parameters[0].shape[0] if stacked else 1
        (only,) = losses_of(loss)
        value = only(0)
        assert value.device == META
        assert value.numel() == members
        value.sum().backward()
        for parameter in parameters:
            assert parameter.device == META
            assert parameter.grad is None or parameter.grad.device == META
        assert any(parameter.grad is not None for parameter in parameters)
        if validation is not None:
            assert validation().device == META
        self.trained.append(name)
        return Fit(torch.ones(settings.steps, members), torch.zeros(members, dtype=torch.bool), 1.0)


@contextmanager
def until_numbers_are_wanted() -> Iterator[None]:
    """The block may end where it looks at a number, which there is not; any other error is one."""
    try:
        yield
    except (NotImplementedError, RuntimeError) as error:
        if NO_NUMBERS.search(str(error)) is None:
            raise


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """The tiny study, trained on the CPU: what the stages here are given."""
    folder = tmp_path_factory.mktemp("chain")
    chain = Chain(tiny_plan(folder), folder)
    chain.train()
    return chain


@pytest.fixture
def on_meta(chain: Chain) -> tuple[Chain, list[MetaRun]]:
    """The same files, for stages on the meta device, and the runs that they are given."""
    runs: list[MetaRun] = []

    def run_of(device: torch.device, outputs: dict[str, Path]) -> MetaRun:
        assert device == META
        runs.append(MetaRun())  # without outputs: nothing is written
        return runs[-1]

    return Chain(chain.plan, chain.folder, "meta", run_of), runs


# --- trainings


@pytest.mark.parametrize("base", ["erm", "conditioned", "film-matched", "hypernetwork"])
def test_a_base_is_trained_on_the_runs_device(base: str, on_meta: tuple[Chain, list[MetaRun]]) -> None:
    chain, runs = on_meta
    made = chain.call("train_base", chain.inputs_of("train_base"), base=base)
    assert runs[0].trained
    assert made.weight_map.weights.device == META


@pytest.mark.parametrize("arm", ["conditioned", "paper"])
def test_a_vae_is_trained_on_the_runs_device(arm: str, on_meta: tuple[Chain, list[MetaRun]]) -> None:
    chain, runs = on_meta
    made = chain.call("train_vae", chain.inputs_of("train_vae", arm), arm=arm, seed="0")
    assert runs[0].trained == ["vae"]
    assert {tensor.device for tensor in made.vae.state_dict().values()} == {META}


@pytest.mark.parametrize("arm", ["conditioned", "paper"])
def test_a_diffusion_is_trained_on_the_runs_device(
    arm: str, on_meta: tuple[Chain, list[MetaRun]], monkeypatch: pytest.MonkeyPatch
) -> None:
    # What compares numbers.
    monkeypatch.setattr(LatentDiffusion, "fit_regression", lambda *_: None)
    monkeypatch.setattr(diffusing, "choose_steps", lambda run, diffusion, a, b, settings, seed: (settings, 0.0))
    chain, runs = on_meta
    made = chain.call("train_diffusion", chain.inputs_of("train_diffusion", arm), arm=arm, seed="0")
    assert runs[0].trained == ["diffusion"]
    assert made.device == META
    assert {tensor.device for tensor in made.diffusion.state_dict().values()} == {META}


def test_a_generator_is_tuned_on_the_runs_device(on_meta: tuple[Chain, list[MetaRun]]) -> None:
    chain, runs = on_meta
    made = chain.call("tune_generator", chain.inputs_of("tune_generator"), arm="conditioned", seed="0")
    assert runs[0].trained == ["end-to-end"]
    assert made.device == META


def test_experts_are_trained_on_the_runs_device(chain: Chain) -> None:
    settings = TrainExperts.of(chain.plan, "conditioned", "visible-000")
    base = BaseNetwork.load(chain.inputs_of("train_experts")["base"])
    base, run = base.to(META), MetaRun()
    members = plan_members(settings.ids, settings.members, settings.seed)
    of = [settings.ids.index(member.environment) for member in members]
    files = TrajectoryFolder(chain.folder / "trajectories")
    frames = run.place(base.normalisation.apply(files.read(settings.ids, settings.data, "train")))

    folded = base.weights(Known.of_rows(settings.environments))[of]
    start = starting_weights(folded, members, base.predictor, settings.perturbation)
    weights, _ = train_experts(
        run, start, members, frames, of, base.predictor, settings.training, held_out=frames, name="experts"
    )
    assert run.trained == ["experts"]
    assert weights.device == one_step_error(weights, frames, of, base.predictor).device == META


def test_a_shard_of_experts_runs_on_its_device_until_it_is_judged(on_meta: tuple[Chain, list[MetaRun]]) -> None:
    chain, runs = on_meta
    with until_numbers_are_wanted():
        chain.call("train_experts", chain.inputs_of("train_experts"), base="conditioned", shard="visible-000")
    assert runs[0].trained == ["experts"]


def test_fine_tuning_runs_on_its_device(on_meta: tuple[Chain, list[MetaRun]], monkeypatch: pytest.MonkeyPatch) -> None:
    chain, runs = on_meta

    def judged(weights: Tensor, frames: Tensor, predictor: Any) -> float:
        assert predictor.rollout_error(weights, frames).device == META
        return 1.0

    monkeypatch.setattr(finetuning, "rollout_rmse", judged)
    with until_numbers_are_wanted():
        chain.call("finetune_bases", chain.inputs_of("finetune_bases"))
    assert [name.partition(",")[0] for name in runs[0].trained] == [
        *["finetune-erm visible"] * 2,
        "finetune-erm unseen",
    ]  # what was fine-tuned first is then kept as numbers


# --- what follows the trainings


def generators(chain: Chain) -> list[Generator]:
    results = chain.folder / "results"
    paths = ("end-to-end/conditioned-0", "diffusion/paper-0")
    return [Generator.load(results / f"{path}.safetensors").to(META) for path in paths]


def test_sampling_keeps_to_the_generators_device(chain: Chain) -> None:
    for generator in generators(chain):
        prepared = generator.condition.candidates().to(META).requires_grad_()
        weights = generator.weights(prepared, generator.draw_noise(len(prepared), seed=0))
        assert (weights.device, len(weights)) == (META, len(prepared))
        weights.sum().backward()
        assert prepared.grad is not None and prepared.grad.device == META


def test_generating_and_folding_run_on_the_device_until_weights_are_kept(
    on_meta: tuple[Chain, list[MetaRun]],
) -> None:
    chain, runs = on_meta
    for arm in ("conditioned", "paper"):
        with until_numbers_are_wanted():
            chain.call("generate_weights", chain.inputs_of("generate_weights", arm), source=f"generator-{arm}")
    with until_numbers_are_wanted():
        chain.call("fold_bases", chain.inputs_of("fold_bases"))
    with until_numbers_are_wanted():
        chain.call("map_weights", chain.inputs_of("map_weights"))
    assert len(runs) == 4


def test_weight_maps_and_encoders_keep_to_their_device(chain: Chain) -> None:
    known = Known.of_rows(chain.plan.table.environments)
    for path in chain.inputs_of("fold_bases")["bases"]:
        assert BaseNetwork.load(path).to(META).weights(known).device == META
    trained = TrainedVae.load(chain.folder / "results" / "vae" / "conditioned-0.safetensors")
    vae, prepared = trained.vae.to(META), trained.condition.prepare(known).to(META)
    weights = torch.zeros(len(known), trained.predictor.graph.num_parameters, device=META)
    assert vae.decode(vae.encode(weights, prepared), prepared).device == META


def test_a_search_for_the_environment_keeps_to_its_device(
    on_meta: tuple[Chain, list[MetaRun]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for the search's comparisons, which look at numbers: one step of it is taken here."""
    searched = []

    def one_step(weights_of: Any, predictor: Any, frames: Tensor, candidates: Tensor, *_: Any, **__: Any) -> Tensor:
        asked = candidates.to(frames.device)[:2].clone().requires_grad_()
        pairs = torch.stack([frames[0, :, :-1], frames[0, :, 1:]], dim=2).flatten(0, 1)
        error = predictor.rollout_error(weights_of(asked), pairs[None].expand(2, *pairs.shape)).sum()
        error.backward()
        assert asked.grad is not None and asked.grad.device == META
        searched.append(error)
        return asked.detach()[:1].expand(len(frames), -1)

    monkeypatch.setattr(conditioned, "infer_environments", one_step)
    monkeypatch.setattr(Tensor, "cpu", lambda tensor: tensor)  # weights are kept on the CPU
    chain, _ = on_meta
    inputs = chain.inputs_of("adapt_to_frames")
    inputs["contexts"] = []  # its search is nothing but comparisons
    without = chain.plan.study.model_copy(update={"context": None})
    monkeypatch.setattr(chain, "plan", Plan(without, chain.plan.table))
    monkeypatch.setattr(adapting, "FrameSpace", SimpleNamespace(of=lambda frames: None))
    monkeypatch.setattr(adapting, "_of_rivals", lambda *_: [])
    monkeypatch.setattr(weights_jobs, "regressions", lambda table: ())  # on which nothing is searched with meta tensors
    monkeypatch.setattr(adapting, "observe", lambda whole, *_: whole)
    chain.call("adapt_to_frames", inputs, case="3-frames")
    assert len(searched) == 4  # that of the generator's base among them


def test_rollouts_keep_to_their_device(chain: Chain) -> None:
    base = BaseNetwork.load(chain.inputs_of("fold_bases")["bases"][1]).to(META)
    weights = base.weight_map.weights.expand(14, -1)
    initial = torch.zeros(14, 3, 2, *chain.plan.study.data.grid, device=META)
    forecasts = list(roll_out(weights, initial, 4, base.predictor, base.normalisation))
    assert len(forecasts) == 14
    assert {forecast.device for forecast in forecasts} == {META}
    assert forecasts[0].shape == (3, 4, 2, *chain.plan.study.data.grid)


def test_evaluations_run_on_the_device_until_numbers_are_wanted(on_meta: tuple[Chain, list[MetaRun]]) -> None:
    chain, _ = on_meta
    source = Chain(chain.plan, chain.folder)
    source.run("fold_bases", "weights/bases.safetensors", source.inputs_of("fold_bases"))
    with until_numbers_are_wanted():
        chain.call("evaluate_weights", chain.inputs_of("evaluate_weights"), source="bases")
    with until_numbers_are_wanted():
        chain.call("evaluate_without_network", chain.inputs_of("evaluate_without_network"))
    assert EvaluateWithoutNetwork.of(chain.plan).ids


# --- random numbers


def test_random_numbers_do_not_depend_on_the_device() -> None:
    expected = torch.Generator().manual_seed(7)
    draws = Draws("cpu", 7)
    assert torch.equal(draws.normal(2, 3), torch.randn(2, 3, generator=expected))
    assert torch.equal(draws.uniform(4), torch.rand(4, generator=expected))
    assert torch.equal(draws.integers(9, 2, 2), torch.randint(9, (2, 2), generator=expected))
    assert torch.equal(draws.permutation(5), torch.randperm(5, generator=expected))
    assert 3 <= draws.integer(3, 6) < 6

    elsewhere = Draws(META, 7)
    for made, shape in (
        (elsewhere.normal(2, 3), (2, 3)),
        (elsewhere.uniform(4), (4,)),
        (elsewhere.integers(9, 2, 2), (2, 2)),
        (elsewhere.permutation(5), (5,)),
    ):
        assert (made.device, made.shape) == (META, shape)
    # The stream went on as it does on the CPU, whose device the numbers were drawn on.
    assert elsewhere.integer(0, 10**9) == int(torch.randint(0, 10**9, (), generator=_after(7)))
    assert Draws("cpu", "experts", "a", 1).normal(1) != Draws("cpu", "experts", "a", 2).normal(1)


def _after(seed: int) -> torch.Generator:
    generator = torch.Generator().manual_seed(seed)
    torch.randn(2, 3, generator=generator)
    torch.rand(4, generator=generator)
    torch.randint(9, (2, 2), generator=generator)
    torch.randperm(5, generator=generator)
    return generator


# --- choosing a device


def gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


def test_a_device_is_chosen_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(monkeypatch, 2)
    names = {"auto": "cuda:0", "cuda": "cuda:0", "cuda:0": "cuda:0", "cuda:1": "cuda:1", "cpu": "cpu"}
    assert {name: str(choose_device(name)) for name in names} == names
    gpus(monkeypatch, 0)
    assert str(choose_device()) == str(choose_device("cpu")) == "cpu"


@pytest.mark.parametrize(
    ("name", "count", "words"),
    [
        ("cuda", 0, ("--device: found 'cuda'", "torch sees no GPU")),
        ("cuda:2", 2, ("--device: found 'cuda:2'", "torch sees 2 GPUs, numbered from 0")),
        ("cuda:1", 1, ("--device: found 'cuda:1'", "torch sees 1 GPU, numbered from 0")),
        *((name, 1, (f"--device: found {name!r}", "auto, cpu, cuda or cuda:<number>")) for name in
          ("gpu", "", "cuda:", "cuda:-1", "cuda:x", "CPU", "meta", "cpu:0", "cpu\n")),
    ],
)  # fmt: skip
def test_devices_that_are_not_there_are_refused(
    name: str, count: int, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus(monkeypatch, count)
    with refused(*words):
        choose_device(name, "--device")


# --- a GPU


@pytest.mark.skipif(
    not torch.cuda.is_available(), reason="torch sees no GPU here: the stages were run on the CPU alone"
)
def test_all_stages_agree_on_cpu_and_gpu(tmp_path: Path) -> None:
    """Losses and errors of the whole tiny study, whose files are read again from stage to stage."""
    found = {}
    for device in ("cpu", "cuda"):
        folder = tmp_path / device
        chain = Chain(tiny_plan(folder), folder, device)
        chain.train()
        found[device] = chain.finish(), chain.curves
    tables, curves = zip(*found.values(), strict=True)
    assert curves[0].keys() == curves[1].keys()
    for name, curve in curves[0].items():
        for part in ("training", "validation"):
            np.testing.assert_allclose(curves[1][name][part], curve[part], rtol=1e-3, err_msg=f"{name}: {part}")
    for name in (name for name in tables[0] if name != "map_weights" and name != "show_rollouts"):
        first, second = tables[0][name], tables[1][name]
        assert first.drop(columns="value").equals(second.drop(columns="value"))
        near = np.isclose(first["value"], second["value"], rtol=1e-3, atol=1e-4, equal_nan=True)
        # A search in parameters may end in another of two minima that are as good, in a few environments.
        assert near.mean() > (0.9 if name == "adapt_to_frames" else 0.999), name


def test_what_is_saved_is_on_the_cpu_and_modules_move_whole() -> None:
    """A guard of the discipline itself: mixing devices must raise, or the tests above test nothing."""
    layer = nn.Linear(3, 2).to(META)
    with pytest.raises(RuntimeError, match=r"meta|device"):
        layer(torch.zeros(1, 3))
    with pytest.raises(RuntimeError, match=r"meta|device"):
        torch.zeros(2, device=META) + torch.zeros(2)
