"""The methods that a study compares: their names as they stand in metrics.csv, and what to call them in print."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from weightcast.core.errors import InputError

Family = Literal["baseline", "reference", "generator"]
Knowledge = Literal["nothing", "frames", "parameters", "record"]

GENERATOR_PREFIX = "generator-"
DECODED_PREFIX = "decoded-"
"""Begins the name of an environment's own expert, encoded and decoded by the VAE of an arm."""
LATENT_REGRESSION_PREFIX = "latent-regression-"
ONE_PER_ENV_PREFIX = "one-per-env-"
AVERAGE_PREFIX = "average-"
"""Begins the name of the average of all experts of a base, in a study that begins from a published zoo."""
WEIGHTS_ONLY = "-weights-only"
"""Ends the name of an arm as it was before its training through the predictor."""
OBSERVED = "-observed"
"""Ends the name of a conditioned method that is not told the parameters, but shown a few frames."""
REFINED = "-refined"
"""Ends the name of an arm whose generated weights are moved to where they explain the observed frames best."""
CONTEXT = "context"
"""The predictor of the most probable code of an environment of which a few frames are known."""
ENSEMBLE = "-ensemble"
"""Ends the name of a method whose predictors are scored together, as one distribution."""
RETRIEVED, WEIGHTED_EXPERTS = "retrieved-expert", "weighted-experts" + ENSEMBLE
"""The visible environments' expert that a few frames speak for, and all of them weighted."""
CODE_ADAPTATION = "code-adaptation"
"""The context base without its prior: the code of least residual that is reached from the mean one."""
FINETUNE_PREFIX = "finetune-"
FINETUNE_LORA = FINETUNE_PREFIX + "lora"
IN_CONTEXT = "in-context"
"""A larger network that is shown the frames beside the state that it steps."""
EQUATIONS = "sparse-equations"
"""Polynomial equations whose coefficients are fitted to a few frames."""
AUTOREGRESSION, TREES = "autoregression", "trees"
"""Regressions of the next state, no networks: linear, and by gradient-boosted trees."""
OWN_PREFIX = "own-"
"""Begins the name of a regression that is fitted to the very environment's whole record."""
FLOW_PREFIX = "flow-"
PATH, PATH_ENSEMBLE, PATH_PARAMETERS = "path", "path" + ENSEMBLE, "path-parameters"
"""The path of weights of an environment's most probable code, paths of several codes scored together, and the path of
the code that the environment's parameters say."""
ENCODED_PATH, REFINED_PATH, REFINED_ENSEMBLE = "path-encoded", "path-refined", "path-refined" + ENSEMBLE
"""The path of the code that a network says which reads the shown samples; and what a short search from there finds."""
TOLD_PATH, POOLED_PATH, NEAREST_PATH, ALONE = "told-parameters", "pooled-path", "nearest-path", "alone"
"""A path that is told the true parameters, everybody's one path, that of a visible environment, and a density of the
shown samples alone."""
ZOO_PATH, ZOO_ENSEMBLE, ZOO_PARAMETERS = "path-zoo", "path-zoo" + ENSEMBLE, "path-zoo-parameters"
"""As the first three, of the principal components of experts' paths in the place of learned codes."""
ZOO_DIFFUSION, ZOO_DIFFUSION_ENSEMBLE = "path-zoo-diffusion", "path-zoo-diffusion" + ENSEMBLE
"""As the first two of these, under the prior that a diffusion of the experts' codes has learned."""
VAE_PATH, VAE_ENSEMBLE, VAE_PARAMETERS = "path-vae", "path-vae" + ENSEMBLE, "path-vae-parameters"
"""As the first three, of the codes of an autoencoder of the experts' paths."""
GENERATED_PATHS, GENERATED_PARAMETERS = "path-vae-generated", "path-vae-generated-parameters"
"""Paths of codes that a diffusion generates which is told of shown samples, or the parameters."""
GENERATED_REFINED, GENERATED_ENSEMBLE = "path-vae-generated-refined", "path-vae-generated-refined" + ENSEMBLE
"""What a short search finds from generated codes."""
PATH_EXPERT, DECODED_EXPERT = "path-expert", "path-expert-decoded"
"""The path of an expert of the very environment; the same, encoded and decoded by the autoencoder."""
TREND = "alone-trend"
"""The law of the shown samples alone, moved along a damped trend."""
DISPLACED, INTERPOLATED_PATH = "displaced-environments", "interpolated-path"
"""Samples, or learned paths, of visible environments, interpolated."""
CONDITIONAL_FLOW = "conditional-flow"
"""Samples that a velocity field carries which is told time and parameters."""
RATE_FIT = "rate-fit"
"""The simulated system itself, with rate constants fitted to the shown samples."""
SHOWN = "-shown-"
"""Stands between a method's name and the case of what it is shown, in a study of environments across time."""
SEASONAL_PERSISTENCE, SEASONAL_CLIMATOLOGY = "seasonal-persistence", "seasonal-climatology"
SEASONAL_NAIVE = "seasonal-naive"
"""What the very place had a season before."""
SKILL_FLOOR = ("persistence", "climatology", "damped-persistence", SEASONAL_PERSISTENCE, SEASONAL_CLIMATOLOGY)
"""Forecasts without any network: whoever is no better than these has no skill."""
OWN_FLOOR = tuple(
    OWN_PREFIX + name
    for name in ("climatology", "damped-persistence", SEASONAL_PERSISTENCE, SEASONAL_CLIMATOLOGY, SEASONAL_NAIVE)
)
"""The same of the very environment's whole record, which nobody has of a new one."""
_NOT_TOLD = (
    *SKILL_FLOOR,
    *("erm", "finetune-erm", "one-per-env-erm", "one-per-env-context", CONTEXT, CONTEXT + ENSEMBLE),
    *("average-erm", "average-conditioned"),
    *(RETRIEVED, WEIGHTED_EXPERTS, CODE_ADAPTATION, IN_CONTEXT, EQUATIONS),
    *(AUTOREGRESSION, TREES, OWN_PREFIX + AUTOREGRESSION, OWN_PREFIX + TREES, *OWN_FLOOR),
)
_REGRESSIONS = (AUTOREGRESSION, TREES)
_UNADAPTED = (*SKILL_FLOOR, "erm", "average-erm", "average-conditioned", AUTOREGRESSION, TREES)
"""The same everywhere: they are told nothing of an environment."""
_OF_STEPS = re.compile(rf"(finetune-.+{OBSERVED})-([1-9]\d*)")
"""Names of methods that are fine-tuned for a number of steps that nobody chose."""


