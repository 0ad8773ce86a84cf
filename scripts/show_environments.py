"""Draw true trajectories of a few environments side by side."""

from __future__ import annotations

import argparse
from pathlib import Path

from weightcast.cli.errors import exit_on_input_error
from weightcast.core.files import written_whole
from weightcast.core.plots.export import render_png
from weightcast.environments.plots.environments import plot_environments
from weightcast.trajectories import read_trajectories


@exit_on_input_error()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trajectories", nargs="+", type=Path, help="NetCDF, one an environment")
    parser.add_argument("--channels", required=True, nargs="+", help="the first is drawn")
    parser.add_argument("--output", required=True, type=Path, help="PNG")
    arguments = parser.parse_args()

    shown = [read_trajectories(path, channels=arguments.channels) for path in arguments.trajectories]
    with written_whole(arguments.output) as partial:
        partial.write_bytes(render_png(plot_environments(shown), density=1.25))


if __name__ == "__main__":
    main()
