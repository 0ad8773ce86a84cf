"""Where ERA5 comes from: the Climate Data Store or a public Zarr store, by name."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from weightcast.era5 import climate_data_store, zarr_store
from weightcast.era5.download import Retrieve, obtain
from weightcast.era5.request import Request


def obtain_from(origin: str, store: str, request: Request, directory: Path) -> tuple[list[Path], bool]:
    """Make sure that the files of a folder hold a request; what is missing comes from an origin.

    Args:
        origin: ``zarr-store`` or ``climate-data-store``; opened only if something is missing: with the user's own files
            neither key nor network is needed.
        store: address of the Zarr store.
        request: month, area, variables and hours.
        directory: see :func:`weightcast.era5.download.obtain`.

    Returns:
        the files that hold it; whether one of them was downloaded just now.

    Raises:
        InputError: a file that is there cannot be used, or the download failed.
    """
    with ExitStack() as stack:

        def retrieve() -> Retrieve:
            if origin == "zarr-store":
                return zarr_store.retrieve_from(stack.enter_context(zarr_store.open_store(store)))
            return climate_data_store.retrieve_from(climate_data_store.open_client())

        return obtain(request, directory, retrieve)