@dataclass(frozen=True)
class Method:
    """One way from an environment to a forecast.

    Attributes:
        name: as in metrics.csv, for example ``polynomial-erm``.
        family: ``baseline`` (what a sceptic would try instead), ``reference`` (saw the very environment in training;
            a yardstick, not a rival) or ``generator`` (weights drawn from a learned p(weights | environment),
            or evolved in time).
        label: short name for tables and figures.
        description: what it is, in one line.
    """

    name: str
    family: Family
    label: str
    description: str

    @property
    def has_network(self) -> bool:
        """Whether there is a network in it at all."""
        regressed = self.name.removeprefix(OWN_PREFIX).removesuffix(OBSERVED) in _REGRESSIONS
        return self.name not in (*SKILL_FLOOR, *OWN_FLOOR) and not regressed

    @property
    def told_parameters(self) -> bool:
        """Whether a method across environments uses the parameters of the environment that it forecasts."""
        single = _chosen(self.name).removesuffix(ENSEMBLE).removesuffix(REFINED)
        return self.name not in _NOT_TOLD and not single.endswith(OBSERVED)

    @property
    def knows(self) -> Knowledge:
        """What a method across environments is given of the environment that it forecasts, beside a first frame."""
        if self.family == "reference":
            return "record"
        if self.told_parameters:
            return "parameters"
        return "nothing" if self.name in _UNADAPTED else "frames"


