"""What can be said of a loss before any training: its formula and gradients (``formulas``,
``gradients``), what it promises under label noise (``robustness``), what to do about 30 % of wrong
labels (``model_the_noise``), and what L_DMI promises (``dmi``)."""

from labelnoise.theory.formulas import CLL_FORMULAS, sees_only_target
from labelnoise.theory.gradients import (
    Check,
    Rest,
    at_rest,
    by_autograd,
    by_finite_differences,
    check,
    dL_dp,
    dL_dz,
    mae_gap,
    pull_at_start,
    simplex,
    steepest_in_p,
    steepest_in_z,
    symbolic_rest,
    through_softmax,
    value,
    weight,
)
from labelnoise.theory.robustness import (
    Calibration,
    Range,
    asymmetry_ratio,
    calibration,
    class_sum,
    class_sum_range,
    cll_class_sum_range,
    error_bound,
    excess_risk,
    excess_risk_bound,
    lattice,
    of_every_label,
)

__all__ = [
    "CLL_FORMULAS", "Calibration", "Check", "Range", "Rest", "asymmetry_ratio", "at_rest",
    "by_autograd", "by_finite_differences", "calibration", "check", "class_sum",
    "class_sum_range", "cll_class_sum_range", "dL_dp", "dL_dz", "error_bound", "excess_risk",
    "excess_risk_bound", "lattice", "mae_gap", "of_every_label", "pull_at_start",
    "sees_only_target", "simplex", "steepest_in_p", "steepest_in_z", "symbolic_rest",
    "through_softmax", "value", "weight",
]  # fmt: skip
