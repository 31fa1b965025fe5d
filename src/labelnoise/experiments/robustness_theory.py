"""The grids of notebook 04: which theory predicts who learns through the noise."""

from labelnoise.config import Run, loss_setting
from labelnoise.config.protocols import MNIST_PROTOCOL
from labelnoise.experiments.mnist_symmetric import mnist


def ratio_sweep() -> list[Run]:
    """Losses of p_y whose asymmetry ratio is moved by their parameter, with the MLP, one seed.

    With the losses of p_y in ``every_loss`` they test what ALFs claims, that a higher asymmetry
    ratio means a better tolerance; judged by ``rules/robustness_theory.py``.
    """
    moved = (
        *(("AEL", {"a": a}) for a in (0.25, 0.5, 1.0)),
        *(("AGCE", {"a": a, "q": 0.2}) for a in (0.1, 0.5, 1.0)),
        *(("AUL", {"a": a, "q": 3.0}) for a in (1.2, 2.0, 5.5)),
        *(("GCE", {"q": q}) for q in (0.3, 0.9)),
        *(("TaylorCE", {"order": order}) for order in (2, 20)),
        *(("PHuberCE", {"tau": tau}) for tau in (2.0, 4.0)),
        *(("GeneralisedCLL", {"alpha": 1.0, "beta": b}) for b in (0.25, 0.5)),
    )
    return [mnist(loss_setting(name, **parameters), model="mlp") for name, parameters in moved]


def cll_start() -> list[Run]:
    """CLL ``target`` where training begins to fail, with the MLP, one seed: a finer walk over
    sigma, and the same without weight decay, which competes with a vanishing pull. 0.64 is where
    the pull on an untrained network is largest: sigma = (1 - 1/K)/sqrt(2)."""
    still = {**MNIST_PROTOCOL, "weight_decay": 0.0}
    walk = [
        mnist(loss_setting("CLL", sigma=sigma), model="mlp")
        for sigma in (0.33, 0.36, 0.4, 0.43, 0.46, 0.64, 0.8)
    ]
    return walk + [
        mnist(loss_setting("CLL", sigma=sigma), model="mlp", protocol=still)
        for sigma in (0.2, 0.25, 0.3, 0.33)
    ]
