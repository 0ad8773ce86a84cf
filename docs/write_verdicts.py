"""How often `weightcast generate --frames` is wrong about whether frames fit, into docs/unknown-environments.md.

python docs/write_verdicts.py [results/lambda-omega]    after `make run`: three minutes of one core

Test trajectories of the study's own environments, seen in every way that frames may come in, and the same with what no
environment of the study does: time backwards or too fast, channels exchanged, one with its sign changed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor
from write_results import ROOT, fill

from weightcast.cli.errors import exit_on_input_error
from weightcast.core.draws import Draws
from weightcast.core.environment_table import EnvironmentTable
from weightcast.environments.config.load import load_study
from weightcast.environments.config.study import Study
from weightcast.environments.context import Context
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.frames_verdict import FramesVerdict
from weightcast.environments.inputs import with_shown

PAGE = ROOT / "docs" / "unknown-environments.md"
FRAMES = 10
EVERY = 3
"""Every how many of the study's environments is looked at."""
FAST = 4
"""Every how many frames are taken for consecutive ones."""

Change = Callable[[Tensor], Tensor]


def noisy(level: float) -> Change:
    """With noise of so many standard deviations of the frames."""
    return lambda frames: frames + level * frames.std() * Draws(torch.device("cpu"), "verdicts").normal(*frames.shape)


def hidden(share: float) -> Change:
    """Without a block in a corner, whose sides are so much of the grid's."""

    def change(frames: Tensor) -> Tensor:
        seen = frames.clone()
        seen[..., : round(share * frames.shape[-2]), : round(share * frames.shape[-1])] = torch.nan
        return seen

    return change


def every(step: int) -> Change:
    """Every so-many-th pixel."""

    def change(frames: Tensor) -> Tensor:
        seen = torch.full_like(frames, torch.nan)
        seen[..., ::step, ::step] = frames[..., ::step, ::step]
        return seen

    return change


def half(frames: Tensor) -> Tensor:
    """Without the left half."""
    seen = frames.clone()
    seen[..., : frames.shape[-1] // 2] = torch.nan
    return seen


SEEN: Mapping[str, Change] = {
    "10 frames": lambda frames: frames,
    "10 frames, 5 % noise": noisy(0.05),
    "10 frames, 20 % noise": noisy(0.2),
    "2 frames": lambda frames: frames[:, :2],
    "2 frames, 5 % noise": lambda frames: noisy(0.05)(frames)[:, :2],
    "2 frames, 20 % noise": lambda frames: noisy(0.2)(frames)[:, :2],
    "10 frames, a corner of 6 % masked": hidden(0.25),
    "10 frames, a corner of 25 % masked": hidden(0.5),
    "10 frames, half masked": half,
    "2 frames, half masked": lambda frames: half(frames)[:, :2],
    "10 frames, every 2nd pixel": every(2),
    "10 frames, every 4th pixel": every(4),
}
OTHERS: Mapping[str, Change] = {
    "time backwards": lambda frames: frames[:, :FRAMES].flip(1),
    "four times too fast": lambda frames: frames[:, : FAST * FRAMES : FAST],
    "channels exchanged": lambda frames: frames[:, :FRAMES].flip(2),
    "one channel's sign changed": lambda frames: torch.cat([frames[:, :FRAMES, :1], -frames[:, :FRAMES, 1:]], 2),
}
"""What no environment of the study does."""
SEEN_OF_OTHERS = (
    "10 frames",
    "10 frames, 20 % noise",
    "10 frames, half masked",
    "10 frames, every 4th pixel",
    "2 frames",
)


def judge(context: Context, frames: Tensor) -> FramesVerdict:
    """What `generate --frames` would say of frames [1, frame, channel, y, x], physical units."""
    predictor = context.base.predictor
    states = with_shown(frames, predictor.layout, predictor.history)
    return FramesVerdict.of(context, context.infer(states[None]), states)


def counted(found: list[FramesVerdict]) -> str:
    """How many were said to fit nothing, and of how many it was said that it cannot be told."""
    outside, open_ = sum(not one.fits for one in found), sum(not one.judged for one in found)
    return f"{outside} of {len(found)}" + (f", {open_} not to be told" if open_ else "")


def table(study: Study, environments: EnvironmentTable, context: Context, trajectories: TrajectoryFolder) -> list[str]:
    """Markdown: how often frames were said to be outside of what the study knows."""
    roles = (environments.visible, environments.interpolation, environments.extrapolation)
    rows = [row for of_role in roles for row in of_role[::EVERY]]
    whole = trajectories.read_roles(rows, study.data, "test", FAST * FRAMES, 1, inputs=True)  # [environment, 1, ...]
    lines = ["| frames of the study's own environments | visible | inside | outside |", "|---|---|---|---|"]
    for name, change in SEEN.items():
        found = [judge(context, change(frames[:, :FRAMES])) for frames in whole]
        cells = [
            counted([one for one, row in zip(found, rows, strict=True) if row.role == role])
            for role in ("visible", "interpolation", "extrapolation")
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    lines += [
        "",
        f"| what none of them does | {' | '.join(SEEN_OF_OTHERS)} |",
        "|---" * (1 + len(SEEN_OF_OTHERS)) + "|",
    ]
    for name, change in OTHERS.items():
        cells = [counted([judge(context, SEEN[seen](change(frames))) for frames in whole]) for seen in SEEN_OF_OTHERS]
        lines.append(f"| {name} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    return lines


@exit_on_input_error()
def main() -> None:
    """Judge, and fill the page."""
    results = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "results" / "lambda-omega"
    study = load_study(results / "config.yaml")
    environments = EnvironmentTable.load(results / "environments.csv")
    context = Context.load(results / "base" / "context.safetensors")
    folder = results.parent.parent / "data" / study.study / "trajectories"
    fill(PAGE, "verdicts", "\n".join(table(study, environments, context, TrajectoryFolder.load(folder))))


if __name__ == "__main__":
    main()
