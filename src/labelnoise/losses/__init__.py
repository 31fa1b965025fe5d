"""Every loss by the short name that the field's tables print."""

from collections.abc import Callable

from labelnoise.losses.asymmetric import AEL, AGCE, AUL
from labelnoise.losses.base import Loss, TargetLoss
from labelnoise.losses.combined import LogitClip, Sum, clipped, sum_of
from labelnoise.losses.correntropy import CLL, MSE, GeneralisedCLL, MixtureCLL
from labelnoise.losses.cross_entropy import (
    CE,
    FL,
    GCE,
    ClippedCE,
    LabelSmoothing,
    PHuberCE,
    TaylorCE,
)
from labelnoise.losses.divergence import GJS, LDRKL, CE_eps
from labelnoise.losses.published import PUBLISHED
from labelnoise.losses.symmetric import MAE, NCE, NFL, NGCE, NNCE, RCE, SCE

__all__ = [
    "AEL", "AGCE", "AUL", "CE", "CLL", "FL", "GCE", "GJS", "LDRKL", "LOSSES", "MAE", "MSE", "NCE",
    "NFL", "NGCE", "NNCE", "PUBLISHED", "RCE", "SCE", "CE_eps", "ClippedCE", "GeneralisedCLL",
    "LabelSmoothing", "LogitClip", "Loss", "MixtureCLL", "PHuberCE", "Sum", "TargetLoss",
    "TaylorCE", "build", "clipped", "sum_of",
]  # fmt: skip

LOSSES: dict[str, Callable[..., Loss]] = {
    "CE": CE,
    "FL": FL,
    "GCE": GCE,
    "TaylorCE": TaylorCE,
    "PHuberCE": PHuberCE,
    "ClippedCE": ClippedCE,
    "LabelSmoothing": LabelSmoothing,
    "CE+LogitClip": clipped(CE),
    "LDR-KL": LDRKL,
    "MAE": MAE,
    "RCE": RCE,
    "SCE": SCE,
    "NCE": NCE,
    "NFL": NFL,
    "NGCE": NGCE,
    "NNCE": NNCE,
    "NCE+MAE": sum_of(NCE, MAE),
    "NCE+RCE": sum_of(NCE, RCE),
    "NFL+RCE": sum_of(NFL, RCE),
    "ANL-CE": sum_of(NCE, NNCE, name="ANL-CE"),
    "AGCE": AGCE,
    "AUL": AUL,
    "AEL": AEL,
    "NCE+AGCE": sum_of(NCE, AGCE),
    "NCE+AUL": sum_of(NCE, AUL),
    "NCE+AEL": sum_of(NCE, AEL),
    "GJS": GJS,
    "CE_eps+MAE": sum_of(CE_eps, MAE),
    "MSE": MSE,
    "CLL": CLL,
    "GeneralisedCLL": GeneralisedCLL,
    "MixtureCLL": MixtureCLL,
}


def build(name: str, **parameters: object) -> Loss:
    """The loss ``name`` with its hyper-parameters; ``ValueError`` lists what is known."""
    if name not in LOSSES:
        raise ValueError(f"loss {name!r} is unknown; known: {', '.join(LOSSES)}")
    try:
        return LOSSES[name](**parameters)
    except TypeError as error:
        raise ValueError(f"loss {name}: {error}") from None
