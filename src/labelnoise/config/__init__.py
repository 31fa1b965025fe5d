"""What one training is asked to do, checked before it trains: a ``Run``, with its noise, loss and
method."""

from labelnoise.config.loss import Estimated, LossSetting, loss_setting, published
from labelnoise.config.methods import (
    METHODS,
    CrossValidation,
    Method,
    Pruned,
    SuspectList,
    WarmStart,
    method,
)
from labelnoise.config.noise import HUMAN_SETS, KINDS, Noise, noisy
from labelnoise.config.run import PROBES, Recipe, Run, config_key, inputs

__all__ = [
    "HUMAN_SETS", "KINDS", "METHODS", "PROBES", "CrossValidation", "Estimated", "LossSetting",
    "Method", "Noise", "Pruned", "Recipe", "Run", "SuspectList", "WarmStart", "config_key",
    "inputs", "loss_setting", "method", "noisy", "published",
]  # fmt: skip
