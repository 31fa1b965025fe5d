"""Every loss by the short name that the field's tables print. ``LOSSES`` need logits and labels and
no more; ``CORRECTIONS`` model the noise, or look at a whole batch."""

from collections.abc import Callable

from labelnoise.losses.asymmetric import AEL, AGCE, AUL
from labelnoise.losses.base import Loss, TargetLoss
from labelnoise.losses.combined import LogitClip, Sum, clipped, sum_of
from labelnoise.losses.correction import Backward, Bootstrap, Forward, Mixture
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
from labelnoise.losses.dmi import DMI
from labelnoise.losses.published import PUBLISHED
from labelnoise.losses.symmetric import MAE, NCE, NFL, NGCE, NNCE, RCE, SCE

__all__ = [
    "AEL", "AGCE", "AUL", "CE", "CLL", "CORRECTIONS", "DMI", "FL", "GCE", "GJS", "LDRKL", "LOSSES",
    "MAE", "MSE", "NCE", "NFL", "NGCE", "NNCE", "PUBLISHED", "RCE", "SCE", "Backward", "Bootstrap",
    "CE_eps", "ClippedCE", "Forward", "GeneralisedCLL", "LabelSmoothing", "LogitClip", "Loss",
    "Mixture", "MixtureCLL", "PHuberCE", "Sum", "TargetLoss", "TaylorCE", "build", "clipped",
    "sum_of",
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
