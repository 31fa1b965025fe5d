"""The grids of notebooks 06 and 08: "about 30 % of my labels are wrong", with the MLP."""

from collections.abc import Sequence

from labelnoise.config import (
    LossSetting,
    Method,
    Noise,
    Run,
    loss_setting,
    method,
    noisy,
    published,
)
from labelnoise.config.protocols import MNIST_PROTOCOL

SEEDS = (0, 1, 2)
CLL = loss_setting("CLL", form="target", sigma=1.0)  # experiments.CLL, chosen by its rule

# "About 30 % of my labels are wrong", in three meanings: the 0.3/N of the question draws a new
# label from all classes, the true one among them (27 % realised with ten classes).
THIRTY = (
    noisy("symmetric", 0.3, keep_true=True),
    noisy("symmetric", 0.3),
    noisy("asymmetric", 0.3),
)


def mlp(
    loss: LossSetting,
    setting: Noise,
    seed: int = 0,
    *,
    dataset: str = "mnist",
    how: Method | None = None,
    held_out: float = 0.0,
) -> Run:
    """One run of these grids, under the noise of ``setting``, by the method ``how``, on all noisy
    labels but the share ``held_out``."""
    return Run(dataset, setting, loss, "mlp", MNIST_PROTOCOL, seed, method=how,
               val_fraction=held_out)  # fmt: skip


def thirty_percent(dataset: str = "mnist", seeds: Sequence[int] = SEEDS) -> list[Run]:
    """The answers to "30 % of my labels are wrong: is cross-entropy optimal?".

    Clip the loss; model the noise (the mixture, forward and backward correction with the true
    matrix and with estimated ones); smooth the labels, a little, by 30 %, and by the negative
    amount that is backward correction of the question's noise (-3/7); bootstrap with Reed's
    settings; a robust loss of each family at its published setting; find the wrong labels and
    leave them out. (The last, and the confident joint, train six networks a run: they had one seed
    until the others were known.) Judged by ``rules/model_the_noise.py``.
    """
    runs = []
    for seed in seeds:
        for setting in THIRTY:
            answers = [
                published("mnist", "CE"),
                loss_setting("ClippedCE"),
                loss_setting("Mixture", rate=0.3),
                loss_setting("Forward", T=setting),
                loss_setting("Backward", T=setting),
                *(
                    loss_setting("Forward", T={"estimated": by})
                    for by in ("anchors", "confident_joint")
                ),
                *(loss_setting("LabelSmoothing", epsilon=e) for e in (0.1, 0.3, -3 / 7)),
                loss_setting("Bootstrap", beta=0.95),
                loss_setting("Bootstrap", beta=0.8, hard=True),
                *(published("mnist", name) for name in ("GCE", "NCE+RCE", "AGCE")),
                CLL,
            ]
            runs += [mlp(loss, setting, seed, dataset=dataset) for loss in answers]
            runs.append(mlp(answers[0], setting, seed, dataset=dataset, how=method("pruned")))
    return runs


def early_stopping(seeds: Sequence[int] = SEEDS) -> list[Run]:
    """Cross-entropy that holds out a tenth of its noisy labels and stops by them. Judged by
    ``rules/model_the_noise.py``."""
    ce = published("mnist", "CE")
    return [mlp(ce, setting, seed, held_out=0.1) for seed in seeds for setting in THIRTY]


def clipping(seeds: Sequence[int] = SEEDS) -> list[Run]:
    """The threshold of the clipped CE: ``thirty_percent`` has log 100 (it gives up on labels below
    1 %), this grid those below 3, 5 and 8 %. 3.5 is where the mixture's loss ends, log(K/0.3); an
    untrained network has log K = 2.3. The rule is that of ``thirty_percent``."""
    return [
        mlp(loss_setting("ClippedCE", bound=bound), setting, seed)
        for seed in seeds
        for setting in THIRTY
        for bound in (3.5, 3.0, 2.5)
    ]


def assumed_rates(rates: Sequence[float] = (0.0, 0.15, 0.3, 0.45, 0.6, 0.75)) -> list[Run]:
    """What a wrongly assumed rate costs: the mixture over assumed x true rate (the true class among
    the flips, as the mixture assumes), one seed."""
    return [
        mlp(loss_setting("Mixture", rate=assumed), noisy("symmetric", true, keep_true=True))
        for true in rates
        for assumed in rates
    ]


def estimated_matrices() -> list[Run]:
    """Forward correction with both estimates of T, and with T itself, at other rates than 30 %, one
    seed."""
    rates = {"symmetric": (0.1, 0.5, 0.7), "asymmetric": (0.1, 0.2, 0.4)}
    return [
        mlp(loss_setting("Forward", T=T), setting)
        for setting in (noisy(kind, rate) for kind, some in rates.items() for rate in some)
        for T in ({"estimated": "anchors"}, {"estimated": "confident_joint"}, setting)
    ]


def assumed_flips() -> list[Run]:
    """What a wrongly assumed rate of a whole matrix costs: forward correction for asymmetric noise
    where 0.4 is true, one seed. At 0.5 the matrix would be singular: 5 and 6 flip into each other.
    (0.46 and 0.47 were added when the others were known, to see where it fails.)"""
    rates, true = (0.2, 0.3, 0.35, 0.4, 0.45, 0.46, 0.47, 0.49), noisy("asymmetric", 0.4)
    return [mlp(loss_setting("Forward", T=noisy("asymmetric", rate)), true) for rate in rates]


def own_labels(seeds: Sequence[int] = SEEDS) -> list[Run]:
    """What the lines to copy do with a user's labels: networks trained with GCE count T, which
    corrects a last one; or, one seed, they suspect labels, and GCE trains on the others. The rule
    is that of ``thirty_percent``. The first also at 40 % asymmetric, where a T counted by networks
    of CE had failed (one seed, added when that was known)."""
    gce = published("mnist", "GCE")
    counted = loss_setting("Forward", T={"estimated": "confident_joint", "judge": gce})
    return [
        *(mlp(counted, setting, seed) for seed in seeds for setting in THIRTY),
        *(mlp(gce, setting, how=method("pruned")) for setting in THIRTY),
        mlp(counted, noisy("asymmetric", 0.4)),
    ]


def detectors(dataset: str = "mnist", seeds: Sequence[int] = SEEDS) -> list[Run]:
    """Which loss finds the wrong labels: five folds at 30 % symmetric noise."""
    losses_of = [*(published("mnist", name) for name in ("CE", "GCE", "NCE+RCE")), CLL]
    return [
        mlp(loss, noisy("symmetric", 0.3), seed, dataset=dataset, how=method("cross_validation"))
        for seed in seeds
        for loss in losses_of
    ]


def fashion() -> list[Run]:
    """The second data set: the answers to the 30 % and the detectors on Fashion-MNIST, one seed."""
    first = SEEDS[:1]
    return thirty_percent("fashion_mnist", first) + detectors("fashion_mnist", first)
