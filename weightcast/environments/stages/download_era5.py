"""The stage ``download_era5``: one month of ERA5 for one area, unless files that hold it are there already."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from weightcast.core.stage import stage
from weightcast.environments.jobs import DownloadEra5
from weightcast.era5.origins import obtain_from
from weightcast.era5.receipt import Receipt
from weightcast.era5.region import Area
from weightcast.era5.request import Request

if TYPE_CHECKING:
    from weightcast.core.run import Run

_log = logging.getLogger(__name__)


@stage("download_era5")
def download_era5(run: Run, settings: DownloadEra5) -> Receipt:
    """See that files hold the month, and write which ones.

    Raises:
        InputError: a file that is there cannot be used, or the download failed.
    """
    request = Request(
        month=settings.month,
        area=Area(*settings.area),
        spacing=settings.spacing,
        variables=settings.variables,
        archive_names=settings.archive_names,
        hours=settings.hours,
    )
    files, downloaded = obtain_from(settings.origin, settings.zarr_store, request, Path(settings.directory))
    _log.info("%s: %s %s", request.what, "downloaded" if downloaded else "there already:", ", ".join(map(str, files)))
    return Receipt(request, files, settings.generation)
