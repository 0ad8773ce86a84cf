"""Download one month of ERA5 for one area, unless files that hold it are there already, and write a receipt."""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from typing import get_args

from weightcast.cli.errors import exit_on_input_error
from weightcast.core.run import Run
from weightcast.environments.jobs import DownloadEra5
from weightcast.environments.stages.download_era5 import download_era5
from weightcast.era5.settings import ARCO_ERA5, Origin
from weightcast.era5.variables import archive_name

ORIGINS = [origin for origin in get_args(Origin) if origin != "none"]


@exit_on_input_error()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--month", required=True, help="such as 2020-01")
    parser.add_argument("--area", required=True, nargs=4, type=float, metavar=("NORTH", "WEST", "SOUTH", "EAST"))
    parser.add_argument("--spacing", default=0.25, type=float, help="degrees between the points that are needed")
    parser.add_argument("--variables", default=["u10", "v10"], nargs="+", help="names in NetCDF")
    parser.add_argument("--archive-names", default="{}", type=json.loads, metavar="JSON", help="of further variables")
    parser.add_argument("--hours", default=list(range(24)), nargs="+", type=int, choices=range(24), metavar="HOUR")
    parser.add_argument("--origin", default="climate-data-store", choices=ORIGINS)
    parser.add_argument("--zarr-store", default=ARCO_ERA5, metavar="ADDRESS")
    parser.add_argument("--directory", default=Path("data/era5"), type=Path)
    parser.add_argument("--receipt", required=True, type=Path)
    parser.add_argument("--generation", default=0, type=int, help="written to the receipt")
    arguments = parser.parse_args()

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    settings = DownloadEra5(
        month=arguments.month,
        area=tuple(arguments.area),
        spacing=arguments.spacing,
        variables=tuple(arguments.variables),
        archive_names=tuple(archive_name(name, arguments.archive_names) for name in arguments.variables),
        hours=tuple(sorted(set(arguments.hours))),
        origin=arguments.origin,
        zarr_store=arguments.zarr_store,
        directory=str(arguments.directory),
        generation=arguments.generation,
    )
    download_era5(Run(), settings).save(arguments.receipt)


if __name__ == "__main__":
    main()
