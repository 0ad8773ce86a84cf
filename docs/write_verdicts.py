"""How often `weightcast generate --frames` is wrong about whether frames fit, into docs/unknown-environments.md.

python docs/write_verdicts.py [results/lambda-omega]    after `make run`: three minutes of one core

Test trajectories of the study's own environments, seen in every way that frames may come in, and the same with what no
environment of the study does: time backwards or too fast, channels exchanged, one with its sign changed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from write_results import ROOT, fill

from weightcast.cli.errors import exit_on_input_error
from weightcast.core.environment_table import Environment, EnvironmentTable
from weightcast.environments.config.evaluation import ObservedCase
from weightcast.environments.config.load import load_study
from weightcast.environments.config.study import Study
from weightcast.environments.context import Context
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.frames_verdict import FramesVerdict
from weightcast.environments.observe import observe
from weightcast.environments.report.unknown import words_of

PAGE = ROOT / "docs" / "unknown-environments.md"
ROLES = ("visible", "interpolation", "extrapolation")
FRAMES = 10
EVERY = 3
"""Every how many of the study's environments is looked at."""
FAST = 4
"""Every how many frames are taken for consecutive ones."""

SEEN = (
    ObservedCase(frames=FRAMES),
    ObservedCase(frames=FRAMES, noise=0.05),
    ObservedCase(frames=FRAMES, noise=0.2),
    ObservedCase(frames=2),
    ObservedCase(frames=2, noise=0.05),
    ObservedCase(frames=2, noise=0.2),
    ObservedCase(frames=FRAMES, masked=0.25),
    ObservedCase(frames=FRAMES, masked=0.5),
    ObservedCase(frames=2, masked=0.5),
    ObservedCase(frames=FRAMES, every=2),
    ObservedCase(frames=FRAMES, every=4),
)
SEEN_OF_OTHERS = tuple(SEEN[place] for place in (0, 2, 7, 10, 3))
OTHERS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "time backwards": lambda frames: frames[:, :, :FRAMES].flip(2),
    "four times too fast": lambda frames: frames[:, :, ::FAST],
    "channels exchanged": lambda frames: frames.flip(3),
    "one channel's sign changed": lambda frames: torch.cat([frames[:, :, :, :1], -frames[:, :, :, 1:]], 3),
}
"""What no environment of the study does, of frames [environment, trajectory, frame, channel, y, x]."""


@dataclass(frozen=True)
class Judge:
    """What `weightcast generate --frames` would say.

    Attributes:
        study: whose data are read; of fields without inputs.
        context: its own.
        rows: environments.
    """

    study: Study
    context: Context
    rows: Sequence[Environment]

    def verdicts(self, frames: Tensor, case: ObservedCase) -> list[FramesVerdict]:
        """Of each environment's frames [environment, trajectory, frame, channel, y, x], physical units, as a case shows
        them."""
        shown = observe(frames, case, [row.id for row in self.rows], self.study.seed)
        return [FramesVerdict.of(self.context, self.context.infer(own[None]), own) for own in shown]

    def table(self, frames: Tensor) -> list[str]:
        """Markdown: how often frames were said to be outside of what the study knows."""
        lines = ["| frames of the study's own environments | visible | inside | outside |", "|---|---|---|---|"]
        for case in SEEN:
            found = list(zip(self.rows, self.verdicts(frames, case), strict=True))
            cells = [counted([one for row, one in found if row.role == role]) for role in ROLES]
            lines.append(f"| {words_of(case)} | {' | '.join(cells)} |")
            print(lines[-1], flush=True)
        lines += ["", f"| what none of them does | {' | '.join(map(words_of, SEEN_OF_OTHERS))} |"]
        lines.append("|---" * (1 + len(SEEN_OF_OTHERS)) + "|")
        for name, change in OTHERS.items():
            cells = [counted(self.verdicts(change(frames), case)) for case in SEEN_OF_OTHERS]
            lines.append(f"| {name} | {' | '.join(cells)} |")
            print(lines[-1], flush=True)
        return lines


def counted(found: Sequence[FramesVerdict]) -> str:
    """How many were said to fit nothing, and of how many it was said that it cannot be told."""
    outside, open_ = sum(not one.fits for one in found), sum(not one.judged for one in found)
    return f"{outside} of {len(found)}" + (f", {open_} not to be told" if open_ else "")


@exit_on_input_error()
def main() -> None:
    """Judge, and fill the page."""
    results = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "results" / "lambda-omega"
    study = load_study(results / "config.yaml")
    context = Context.load(results / "base" / "context.safetensors")
    environments = EnvironmentTable.load(results / "environments.csv")
    rows = [row for role in ROLES for row in [one for one in environments if one.role == role][::EVERY]]
    folder = TrajectoryFolder.load(results.parent.parent / "data" / study.study / "trajectories")
    frames = folder.read_roles(rows, study.data, "test", FAST * FRAMES, 1)
    fill(PAGE, "verdicts", "\n".join(Judge(study, context, rows).table(frames)))


if __name__ == "__main__":
    main()
