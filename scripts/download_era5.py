"""Download one month of ERA5 for one area, unless files that hold it are there already, and write a receipt."""

from __future__ import annotations

import argparse
import json
import logging
from contextlib import ExitStack
from pathlib import Path
from typing import get_args

from weightcast.cli.errors import exit_on_input_error
from weightcast.era5 import climate_data_store, zarr_store
from weightcast.era5.download import Retrieve, obtain
from weightcast.era5.receipt import write_receipt
from weightcast.era5.region import Area
from weightcast.era5.request import Request
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
    request = Request(
        month=arguments.month,
        area=Area(*arguments.area),
        spacing=arguments.spacing,
        variables=tuple(arguments.variables),
        archive_names=tuple(archive_name(name, arguments.archive_names) for name in arguments.variables),
        hours=tuple(sorted(set(arguments.hours))),
    )
    with ExitStack() as stack:

        def retrieve() -> Retrieve:
            """Opened only if something is missing: with the user's own files neither key nor network is needed."""
            if arguments.origin == "zarr-store":
                return zarr_store.retrieve_from(stack.enter_context(zarr_store.open_store(arguments.zarr_store)))
            return climate_data_store.retrieve_from(climate_data_store.open_client())

        files, downloaded = obtain(request, arguments.directory, retrieve)
    write_receipt(arguments.receipt, request, files, arguments.generation)
    logging.info(
        "%s: %s %s", request.what, "downloaded" if downloaded else "there already:", ", ".join(map(str, files))
    )


if __name__ == "__main__":
    main()
