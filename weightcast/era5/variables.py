"""Single-level variables of ERA5: what they are called where, and their units."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from weightcast.core.errors import InputError

_ARCHIVE_NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,99}")


@dataclass(frozen=True)
class Variable:
    """One variable.

    Attributes:
        name: in NetCDF, and here.
        archive_name: in requests to the Climate Data Store and in the ARCO-ERA5 store; empty if it is in neither.
        grib_name: short name in GRIB.
        unit: as ECMWF writes it.
    """

    name: str
    archive_name: str
    grib_name: str
    unit: str


_TABLE = (
    Variable("u10", "10m_u_component_of_wind", "10u", "m s**-1"),
    Variable("v10", "10m_v_component_of_wind", "10v", "m s**-1"),
    Variable("u100", "100m_u_component_of_wind", "100u", "m s**-1"),
    Variable("v100", "100m_v_component_of_wind", "100v", "m s**-1"),
    Variable("u10n", "10m_u_component_of_neutral_wind", "u10n", "m s**-1"),
    Variable("v10n", "10m_v_component_of_neutral_wind", "v10n", "m s**-1"),
    Variable("ws10", "", "10si", "m s**-1"),
    Variable("ws100", "", "100si", "m s**-1"),
    Variable("ws10n", "", "ws10n", "m s**-1"),
    Variable("i10fg", "instantaneous_10m_wind_gust", "i10fg", "m s**-1"),
    Variable("zust", "friction_velocity", "zust", "m s**-1"),
    Variable("t2m", "2m_temperature", "2t", "K"),
    Variable("d2m", "2m_dewpoint_temperature", "2d", "K"),
    Variable("skt", "skin_temperature", "skt", "K"),
    Variable("sst", "sea_surface_temperature", "sst", "K"),
    Variable("msl", "mean_sea_level_pressure", "msl", "Pa"),
    Variable("sp", "surface_pressure", "sp", "Pa"),
    Variable("tcc", "total_cloud_cover", "tcc", "(0 - 1)"),
    Variable("siconc", "sea_ice_cover", "ci", "(0 - 1)"),
    Variable("lsm", "land_sea_mask", "lsm", "(0 - 1)"),
    Variable("z", "geopotential", "z", "m**2 s**-2"),
    Variable("fsr", "forecast_surface_roughness", "fsr", "m"),
    Variable("blh", "boundary_layer_height", "blh", "m"),
    Variable("cape", "convective_available_potential_energy", "cape", "J kg**-1"),
    Variable("tcw", "total_column_water", "tcw", "kg m**-2"),
    Variable("tcwv", "total_column_water_vapour", "tcwv", "kg m**-2"),
    Variable("tp", "total_precipitation", "tp", "m"),
    Variable("ssrd", "surface_solar_radiation_downwards", "ssrd", "J m**-2"),
    Variable("strd", "surface_thermal_radiation_downwards", "strd", "J m**-2"),
    Variable("sshf", "surface_sensible_heat_flux", "sshf", "J m**-2"),
    Variable("slhf", "surface_latent_heat_flux", "slhf", "J m**-2"),
)
VARIABLES = {variable.name: variable for variable in _TABLE}
SPEEDS = {("u10", "v10"): "ws10", ("u100", "v100"): "ws100", ("u10n", "v10n"): "ws10n"}
"""Wind speed, by its components."""


def aliases(name: str) -> tuple[str, ...]:
    """What the variable may be called in a file; its own name comes first."""
    known = VARIABLES.get(name)
    return tuple(filter(None, (name, known.archive_name, known.grib_name))) if known else (name,)


def archive_name(name: str, further: Mapping[str, str]) -> str:
    """The name of a variable in requests.

    Args:
        name: of the variable.
        further: names of variables that are not in the table here.

    Raises:
        InputError: it is in neither, or it is derived rather than archived; or a name is not a name.
    """
    known = VARIABLES.get(name)
    if name in further:
        if not _ARCHIVE_NAME.fullmatch(further[name]):
            raise InputError(
                f"settings of era5: archive_names.{name}: found {further[name]!r}, expected small letters, digits and "
                "'_', such as 2m_temperature"
            )
        return further[name]
    if known and known.archive_name:
        return known.archive_name
    components = next((pair for pair, speed in SPEEDS.items() if speed == name), None)
    if components:
        expected = f"{', '.join(components)} with wind_speed: true, since the archive holds components alone"
    else:
        archived = ", ".join(variable.name for variable in _TABLE if variable.archive_name)
        expected = f"one of {archived}, or its name in the archive as archive_names.{name}"
    raise InputError(f"settings of era5: variables: found {name!r}, expected {expected}")


def reduced_channels(variables: Sequence[str], wind_speed: bool) -> tuple[str, ...]:
    """The channels that are left when components of wind have become speeds, which take the place of the first of them.

    Raises:
        InputError: speeds are asked for and no pair of components is there.
    """
    if not wind_speed:
        return tuple(variables)
    pairs = {pair: speed for pair, speed in SPEEDS.items() if set(pair) <= set(variables)}
    if not pairs:
        expected = " or ".join(", ".join(pair) for pair in SPEEDS)
        raise InputError(
            f"settings of era5: wind_speed: found true with the variables {', '.join(variables)}, expected both "
            f"components of a wind among them: {expected}"
        )
    speed_of = {component: speed for pair, speed in pairs.items() for component in pair}
    return tuple(dict.fromkeys(speed_of.get(name, name) for name in variables))


def same_unit(found: str, expected: str) -> bool:
    """Whether two ways of writing a unit mean the same, as `m s**-1`, `m s-1` and `m/s` do."""
    return _factors(found) == _factors(expected)


def _factors(unit: str) -> dict[str, int]:
    """Exponent of each factor; a fraction has none."""
    if unit.strip() in ("(0 - 1)", "0 - 1", "0-1", "1", "~", "dimensionless", "fraction"):
        return {}
    numerator, *denominators = unit.replace("**", "").replace("^", "").split("/")
    exponents: dict[str, int] = {}
    for sign, part in [(1, numerator), *((-1, part) for part in denominators)]:
        for factor, exponent in re.findall(r"([A-Za-z_%°]+)\s*(-?\d+)?", part):
            exponents[factor] = exponents.get(factor, 0) + sign * int(exponent or 1)
    return exponents