_KNOWN = (
    Method("erm", "baseline", "ERM", "one model trained on all visible environments pooled"),
    Method("film", "baseline", "FiLM", "one model conditioned on the environment's parameters by feature-wise scales"),
    Method("conditioned", "baseline", "Conditioned base", "FiLM or a low-rank map, as left-out environments chose"),
    Method("film-matched", "baseline", "FiLM, matched compute", "FiLM trained with the generator's whole compute"),
    Method("hypernetwork", "baseline", "Hypernetwork", "parameters to weights, trained through the predictor's error"),
    Method("average-erm", "baseline", "Average expert (ERM)", "the average of the visible environments' experts"),
    Method(
        "average-conditioned",
        "baseline",
        "Average expert (conditioned)",
        "the average of the visible environments' experts, from the conditioned base",
    ),
    Method("nearest-expert-erm", "baseline", "Nearest expert (ERM)", "expert of the nearest visible environment"),
    Method(
        "nearest-expert-conditioned",
        "baseline",
        "Nearest expert (conditioned)",
        "expert of the nearest visible environment, from the conditioned base",
    ),
    Method("polynomial-erm", "baseline", "Polynomial (ERM)", "polynomial regression of the experts' weights"),
    Method(
        "polynomial-conditioned",
        "baseline",
        "Polynomial (conditioned)",
        "polynomial regression of the experts' weights, from the conditioned base",
    ),
    Method(
        "gaussian-process-erm",
        "baseline",
        "Gaussian process (ERM)",
        "Gaussian-process regression of the experts' weights",
    ),
    Method(
        "gaussian-process-conditioned",
        "baseline",
        "Gaussian process (conditioned)",
        "Gaussian-process regression of the experts' weights, from the conditioned base",
    ),
    Method("finetune-erm", "baseline", "ERM, fine-tuned", "ERM fine-tuned on 10 observed frames of the environment"),
    Method("finetune-film", "baseline", "FiLM, fine-tuned", "FiLM fine-tuned on 10 observed frames of the environment"),
    Method(
        "finetune-conditioned",
        "baseline",
        "Conditioned base, fine-tuned",
        "the conditioned base fine-tuned on 10 observed frames of the environment",
    ),
    Method(
        RETRIEVED,
        "baseline",
        "Retrieved expert",
        "the visible environments' expert whose forecasts explain a few frames best",
    ),
    Method(
        WEIGHTED_EXPERTS,
        "baseline",
        "Weighted experts",
        "visible environments' experts, weighted by how well they explain a few frames and scored together",
    ),
    Method(
        CODE_ADAPTATION,
        "baseline",
        "Code adaptation alone",
        "the code of the context base that explains a few frames best, from the mean code, without prior or restarts",
    ),
    Method(
        "finetune-erm" + OBSERVED,
        "baseline",
        "ERM, fine-tuned on the frames",
        "ERM fine-tuned on the observed frames alone, steps and rate chosen on visible environments",
    ),
    Method(
        "finetune-film" + OBSERVED,
        "baseline",
        "FiLM, fine-tuned on the frames",
        "FiLM at the parameters inferred from the observed frames, fine-tuned on them",
    ),
    Method(
        "finetune-conditioned" + OBSERVED,
        "baseline",
        "Conditioned base, fine-tuned on the frames",
        "the conditioned base at the parameters inferred from the observed frames, fine-tuned on them",
    ),
    Method(
        FINETUNE_LORA + OBSERVED,
        "baseline",
        "ERM, LoRA on the frames",
        "ERM with a low-rank addition to each layer, fine-tuned on the observed frames alone",
    ),
    Method(
        IN_CONTEXT,
        "baseline",
        "In-context network",
        "a larger network, trained on all visible environments, that sees a few frames as further channels",
    ),
    Method(
        EQUATIONS,
        "baseline",
        "Sparse equations",
        "polynomial equations with the terms that visible environments need, coefficients refitted to a few frames",
    ),
    Method("persistence", "baseline", "Persistence", "the first frame, repeated; no network"),
    Method(
        "climatology", "baseline", "Climatology", "the mean of the visible environments' training frames; no network"
    ),
    Method(
        "damped-persistence",
        "baseline",
        "Damped persistence",
        "the first frame's anomaly, faded towards climatology by regression at every lag; no network",
    ),
    Method(
        SEASONAL_PERSISTENCE,
        "baseline",
        "Seasonal persistence",
        "the first frame, changed as the visible environments' climatology by season changes; no network",
    ),
    Method(
        SEASONAL_CLIMATOLOGY,
        "baseline",
        "Seasonal climatology",
        "the visible environments' harmonic mean by hour, weekday, season or cycle; no network",
    ),
    Method(
        AUTOREGRESSION,
        "baseline",
        "Autoregression",
        "linear regression of the next state on the present one, pooled over all visible environments; no network",
    ),
    Method(
        AUTOREGRESSION + OBSERVED,
        "baseline",
        "Autoregression, from frames",
        "the pooled linear autoregression, drawn to a few frames of the environment as far as served visible ones",
    ),
    Method(
        TREES,
        "baseline",
        "Boosted trees",
        "gradient-boosted trees from the present state to the next, pooled over all visible environments; no network",
    ),
    Method(
        TREES + OBSERVED,
        "baseline",
        "Boosted trees, from frames",
        "pooled gradient-boosted trees that are told mean and spread of a few frames of the environment",
    ),
    Method(
        CONTEXT,
        "generator",
        "From frames: most probable",
        "the predictor of the code that explains a few frames best, under the prior of learned codes",
    ),
    Method(
        CONTEXT + ENSEMBLE,
        "generator",
        "From frames: ensemble",
        "predictors of codes drawn from what a few frames leave open, scored together",
    ),
    Method(
        "one-per-env-erm",
        "reference",
        "One-per-Env (ERM)",
        "an expert trained on the very environment's trajectories, from the pooled base",
    ),
    Method(
        "one-per-env-conditioned",
        "reference",
        "One-per-Env (conditioned)",
        "an expert trained on the very environment's trajectories, from the conditioned base",
    ),
    Method(
        "one-per-env-context",
        "reference",
        "One-per-Env (context)",
        "an expert trained on the very environment's trajectories, from the weights of its code",
    ),
    Method(
        OWN_PREFIX + "climatology",
        "reference",
        "Climatology of its own",
        "the mean of the very environment's trajectories; no network",
    ),
    Method(
        OWN_PREFIX + "damped-persistence",
        "reference",
        "Damped persistence of its own",
        "the first frame's anomaly, faded towards the very environment's mean by regression at every lag; no network",
    ),
    Method(
        OWN_PREFIX + SEASONAL_PERSISTENCE,
        "reference",
        "Seasonal persistence of its own",
        "the first frame, changed as the very environment's climatology by season changes; no network",
    ),
    Method(
        OWN_PREFIX + SEASONAL_NAIVE,
        "reference",
        "Seasonal naive of its own",
        "what the very environment had at the same hour, weekday, season or place in the cycle the last time before; "
        "no network",
    ),
    Method(
        OWN_PREFIX + SEASONAL_CLIMATOLOGY,
        "reference",
        "Seasonal climatology of its own",
        "the harmonic mean by hour, weekday, season or cycle of the very environment's trajectories; no network",
    ),
    Method(
        OWN_PREFIX + AUTOREGRESSION,
        "reference",
        "Autoregression of its own",
        "linear autoregression fitted to the very environment's trajectories alone",
    ),
    Method(
        OWN_PREFIX + TREES,
        "reference",
        "Boosted trees of its own",
        "gradient-boosted trees fitted to the very environment's trajectories alone",
    ),
    Method(
        "displacement",
        "baseline",
        "Displacement interpolation",
        "samples of two snapshots, paired by optimal transport and moved in straight lines; no density",
    ),
    Method("flow-matching", "baseline", "OT-CFM", "a vector field that moves samples, by conditional flow matching"),
    Method("last-snapshot", "baseline", "Last snapshot kept", "samples of the last snapshot seen, at a later time"),
    Method(
        PATH,
        "generator",
        "Path of the most probable code",
        "the path of weights whose code explains the shown samples best, under the prior of visible codes",
    ),
    Method(
        PATH_ENSEMBLE,
        "generator",
        "Ensemble of paths",
        "paths of codes drawn from what the shown samples leave open, scored together",
    ),
    Method(
        ENCODED_PATH,
        "generator",
        "Path of the code that a network reads",
        "the path of weights of the code that a permutation-invariant network says for the shown samples, unrefined",
    ),
    Method(
        REFINED_PATH,
        "generator",
        "Path of the code that a network reads, refined",
        "the path of weights of the most probable code that a short search finds from what the network says",
    ),
    Method(
        REFINED_ENSEMBLE,
        "generator",
        "Ensemble of paths around the code that a network reads",
        "paths of codes drawn from what the shown samples leave open, around the refined code, scored together",
    ),
    Method(
        ZOO_PATH,
        "generator",
        "Zoo of paths",
        "the path of the most probable code, of the principal components of experts' paths, one a visible environment",
    ),
    Method(
        ZOO_ENSEMBLE,
        "generator",
        "Ensemble of the zoo of paths",
        "paths of codes of the zoo drawn from what the shown samples leave open, scored together",
    ),
    Method(
        ZOO_DIFFUSION,
        "generator",
        "Zoo of paths, diffusion",
        "the path of the zoo's most probable code, under the prior that a diffusion of experts' codes has learned",
    ),
    Method(
        ZOO_DIFFUSION_ENSEMBLE,
        "generator",
        "Ensemble of the zoo of paths, diffusion",
        "paths of codes of the zoo drawn under the diffusion's prior from what the shown samples leave open, scored "
        "together",
    ),
    Method(
        ZOO_PARAMETERS,
        "generator",
        "Zoo of paths, from parameters",
        "the path of the zoo's code that regression of the experts' codes says for the true parameters; no sample seen",
    ),
    Method(
        VAE_PATH,
        "generator",
        "Autoencoder of paths",
        "the path of the most probable code, of a variational autoencoder of experts' paths, one a visible environment",
    ),
    Method(
        VAE_ENSEMBLE,
        "generator",
        "Ensemble of the autoencoder of paths",
        "paths of the autoencoder's codes drawn from what the shown samples leave open, scored together",
    ),
    Method(
        VAE_PARAMETERS,
        "generator",
        "Autoencoder of paths, from parameters",
        "the path of the autoencoder's code that regression of the experts' codes says for the true parameters; no "
        "sample seen",
    ),
    Method(
        GENERATED_PATHS,
        "generator",
        "Generated paths",
        "paths that a diffusion of the autoencoder's codes generates, told what a network reads in the shown samples, "
        "scored together",
    ),
    Method(
        GENERATED_REFINED,
        "generator",
        "Generated path, refined",
        "the most probable path that a short search by the shown samples finds from generated ones",
    ),
    Method(
        GENERATED_ENSEMBLE,
        "generator",
        "Ensemble around generated paths",
        "paths of codes drawn from what the shown samples leave open, around the refined ones, scored together",
    ),
    Method(
        GENERATED_PARAMETERS,
        "generator",
        "Generated paths, from parameters",
        "paths that a diffusion of the autoencoder's codes generates, told the true parameters and no sample, scored "
        "together",
    ),
    Method(
        PATH_PARAMETERS,
        "generator",
        "Path, from parameters",
        "the path of weights of the code that regression of visible codes says for the true parameters; no sample seen",
    ),
    Method(
        POOLED_PATH,
        "baseline",
        "Pooled path",
        "one path of weights, trained on all visible environments together",
    ),
    Method(
        f"{NEAREST_PATH}-parameters",
        "baseline",
        "Nearest path, by parameters",
        "the learned path of the visible environment whose parameters are nearest",
    ),
    Method(
        f"{NEAREST_PATH}-likelihood",
        "baseline",
        "Nearest path, by likelihood",
        "the learned path of the visible environment that explains the shown samples best",
    ),
    *(
        Method(f"{name}-{by}", "baseline", f"{label}, by {by}", f"{what} of visible environments, {words}, {weighed}")
        for name, label, what, words in (
            (DISPLACED, "Displaced samples", "samples", "coupled by optimal transport and interpolated; no density"),
            (INTERPOLATED_PATH, "Interpolated paths", "learned paths of weights", "interpolated"),
        )
        for by, weighed in (
            ("parameters", "weighed by the parameters"),
            ("likelihood", "weighed such that the shown samples are likeliest"),
        )
    ),
    Method(
        CONDITIONAL_FLOW,
        "baseline",
        "MMFM, told parameters",
        "multi-marginal flow matching: a velocity field, told time and the true parameters, carries samples; from the "
        "first snapshot of the environment with the nearest parameters, or from the last samples shown; no density",
    ),
    Method(
        ALONE,
        "baseline",
        "Fitted to the shown alone",
        "a density fitted to the last shown snapshot alone, which then stays as it is",
    ),
    Method(
        TREND,
        "baseline",
        "Trend of the shown alone",
        "kernels on the shown samples alone, whose means and deviations go on from the last snapshot along a damped "
        "trend; how long it goes on visible environments say",
    ),
    Method(
        TOLD_PATH,
        "reference",
        "Told the true parameters",
        "one density conditioned on time and on the environment's true parameters, trained like the paths",
    ),
    Method(
        RATE_FIT,
        "reference",
        "Rates fitted, equations known",
        "the simulator itself: knows its equations and all constants but those in which environments differ, and fits "
        "these to the shown samples alone",
    ),
    Method(
        PATH_EXPERT,
        "reference",
        "Own expert's path",
        "the path of an expert that is trained on samples of all snapshots of the very environment",
    ),
    Method(
        DECODED_EXPERT,
        "reference",
        "Own expert's path, encoded, decoded",
        "the same path, encoded and decoded by the autoencoder of visible environments' experts",
    ),
    Method("sampling-floor", "reference", "Sampling floor", "independent samples of the truth itself"),
    Method("exact-law", "reference", "Exact law", "the simulated system's own law: its samples, and its density"),
)
METHODS: dict[str, Method] = {method.name: method for method in _KNOWN}
"""Every method but the arms of generators and flows, which a study names itself, and interpolations of weights, by
name and in the order of printing."""
_INTERPOLATIONS = {
    "linear": "Linear",
    "cubic": "Cubic spline",
    "pchip": "PCHIP",
    "nearest": "Nearest snapshot",
}
_LATENT: tuple[tuple[str, Family, str, str], ...] = (
    (
        DECODED_PREFIX,
        "reference",
        "Encoded, decoded",
        "an expert trained on the very environment's trajectories, encoded and decoded by the VAE of the arm '{arm}'",
    ),
    (
        LATENT_REGRESSION_PREFIX,
        "baseline",
        "Latent regression",
        "polynomial regression of the experts' latents, decoded by the VAE of the arm '{arm}'",
    ),
)
"""Methods that an arm's VAE makes without its diffusion: prefix, family, label, description."""
_ANCHORS = {
    "independent": "densities fitted to each snapshot alone",
    "aligned": "densities fitted one after the other, each from the one before",
    "joint": "densities fitted together with a penalty on their path",
    "bridged": "densities fitted together, also to bridged samples between the snapshots",
}


