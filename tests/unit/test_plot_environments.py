from __future__ import annotations

from dataclasses import replace

import numpy as np

from weightcast.environments.plots.environments import FRAMES, plot_environments
from weightcast.trajectories.record import Trajectories


def trajectories(parameter: float, size: int, channels: tuple[str, ...]) -> Trajectories:
    values = np.random.default_rng(0).standard_normal((2, 9, len(channels), size, size)) * parameter
    grid = np.arange(size, dtype=float)
    return Trajectories(
        values.astype(np.float32), channels, 0.5 * np.arange(9), grid, grid, f"{parameter}", {"strength": parameter}
    )


def test_fields_are_drawn_as_pictures_on_one_scale() -> None:
    figure = plot_environments([trajectories(strength, 8, ("u", "v")) for strength in (1.0, 2.0, 3.0)])
    pictures = [axes for axes in figure.axes if axes.images]
    assert len(pictures) == 3 * FRAMES
    assert len({axes.images[0].get_clim() for axes in pictures}) == 1
    assert [axes.get_ylabel() for axes in pictures[::FRAMES]] == ["strength = 1", "strength = 2", "strength = 3"]
    assert [axes.get_title("left") for axes in pictures[:FRAMES]][::5] == ["t = 0", "t = 4"]


def test_an_environment_without_parameters_is_named_by_its_id() -> None:
    shown = [replace(trajectories(strength, 8, ("u",)), parameters={}) for strength in (1.0, 2.0)]
    figure = plot_environments(shown)
    assert [axes.get_ylabel() for axes in figure.axes if axes.images][::FRAMES][:2] == ["1.0", "2.0"]


def test_a_state_on_a_single_point_is_drawn_as_lines() -> None:
    shown = [trajectories(strength, 1, ("prey", "predator")) for strength in (1.0, 2.0)]
    figure = plot_environments(shown)
    assert [axes.get_title("left") for axes in figure.axes] == ["strength = 1", "strength = 2"]
    for axes, part in zip(figure.axes, shown, strict=True):
        prey, predator = axes.lines
        np.testing.assert_array_equal(prey.get_ydata(), part.values[0, :, 0, 0, 0])
        np.testing.assert_array_equal(predator.get_ydata(), part.values[0, :, 1, 0, 0])
