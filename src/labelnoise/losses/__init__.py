"""Every loss by the short name that the field's tables print. ``LOSSES`` need logits and labels and
no more; ``CORRECTIONS`` model the noise, or look at a whole batch.

A file is a family. At its end stand its ``FAMILY`` (the name), its ``LOSSES`` (name -> constructor)
and its ``PUBLISHED`` (name -> data set -> setting); here they are put together. To add a loss is to
write it there, in ``__all__`` and ``LOSSES`` of its file.
"""

from collections.abc import Callable

from labelnoise.losses import (
    asymmetric,
    correntropy,
    cross_entropy,
    divergence,
    linear,
    normalised,
    published,
)
from labelnoise.losses.asymmetric import *
from labelnoise.losses.base import Loss, TargetLoss
from labelnoise.losses.combined import LogitClip, Sum, clipped, sum_of
from labelnoise.losses.correction import Backward, Bootstrap, Forward, Mixture
from labelnoise.losses.correntropy import *
from labelnoise.losses.cross_entropy import *
from labelnoise.losses.divergence import *
from labelnoise.losses.dmi import DMI
from labelnoise.losses.linear import *
from labelnoise.losses.normalised import *

FILES = (cross_entropy, linear, normalised, asymmetric, divergence, correntropy)

__all__ = [
    "CORRECTIONS", "DMI", "FAMILIES", "LOSSES", "PUBLISHED", "Backward", "Bootstrap", "Forward",
    "LogitClip", "Loss", "Mixture", "Sum", "TargetLoss", "build", "clipped", "sum_of",
    *asymmetric.__all__, *correntropy.__all__, *cross_entropy.__all__, *divergence.__all__,
    *linear.__all__, *normalised.__all__,
]  # fmt: skip

LOSSES: dict[str, Callable[..., Loss]] = {
    name: loss for file in FILES for name, loss in file.LOSSES.items()
}

FAMILIES: dict[str, tuple[str, ...]] = {file.FAMILY: tuple(file.LOSSES) for file in FILES}

# Where a table lists the losses as PUBLISHED does, these come first, and then the others by family.
LISTED_FIRST = (
    "CE", "MAE", "MSE", "RCE", "FL", "NFL", "NCE", "TaylorCE", "PHuberCE", "ClippedCE",
    "LabelSmoothing", "CE+LogitClip", "NNCE", "GJS", "CE_eps+MAE", "LDR-KL", "GeneralisedCLL",
    "MixtureCLL",
)  # fmt: skip

_settings = {name: found for file in FILES for name, found in file.PUBLISHED.items()}

PUBLISHED: dict[str, dict[str, dict]] = {
    dataset: {
        name: _settings[name][dataset]
        for name in dict.fromkeys([*LISTED_FIRST, *_settings])
        if dataset in _settings[name]
    }
    for dataset in published.DATASETS
}

# They are told the noise (Mixture, Forward, Backward), trust the network in its place (Bootstrap),
# or measure a whole batch (DMI), so that no grid over LOSSES can run them alike.
CORRECTIONS: dict[str, Callable[..., Loss]] = {
    "Mixture": Mixture,
    "Forward": Forward,
    "Backward": Backward,
    "Bootstrap": Bootstrap,
    "DMI": DMI,
}


def build(name: str, **parameters: object) -> Loss:
    """The loss ``name`` of ``LOSSES`` or ``CORRECTIONS`` with its hyper-parameters; ``ValueError``
    lists what is known."""
    known = LOSSES | CORRECTIONS
    if name not in known:
        raise ValueError(f"loss {name!r} is unknown; known: {', '.join(known)}")
    try:
        return known[name](**parameters)
    except TypeError as error:
        raise ValueError(f"loss {name}: {error}") from None
