"""Every loss by the short name that the field's tables print, and the published settings."""

from collections.abc import Callable

from labelnoise.losses.base import Loss, TargetLoss
from labelnoise.losses.correntropy import CLL
from labelnoise.losses.cross_entropy import CE, GCE
from labelnoise.losses.symmetric import MAE, SCE

__all__ = ["CE", "CLL", "GCE", "LOSSES", "MAE", "PUBLISHED", "SCE", "Loss", "TargetLoss", "build"]

LOSSES: dict[str, Callable[..., Loss]] = {"CE": CE, "MAE": MAE, "GCE": GCE, "SCE": SCE, "CLL": CLL}

# Hyper-parameters of the published protocols, each with its source. CLL's are not public: see
# experiments.CLL_CANDIDATES for how ours are chosen.
_ALFS = "ALFs, hitcszx/ALFs lnl/config.py"
PUBLISHED: dict[str, dict[str, dict]] = {
    "mnist": {
        "CE": {"parameters": {}, "source": _ALFS},
        "MAE": {"parameters": {}, "source": f"{_ALFS} (2 (1 - p_y); APL's code has half of it)"},
        "GCE": {"parameters": {"q": 0.7}, "source": _ALFS},
        "SCE": {
            "parameters": {"alpha": 1.0, "beta": 1.0},
            "source": f"{_ALFS} (APL's configs have 0.01, 1)",
        },
    }
}


def build(name: str, **parameters: object) -> Loss:
    """The loss ``name`` with its hyper-parameters; ``ValueError`` lists what is known."""
    if name not in LOSSES:
        raise ValueError(f"loss {name!r} is unknown; known: {', '.join(LOSSES)}")
    try:
        return LOSSES[name](**parameters)
    except TypeError as error:
        raise ValueError(f"loss {name}: {error}") from None
