"""Downloads from the Climate Data Store, with the user's own key, by cdsapi."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from weightcast.core.errors import InputError
from weightcast.core.extras import how_to_install
from weightcast.era5.download import Retrieve
from weightcast.era5.request import DATASET, Request

NAME = "Climate Data Store"
URL = "https://cds.climate.copernicus.eu/api"
_KEY = (
    "expected your key in ~/.cdsapirc, as the lines 'url: https://cds.climate.copernicus.eu/api' and 'key: ...' that "
    "https://cds.climate.copernicus.eu/how-to-api shows once you are logged in (see docs/era5.md)"
)
_LICENCE = f"https://cds.climate.copernicus.eu/datasets/{DATASET}?tab=download#manage-licences"
# Waits between attempts, and between questions whether a queued request is done. cdsapi's own 500 attempts, two minutes
# apart, would have a job hang for most of a day when the network is gone.
_ATTEMPTS, _LONGEST_WAIT = 20, 60.0


class Client(Protocol):
    """The part of cdsapi's client that is used."""

    def retrieve(self, name: str, request: dict[str, Any], target: str) -> Any:
        """Wait for a request and download its result."""
        ...


def open_client() -> Client:
    """The client of the package cdsapi.

    Raises:
        InputError: cdsapi or a key is missing, or there is no network.
    """
    if find_spec("cdsapi") is None:
        raise InputError(f"{NAME}: found no Python package cdsapi, expected it installed: {how_to_install('era5')}")
    import requests
    from cdsapi.api import Client as CDSClient
    from cdsapi.api import get_url_key_verify

    try:
        url, key, verify = get_url_key_verify(None, None, None)
    except Exception as error:  # of no type of its own
        raise InputError(f"{NAME}: found no key ({_one_line(error)}), {_KEY}") from None
    if ":" in key:
        raise InputError(f"{NAME}: found a key of the form <UID>:<key>, which the store no longer takes, {_KEY}")
    try:
        # The client asks for the store's news as soon as it is made, and would repeat that for as long as it may.
        requests.head(url, timeout=30, verify=verify)
        client: Client = CDSClient(
            url, key, verify=verify, progress=False, retry_max=_ATTEMPTS, sleep_max=_LONGEST_WAIT
        )
    except Exception as error:
        raise InputError(explain(error)) from None
    return client


def retrieve_from(client: Client) -> Retrieve:
    """Download requests by a client."""

    def retrieve(request: Request, path: Path) -> None:
        try:
            client.retrieve(DATASET, request.for_climate_data_store(), str(path))
        except Exception as error:  # requests', cdsapi's and file errors have no other base in common
            raise InputError(f"{request.what}: {explain(error)}") from None

    return retrieve


def explain(error: Exception) -> str:
    """What went wrong and what to do, in one line."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    said = _one_line(error)
    if status == 401 or "401" in said.split():
        return f"{NAME}: found that it does not take the key ({said}), {_KEY}"
    if "licence" in said.lower() or "license" in said.lower():
        return f"{NAME}: found that the licence is not accepted yet, expected it accepted, once, at {_LICENCE}"
    if isinstance(error, OSError) and status is None:
        return _no_network(error)
    return f"{NAME}: found a failed request ({said}), expected data"


def _no_network(error: Exception) -> str:
    return (
        f"{NAME}: cannot be reached ({_one_line(error)}), expected a network, or files of your own in the folder of "
        "downloads (see docs/era5.md)"
    )


def _one_line(error: Exception) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:300]
