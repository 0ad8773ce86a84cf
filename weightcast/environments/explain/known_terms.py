"""The true equations of a system that knows them, to compare distilled ones with.

A system knows its equations if its `System` has `terms`: a function (parameters of an environment, settings as a
mapping) -> {equation: {term: coefficient}}. Equations are named by channels; a term is a product of powers of channels
like ``prey predator`` or ``prey^2``, in any order, or ``1``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from weightcast.core.environment_table import Environment
from weightcast.environments.explain.term_names import ordered_term
from weightcast.systems import SYSTEM_NAMES, load_system

Equations = dict[str, dict[str, float]]


def known_terms(
    source: str, environment: Environment, settings: Mapping[str, Any], channels: Sequence[str]
) -> Equations | None:
    """True coefficients of an environment, by equation and term, with the terms named as `Monomials` names them.

    Args:
        source: of the study's data: a system, or the kind of the user's own files.
        environment: with its parameters.
        settings: of the system.
        channels: of the study, in its order.

    Returns:
        The equations; None where nobody knows them, or where the study leaves out a channel that they need.
    """
    system = load_system(source) if source in SYSTEM_NAMES else None
    if system is None or system.terms is None or set(channels) != set(system.channels):
        return None
    return {
        equation: {ordered_term(term, channels): float(value) for term, value in of_equation.items()}
        for equation, of_equation in system.terms(environment.parameters, settings).items()
    }
