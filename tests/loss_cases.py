"""What the tests of ``labelnoise.losses`` run over: every loss at the settings of the papers and at
others, and the batches that it is given."""

import functools
import math

import pytest
import torch

from labelnoise import losses
from labelnoise.losses import LOSSES, PUBLISHED

# In the tables of the papers, and what they leave out.
SETTINGS: dict[str, list[dict]] = {
    "CE": [{}],
    "FL": [{}, {"gamma": 0.0}, {"gamma": 2.0}, {"gamma": 2.0, "detach": True}],
    "GCE": [{}, {"q": 0.1}, {"q": 1.0}],
    "TaylorCE": [{}, {"order": 1}, {"order": 2}, {"order": 18}],
    "PHuberCE": [{}, {"tau": 2.0}, {"tau": 1.1}, {"tau": 50.0}],
    "ClippedCE": [{}, {"bound": 0.5}, {"bound": 2.5}],
    "LabelSmoothing": [{}, {"epsilon": 0.0}, {"epsilon": 0.9}, {"epsilon": -0.6}],
    "CE+LogitClip": [{"tau": t, "released": r} for r in (False, True) for t in (0.5, 1.0, 2.5)],
    "LDR-KL": [{}, {"lam": 1.0}, {"lam": 0.3}],
    "MAE": [{}],
    "RCE": [{}, {"A": -4.0}],
    "SCE": [{}, {"alpha": 0.1, "beta": 2.0, "A": -4.0}, {"alpha": 0.0}, {"beta": 0.0}],
    "NCE": [{}],
    "NFL": [{}, {"gamma": 0.0}, {"gamma": 2.0}, {"gamma": 2.0, "detach": True}],
    "NGCE": [{}, {"q": 0.1}, {"q": 1.0}],
    "NNCE": [{}, {"p_min": 0.01}, {"p_min": 1e-4}],
    "NCE+MAE": [{}, {"alpha": 0.3, "beta": 7.0}],
    "NCE+RCE": [{}, {"alpha": 0.0, "A": -4.0}],
    "NFL+RCE": [{}, {"gamma": 1.0, "beta": 0.0}, {"gamma": 2.0, "detach": True, "A": -4.0}],
    "ANL-CE": [{}, {"alpha": 5.0, "beta": 0.5, "p_min": 0.01}],
    "AGCE": [{"a": 1e-5, "q": 0.5}, {"a": 6.0, "q": 1.5}, {"a": 2.0, "q": 1.0}],
    "AUL": [{"a": 6.3, "q": 1.5}, {"a": 1.1, "q": 5.0}, {"a": 2.0, "q": 1.0}],
    "AEL": [{"a": 0.25}, {"a": 30.0}],
    "NCE+AGCE": [{"a": 0.6, "q": 0.6}],
    "NCE+AUL": [{"a": 3.0, "q": 0.1}],
    "NCE+AEL": [{"a": 2.5}],
    "GJS": [{}, {"pi": 0.1}, {"pi": 0.9}],
    "CE_eps+MAE": [{}, {"m": 0.0}, {"m": 1.0, "beta": 0.0}, {"alpha": 0.02, "beta": 5, "m": 1e3}],
    "MSE": [{}],
    "CLL": [
        {"sigma": sigma, "form": form, "normalise": normalise}
        for form in ("target", "vector", "elementwise")
        for normalise in (False, True)
        for sigma in (0.5, 0.2, 1.0, 3.0)
    ],
    "GeneralisedCLL": [{"alpha": a, "beta": b} for a, b in ((2.0, 0.7), (0.5, 2.0), (4.0, 0.5))],
    "MixtureCLL": [
        {"sigmas": [0.2], "weights": [1.0]},
        {"sigmas": [0.1, 0.5, 2.0], "weights": [0.2, 0.3, 0.5]},
    ],
}
for table in PUBLISHED.values():
    for name, entry in table.items():
        for setting in (entry["parameters"], entry.get("apl", {})):
            if setting not in SETTINGS[name] and setting:
                SETTINGS[name].append(setting)

EVERY = [(name, parameters) for name, settings in SETTINGS.items() for parameters in settings]
# One of each loss, and of CLL each form.
FEW = [(name, settings[0]) for name, settings in SETTINGS.items() if name != "CLL"] + [
    ("CLL", parameters) for parameters in SETTINGS["CLL"] if parameters["sigma"] == 0.5
]


def stops_a_gradient(parameters: dict) -> bool:
    """Whether a focal factor is held constant, as public code does."""
    return parameters.get("detach", False)


def names(case: object) -> str | None:
    if isinstance(case, dict):
        return ",".join(f"{k} {v}" for k, v in case.items()) or "default"
    return case if isinstance(case, str) else None


every = pytest.mark.parametrize(("name", "parameters"), EVERY, ids=names)
few = pytest.mark.parametrize(("name", "parameters"), FEW, ids=names)


@functools.cache
def drawn(B: int, K: int, spread: float, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(seed)
    logits = spread * torch.randn(B, K, dtype=torch.float64, generator=source)
    return logits, torch.randint(K, (B,), generator=source)


def batch(B: int = 24, K: int = 7, spread: float = 3.0, seed: int = 0):
    logits, targets = drawn(B, K, spread, seed)
    return logits.clone(), targets.clone()


def at(p_y: torch.Tensor | list[float], K: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits with the given p_y, the other K - 1 classes alike; the label is class 0."""
    p_y = torch.as_tensor(p_y, dtype=torch.float64)
    others = (torch.log1p(-p_y) - math.log(K - 1))[:, None].expand(-1, K - 1)
    return torch.cat([p_y.log()[:, None], others], dim=1), torch.zeros(len(p_y), dtype=torch.int64)


def of(name: str, reduction: str = "none", **parameters: object) -> losses.Loss:
    return LOSSES[name](**parameters, reduction=reduction)


def gradient(loss: losses.Loss, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    logits = logits.clone().requires_grad_()
    return torch.autograd.grad(loss(logits, targets).sum(), logits)[0]
