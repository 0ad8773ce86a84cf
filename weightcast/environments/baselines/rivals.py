"""What a sceptic would make of the same few frames: experts of visible environments retrieved or weighted, codes
adapted without a prior, bases fine-tuned. What is chosen is chosen on visible environments that are shown in the same
way.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from weightcast.core.methods import CODE_ADAPTATION, RETRIEVED, WEIGHTED_EXPERTS
from weightcast.core.run import Run
from weightcast.core.stored_tensor import grouped
from weightcast.environments.base import BaseNetwork
from weightcast.environments.baselines.code_adaptation import adapt_codes
from weightcast.environments.baselines.observed_finetuning import finetune_windows, judge_budgets
from weightcast.environments.baselines.retrieval import choose_weighting, expert_misfits, expert_shares, weightiest
from weightcast.environments.conditioned import Searches
from weightcast.environments.context import Context
from weightcast.environments.jobs import AdaptToFrames
from weightcast.environments.losses import rollout_rmse
from weightcast.environments.missing_values import without_land
from weightcast.environments.normalisation import Normalisation
from weightcast.environments.refinement import NOISE_ROUNDS
from weightcast.environments.weight_maps import PooledWeights
from weightcast.environments.weights_table import MethodWeights
from weightcast.environments.windows import Windows
from weightcast.environments.zoo import Zoo


@dataclass(frozen=True)
class Rivals:
    """Methods that see the same frames and need no conditioned network, or train one.

    Attributes:
        run: whose device everything is on.
        settings: of the stage.
        environments: ids of unseen ones.
        unseen: what is shown of these.
        choosing: ids of visible ones on which settings are chosen.
        visible: what is shown of these, likewise.
        held_out: what forecasts of these are compared with [environment, trajectory, frame, channel, y, x], physical
            units; NaN where nothing can be compared.
    """

    run: Run
    settings: AdaptToFrames
    environments: list[str]
    unseen: Searches
    choosing: list[str]
    visible: Searches
    held_out: Tensor

    @property
    def inputs(self) -> int:
        """Channels of frames, the last ones, that are inputs."""
        return self.settings.data.layout.shown

    def windows(
        self,
        searches: Searches,
        normalisation: Normalisation,
        unroll: int | None = None,
        most: int | None = None,
        trained: bool = False,
    ) -> Windows | None:
        """What is shown of environments as rollouts; None of a single frame.

        Those that networks are trained on hold land as well, as in all trainings: it is to stay as it is.
        """
        frames = normalisation.apply(searches.observed)
        if frames.shape[2] < 2:
            return None
        most = frames.shape[2] if most is None else most
        whole = self.unseen.space.complete(frames)
        frames = frames if trained else without_land(frames, searches.land)
        return Windows.of(frames, whole, unroll, most, self.inputs, self.settings.data.history)

    def experts(self, zoo: Zoo, base: BaseNetwork) -> list[MethodWeights]:
        """The best expert of each environment, if more than one frame tells, and an ensemble of weighted experts."""
        run, normalisation = self.run, Normalisation.from_metadata(zoo.metadata["normalisation"])
        healthy = zoo.healthy()
        experts, predictor = healthy.weights, base.predictor.to(run.device)
        at_once = run.together(4 * experts.shape[1])
        started = time.monotonic()
        weighting = choose_weighting(
            experts,
            healthy.environments,
            predictor,
            self.windows(self.visible, normalisation),
            self.choosing,
            normalisation.apply(self.held_out[:, :1]),
            self.settings.members,
            at_once,
        )
        chosen = time.monotonic()
        print(f"{WEIGHTED_EXPERTS}: temper {weighting.temper:g}, chosen on {len(self.choosing)} visible", flush=True)
        windows = self.windows(self.unseen, normalisation)
        if windows is None:
            misfits = self.held_out.new_zeros(len(self.environments), len(experts))
            counts = misfits[:, 0]
        else:
            misfits, counts = expert_misfits(experts, predictor, windows, at_once), windows.counts
        members, shares = weightiest(expert_shares(misfits, counts, weighting.temper), self.settings.members)
        seconds = base.metadata["seconds"] + zoo.seconds
        common: dict[str, Any] = {
            "seed": 0,
            "environments": self.environments,
            "adapt_seconds": (time.monotonic() - chosen) / len(self.environments),
            "parameters": healthy.numbers,
            "normalisation": normalisation,
        }
        methods = []
        if windows is not None:
            best = grouped(healthy.take(misfits.argmin(1).tolist()).weights, 1)
            methods.append(MethodWeights(method=RETRIEVED, weights=best, train_seconds=seconds, **common))
        weighted = healthy.take(members.flatten().tolist()).weights
        together = MethodWeights(
            method=WEIGHTED_EXPERTS,
            weights=grouped(weighted, members.shape[1]),
            train_seconds=seconds + chosen - started,
            shares=shares.cpu(),
            model_error=weighting.model_error,
            **common,
        )
        return [*methods, together]

    def code_adaptation(self, context: Context) -> MethodWeights:
        """The context base adapted without its prior."""
        base, refine = context.base, context.settings
        started = time.monotonic()
        windows = self.windows(self.unseen, base.normalisation, refine.unroll, refine.windows)
        steps = NOISE_ROUNDS * refine.iterations  # as many as the search with a prior takes
        codes = adapt_codes(base.weight_map, base.predictor, context.codes, windows, len(self.environments), steps)
        return MethodWeights(
            method=CODE_ADAPTATION,
            seed=0,
            environments=self.environments,
            weights=context.weights(codes)[:, None].cpu(),
            train_seconds=base.metadata["seconds"],
            adapt_seconds=(time.monotonic() - started) / len(self.environments),
            parameters=base.learned,
            normalisation=base.normalisation,
            architecture=base.metadata["architecture"],
        )

    def finetuned(self, name: str, base: BaseNetwork, rank: int | None = None) -> list[MethodWeights]:
        """A base fine-tuned on every pair of consecutive frames, with steps and rate chosen on visible environments;
        and, where there are several, for each number of steps, with the rate alone chosen.

        Args:
            name: of the method.
            base: pooled, or conditioned: then begun from the parameters that are inferred from the frames.
            rank: of what is added to each layer; None trains all weights.
        """
        predictor, budget = base.predictor, self.settings.finetune
        seen, spent = _started(base, self.visible)
        start, inferring = _started(base, self.unseen)
        shown, observed = (
            self.windows(searches, base.normalisation, unroll=1, trained=True)
            for searches in (self.visible, self.unseen)
        )
        assert shown is not None and observed is not None
        held_out = base.normalisation.apply(self.held_out)
        budgets = judge_budgets(
            budget,
            lambda steps, rate: finetune_windows(
                self.run, seen, shown, predictor, steps, rate, f"{name} visible", rank
            ),
            lambda weights: rollout_rmse(weights, held_out, predictor),
        )
        best = min(budgets, key=lambda one: one.error)
        words = f"{best.steps} steps at {best.learning_rate:g}, chosen on {len(self.choosing)} visible environments"
        print(f"{name}: {words}", flush=True)
        before = base.metadata["seconds"] + spent
        methods = list[MethodWeights]()
        for one in budgets:
            weights, result = finetune_windows(
                self.run, start, observed, predictor, one.steps, one.learning_rate, f"{name} unseen", rank
            )
            of_steps = MethodWeights(
                method=f"{name}-{one.steps}",
                seed=0,
                environments=self.environments,
                weights=weights[:, None].cpu(),
                train_seconds=before + one.seconds,
                adapt_seconds=(result.seconds + inferring) / len(self.environments),
                parameters=base.learned,
                diverged=[id for id, lost in zip(self.environments, result.diverged.tolist(), strict=True) if lost],
                normalisation=base.normalisation,
            )
            if one is best:
                whole = before + sum(each.seconds for each in budgets)
                own = weights[:, None].cpu().clone()  # a tensor is written under one name
                methods.insert(0, replace(of_steps, method=name, train_seconds=whole, weights=own))
            if len(budgets) > 1:
                methods.append(of_steps)
        return methods


@torch.no_grad()
def _started(base: BaseNetwork, searches: Searches) -> tuple[Tensor, float]:
    """Weights that a base begins with [environment, weight], and the seconds that finding them took."""
    if isinstance(base.weight_map, PooledWeights):
        return base.weight_map.weights.detach().expand(len(searches.observed), -1), 0.0
    begun = searches.of(base)
    return base.weight_map(begun.coordinates).clone(), begun.seconds
