"""What is run: grids and profiles, as plain Python data. A file a notebook."""

from collections.abc import Collection

from labelnoise.config import Run, noisy, published
from labelnoise.config.protocols import MNIST_PROTOCOL
from labelnoise.experiments.benchmark import (
    benchmark_cifar10,
    benchmark_cnn,
    benchmark_headline,
    benchmark_mlp,
    benchmark_mr,
    benchmark_small,
    tuning,
    tuning_published,
)
from labelnoise.experiments.dmi import (
    dmi_cifar10,
    dmi_clean,
    dmi_cold,
    dmi_dogs,
    dmi_fashion,
    dmi_mr,
)
from labelnoise.experiments.human_noise import (
    human_clothes,
    human_clothes_cnn,
    human_counted,
    human_detectors,
    human_dmi,
    human_news,
    human_objects,
)
from labelnoise.experiments.mnist_symmetric import (
    CLL,
    CLL_CANDIDATES,
    CLL_FORMS,
    CLL_SIGMAS,
    SEEDS,
    SYMMETRIC_60,
    anl,
    ce_protocols,
    clean_labels,
    cll_choice,
    cll_map,
    cll_normalised,
    cll_points,
    cnn_losses,
    every_loss,
    first_page,
    headline,
    parity,
    robust_losses,
    setting_of,
    size_or_shape,
    step_decay_shape,
    step_decay_shape_mlp,
)  # fmt: skip
from labelnoise.experiments.model_the_noise import (
    assumed_flips,
    assumed_rates,
    clipping,
    detectors,
    early_stopping,
    estimated_matrices,
    fashion,
    own_labels,
    thirty_percent,
)  # fmt: skip
from labelnoise.experiments.robustness_theory import cll_start, ratio_sweep
from labelnoise.experiments.suspects import suspect_lists

__all__ = [  # what notebooks and tests find here besides the grids
    "CLL", "CLL_CANDIDATES", "CLL_FORMS", "CLL_SIGMAS", "GRIDS", "MNIST_PROTOCOL", "PROFILES",
    "SEEDS", "SYMMETRIC_60", "Run", "chosen", "first_page", "noisy", "profile_runs", "published",
    "setting_of",
]  # fmt: skip


def smoke() -> list[Run]:
    """Seconds: the headline in miniature, on scikit-learn's digits, so that it needs no network."""
    protocol = {**MNIST_PROTOCOL, "epochs": 2}
    return [
        Run("digits", SYMMETRIC_60, loss, "mlp", protocol, probe=("gradient",), subset=400)
        for loss in (published("mnist", "CE"), CLL)
    ]


GRIDS = {
    "headline": headline,
    "robust_losses": robust_losses,
    "cll_map": cll_map,
    "cll_points": cll_points,
    "cll_choice": cll_choice,
    "clean_labels": clean_labels,
    "ce_protocols": ce_protocols,
    "cll_normalised": cll_normalised,
    "every_loss": every_loss,
    "anl": anl,
    "ratio_sweep": ratio_sweep,
    "cll_start": cll_start,
    "cnn_losses": cnn_losses,
    "size_or_shape": size_or_shape,
    "thirty_percent": thirty_percent,
    "early_stopping": early_stopping,
    "clipping": clipping,
    "assumed_rates": assumed_rates,
    "estimated_matrices": estimated_matrices,
    "assumed_flips": assumed_flips,
    "own_labels": own_labels,
    "detectors": detectors,
    "fashion": fashion,
    "dmi_fashion": dmi_fashion,
    "dmi_cold": dmi_cold,
    "dmi_mr": dmi_mr,
    "dmi_clean": dmi_clean,
    "dmi_cifar10": dmi_cifar10,
    "dmi_dogs": dmi_dogs,
    "step_decay_shape": step_decay_shape,
    "step_decay_shape_mlp": step_decay_shape_mlp,
    "benchmark_headline": benchmark_headline,
    "benchmark_mlp": benchmark_mlp,
    "benchmark_mr": benchmark_mr,
    "benchmark_cnn": benchmark_cnn,
    "benchmark_cifar10": benchmark_cifar10,
    "benchmark_small": benchmark_small,
    "tuning": tuning,
    "tuning_published": tuning_published,
    "human_objects": human_objects,
    "human_clothes": human_clothes,
    "human_clothes_cnn": human_clothes_cnn,
    "human_news": human_news,
    "human_counted": human_counted,
    "human_dmi": human_dmi,
    "human_detectors": human_detectors,
    "suspect_lists": suspect_lists,
    "parity": parity,
    "smoke": smoke,
}


def cpu_full() -> list[Run]:
    """Every table that two cores can carry: all runs with the MLP or a linear head, and the
    headline."""
    real = [run for name, grid in GRIDS.items() if name != "smoke" for run in grid()]
    return headline(seeds=[0]) + [run for run in real if run.model in ("mlp", "linear")]


def gpu() -> list[Run]:
    """The headline at five seeds, the tables around CLL, and what asks after size and shape."""
    names = ("headline", "robust_losses", "cll_map", "cll_points", "cll_choice", "clean_labels",
             "ce_protocols", "cll_normalised", "cnn_losses", "size_or_shape", "early_stopping",
             "step_decay_shape", "step_decay_shape_mlp")  # fmt: skip
    return [run for name in names for run in GRIDS[name]()]


def paper() -> list[Run]:
    """Every run of every table whose data anybody can fetch."""
    left_out = ("smoke", "dmi_dogs")
    return [run for name, grid in GRIDS.items() if name not in left_out for run in grid()]


# Profile -> the runs that `make reproduce` really trains on this machine; the rest is replayed.
PROFILES = {
    "replay": list,
    "smoke": smoke,
    "headline": lambda: headline(seeds=[0]),
    "cpu-full": cpu_full,
    "gpu": gpu,
    "paper": paper,
}


def profile_runs(profile: str) -> list[Run]:
    """The runs of a profile, each once; ``ValueError`` lists the profiles if it is unknown."""
    if profile not in PROFILES:
        raise ValueError(f"profile {profile!r} is unknown; known: {', '.join(PROFILES)}")
    return list({run.key: run for run in PROFILES[profile]()}.values())


def chosen(parameter: str, value: object, recorded: Collection, grid: str) -> object:
    """``value`` if it is among the ``recorded`` choices of a notebook's parameter.

    Raises ``ValueError`` that says what is recorded, and where another choice is added to ``grid``
    and how it is trained.
    """
    if value in recorded:
        return value
    file = GRIDS[grid].__module__.replace(".", "/")
    raise ValueError(
        f"{parameter}={value!r} has no records; recorded are "
        f"{', '.join(map(repr, recorded))}. To have another one, add its runs to {grid} in "
        f"src/{file}.py, and train them: python -m labelnoise.runs.sweep {grid} --into results"
    )