def method(name: str) -> Method:
    """Look a method up by its name in metrics.csv.

    Raises:
        InputError: no method has this name.
    """
    if name in METHODS:
        return METHODS[name]
    base, shown, case = name.partition(SHOWN)
    if shown and case and base in METHODS:
        single = METHODS[base]
        return Method(name, single.family, f"{single.label}, shown: {case}", f"{single.description}; case '{case}'")
    if name.endswith(OBSERVED + ENSEMBLE):
        single = method(name.removesuffix(ENSEMBLE))
        return Method(
            name, single.family, f"{single.label}: ensemble", f"{single.description}; several, scored together"
        )
    if name.endswith(OBSERVED + REFINED):
        generated = method(name.removesuffix(REFINED))
        words = f"{generated.description}; then moved along what the arm generates, to where they explain these best"
        return Method(name, generated.family, f"{generated.label}, refined", words)
    if (of_steps := _OF_STEPS.fullmatch(name)) is not None:
        tuned, steps = method(of_steps[1]), of_steps[2]
        words = f"{tuned.description.partition(', steps and rate')[0]}; {steps} steps"
        return Method(name, tuned.family, f"{tuned.label}, {steps} steps", words)
    if name.endswith(OBSERVED):
        told = method(name.removesuffix(OBSERVED))
        description = f"{told.description}; the environment is unknown but for observed frames"
        return Method(name, told.family, f"{told.label}, from frames", description)
    curve, _, anchors = name.partition("-")
    if curve in _INTERPOLATIONS and anchors in _ANCHORS:
        label = f"{_INTERPOLATIONS[curve]} ({anchors})"
        return Method(name, "baseline", label, f"interpolated weights of {_ANCHORS[anchors]}")
    for prefix, family, label, description in _LATENT:
        arm = name.removeprefix(prefix)
        if arm and arm != name:
            return Method(name, family, f"{label}: {arm}", description.format(arm=arm))
    arm = name.removeprefix(FLOW_PREFIX)
    if arm and arm != name:
        return Method(name, "generator", f"Flow: {arm}", f"weights evolved by the arm '{arm}'")
    arm = name.removeprefix(GENERATOR_PREFIX)
    if arm and arm != name:
        whole = arm.removesuffix(WEIGHTS_ONLY)
        if whole and whole != arm:
            return Method(
                name,
                "generator",
                f"Generated: {whole}, weights only",
                f"weights generated by the arm '{whole}' before its training through the predictor",
            )
        return Method(name, "generator", f"Generated: {arm}", f"weights generated by the arm '{arm}'")
    prefixes = (GENERATOR_PREFIX, DECODED_PREFIX, LATENT_REGRESSION_PREFIX, FLOW_PREFIX)
    known = ", ".join([*METHODS, *(f"{prefix}<arm>" for prefix in prefixes), "<interpolation>-<anchors>"])
    raise InputError(f"method: found '{name}', expected one of {known}")


def arm_of(name: str) -> str:
    """The arm whose generator makes the weights of a method, whatever is done with these: ``generator-<arm>...``."""
    arm = name.removeprefix(GENERATOR_PREFIX)
    for ending in (ENSEMBLE, REFINED, OBSERVED, WEIGHTS_ONLY):
        arm = arm.removesuffix(ending)
    return arm


def shown_as(name: str, case: str) -> str:
    """The name of a method that is shown samples of a new environment, in one of a study's cases."""
    return f"{name}{SHOWN}{case}"


def _chosen(name: str) -> str:
    """A method's name without the number of steps, where it is fine-tuned for one that nobody chose."""
    of_steps = _OF_STEPS.fullmatch(name)
    return name if of_steps is None else of_steps[1]


def printing_order(name: str) -> tuple[int, str]:
    """Sort key: baselines and references as listed in ``METHODS``, then the generator's arms by name."""
    known = name.partition(SHOWN)[0]
    position = list(METHODS).index(known) if known in METHODS else len(METHODS)
    return position, name
