"""Read one environment's trajectories in a form that users have, check them, and write them in the pipeline's form."""

from __future__ import annotations

import argparse
from pathlib import Path

from weightcast.cli.errors import exit_on_input_error
from weightcast.core.environment_table import table_from_json
from weightcast.trajectories import read_npy_environment, read_trajectories, write_trajectories


@exit_on_input_error()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", required=True, type=Path, help="NetCDF or .npy file, or folder of .npy files")
    parser.add_argument(
        "--environments", required=True, type=table_from_json, metavar="JSON", help="its row of the table"
    )
    parser.add_argument("--channels", required=True, nargs="+")
    parser.add_argument("--grid", nargs=2, type=int, metavar=("Y", "X"), help="expected number of points")
    parser.add_argument("--frame-step", default=1.0, type=float, help="time between frames, for .npy")
    parser.add_argument("--minimum-frames", default=1, type=int)
    parser.add_argument("--minimum-trajectories", default=1, type=int)
    parser.add_argument("--output", required=True, type=Path, help="data/<study>/trajectories/<id>.nc")
    arguments = parser.parse_args()

    (environment,) = arguments.environments
    source, expected = (
        arguments.source,
        {
            "channels": arguments.channels,
            "grid": arguments.grid and tuple(arguments.grid),
            "environment": environment.id,
            "parameters": environment.parameters,
            "minimum_frames": arguments.minimum_frames,
            "minimum_trajectories": arguments.minimum_trajectories,
        },
    )
    if source.is_dir() or source.suffix == ".npy":
        trajectories = read_npy_environment(source, frame_step=arguments.frame_step, **expected)
    else:
        trajectories = read_trajectories(source, **expected)
    write_trajectories(arguments.output, trajectories)


if __name__ == "__main__":
    main()
