"""What is observed of environments: as much, as noisy and as full of gaps as a case says."""

from __future__ import annotations

import pytest
import torch
from refusals import refused
from tiny_study import default_config

from weightcast.core.draws import Draws
from weightcast.environments.config.evaluation import ObservedCase
from weightcast.environments.config.load import parse_study
from weightcast.environments.observe import observe

IDS = ["a", "b", "c"]


@pytest.fixture
def frames() -> torch.Tensor:
    """Fields of two channels of which the second is ten times as large."""
    fields = Draws("cpu", "frames").normal(3, 2, 6, 2, 12, 16)
    return fields * torch.tensor([1.0, 10.0])[:, None, None]


def test_clean_frames_are_the_first_ones_of_the_first_trajectory(frames) -> None:
    assert torch.equal(observe(frames, ObservedCase(frames=4), IDS, 0), frames[:, :1, :4])


def test_frames_of_several_trajectories(frames) -> None:
    case = ObservedCase(frames=4, trajectories=2)
    assert torch.equal(observe(frames, case, IDS, 0), frames[:, :, :4])
    assert (case.name, case.all_frames) == ("4-frames-of-2", 8)
    noisy = observe(frames, case.model_copy(update={"noise": 0.1}), IDS, 0) - frames[:, :, :4]
    assert float(torch.corrcoef(noisy.movedim(1, 0).flatten(1))[0, 1]) < 0.1  # of each its own


def test_more_trajectories_than_there_are_to_train() -> None:
    config = default_config()
    config["evaluation"]["observed"][1]["trajectories"] = 16
    assert "trajectories" not in parse_study(config).evaluation.observed[0].model_dump()
    config["evaluation"]["observed"][1]["trajectories"] = 17
    with refused("evaluation.observed.1.trajectories: found 17", "at most 16"):
        parse_study(config)


def test_noise_has_the_stated_size(frames) -> None:
    """Relative to the standard deviation of each channel of the environment's own frames."""
    off = observe(frames, ObservedCase(frames=6, noise=0.2), IDS, 0) - frames[:, :1]
    size = off.movedim(3, 0).flatten(1).std(1)
    torch.testing.assert_close(size, torch.tensor([0.2, 2.0]), rtol=0.05, atol=0.0)
    first, second = off[0].flatten(), off[1].flatten()
    assert abs(float(torch.corrcoef(torch.stack([first, second]))[0, 1])) < 0.1


@pytest.mark.parametrize(("masked", "share"), [(0.5, 0.5), (0.25, 0.25), (0.01, 1 / 16), (0.99, 15 / 16)])
def test_masks_hide_a_block_of_the_stated_share(frames, masked, share) -> None:
    shown = observe(frames, ObservedCase(frames=3, masked=masked), IDS, 0)
    hidden = torch.isnan(shown)
    assert float(hidden.float().mean()) == pytest.approx(share)
    assert torch.equal(hidden, hidden[:, :, :1, :1, :1].expand_as(hidden))  # columns, the same in all frames
    for row in hidden[:, 0, 0, 0, 0]:
        assert int((row != row.roll(1)).sum()) == 2  # one block, on the circle


def test_every_so_many_th_point_is_seen(frames) -> None:
    shown = observe(frames, ObservedCase(frames=2, every=4), IDS, 0)
    seen = torch.isfinite(shown)
    assert float(seen.float().mean()) == 1 / 16
    assert seen[..., ::4, ::4].all()


def test_components_of_a_state_are_hidden_whole() -> None:
    states = Draws("cpu", "states").normal(3, 1, 5, 4, 1, 1)
    hidden = torch.isnan(observe(states, ObservedCase(frames=5, masked=0.5), IDS, 0))[:, 0, :, :, 0, 0]
    assert (hidden[:, 0].sum(1) == 2).all() and torch.equal(hidden, hidden[:, :1].expand_as(hidden))
    nearly_all = observe(states, ObservedCase(frames=5, masked=0.99), IDS, 0)
    assert torch.isfinite(nearly_all).any(3).all()


def test_what_is_drawn_for_an_environment_depends_on_no_other(frames) -> None:
    case = ObservedCase(frames=4, noise=0.1, masked=0.3)
    together = observe(frames, case, IDS, 5)
    alone = observe(frames[1:2], case, ["b"], 5)
    reordered = observe(frames[[2, 0, 1]], case, ["c", "a", "b"], 5)
    torch.testing.assert_close(together[1:2], alone, rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(reordered, together[[2, 0, 1]], rtol=0, atol=0, equal_nan=True)
    assert not torch.equal(torch.nan_to_num(observe(frames, case, IDS, 6)), torch.nan_to_num(together))
