"""What is run: grids and profiles, as plain Python data."""

from collections.abc import Sequence

from labelnoise import losses
from labelnoise.configuration import Run, loss_setting, noisy, published
from labelnoise.dmi_grids import dmi_cifar10, dmi_clean, dmi_cold, dmi_fashion, dmi_mr
from labelnoise.protocols import ANL_PROTOCOL, MNIST_PROTOCOL
from labelnoise.thirty_grids import (
    assumed_flips,
    assumed_rates,
    clipping,
    detectors,
    estimated_matrices,
    fashion,
    own_labels,
    thirty_percent,
)

# ------------------------------------------------------------------ the grids of the notebooks

SYMMETRIC_60 = noisy("symmetric", 0.6)
SEEDS = (0, 1, 2, 3, 4)

# CLL's form and bandwidth are not public. This rule, written down before any run, chooses ours:
# every candidate trains the headline protocol, seed 0, on 90 % of the noisy training set; the last
# epoch's accuracy on the noisy labels of the other 10 % decides; what lies within one standard
# error of the best counts as a tie; a tie goes to `target` before the other forms, then to the
# larger sigma. No candidate is above 1, the largest error there is, since a wider kernel damps
# nothing. Clean labels and test data play no part. stats.choose_cll applies it to the records.
CLL_CANDIDATES = tuple(
    loss_setting("CLL", form=form, sigma=sigma)
    for form, sigma in (("target", 1.0), ("target", 0.5), ("vector", 1.0), ("elementwise", 1.0))
)
CLL = CLL_CANDIDATES[0]  # what the rule chose; a test applies it to the committed records

CLL_FORMS = ("target", "vector", "elementwise")
CLL_SIGMAS = (0.1, 0.2, 0.3, 0.5, 1.0, 2.0)


def _mnist(loss: dict, *, seed: int = 0, model: str = "cnn4", **changes: object) -> Run:
    setting = {
        "noise": SYMMETRIC_60, "probe": ("gradient",), "protocol": MNIST_PROTOCOL, **changes
    }  # fmt: skip
    return Run("mnist", loss=loss, model=model, seed=seed, **setting)


def headline(seeds: Sequence[int] = SEEDS) -> list[Run]:
    """MNIST, 60 % symmetric, the CNN at the full protocol: CE and CLL."""
    return [_mnist(loss, seed=s) for s in seeds for loss in (published("mnist", "CE"), CLL)]


def robust_losses(seeds: Sequence[int] = SEEDS) -> list[Run]:
    """The same protocol with the other robust losses of the first set."""
    names = ("GCE", "MAE", "SCE")
    return [_mnist(published("mnist", name), seed=s) for s in seeds for name in names]


def cll_map() -> list[Run]:
    """CLL over form x sigma with the MLP, one seed; the losses beside it as reference lines."""
    grid = [
        _mnist(loss_setting("CLL", form=form, sigma=sigma), model="mlp")
        for form in CLL_FORMS
        for sigma in CLL_SIGMAS
    ]
    return grid + [_mnist(published("mnist", n), model="mlp") for n in ("CE", "MAE", "GCE")]


def cll_choice() -> list[Run]:
    """The noisy-validation runs that choose CLL's form and sigma."""
    return [_mnist(loss, val_fraction=0.1) for loss in CLL_CANDIDATES]


def cll_points() -> list[Run]:
    """Chosen points of the map with the CNN, one seed: the candidates and their neighbours, all
    on 90 % of the data so that they compare."""
    neighbours = [
        loss_setting("CLL", form=f, sigma=s) for f, s in (("target", 0.3), ("vector", 0.5))
    ]
    return [_mnist(loss, val_fraction=0.1) for loss in (*CLL_CANDIDATES, *neighbours)]


def clean_labels(networks: Sequence[str] = ("cnn4", "mlp")) -> list[Run]:
    """CE and CLL on clean labels: what a network can do, and what robustness costs."""
    return [
        _mnist(loss, noise=noisy("clean"), model=model)
        for model in networks
        for loss in (published("mnist", "CE"), CLL)
    ]


def ce_protocols() -> list[Run]:
    """One method, many numbers: CE with both networks, both conventions of "60 % symmetric", and
    with a noisy validation split (on which `val_chosen` stops early), one seed."""
    ce = published("mnist", "CE")
    return [
        _mnist(ce, model=model, **changes)
        for model in ("cnn4", "mlp")
        for changes in (
            {},
            {"val_fraction": 0.1},
            {"noise": noisy("symmetric", 0.6, keep_true=True)},
        )
    ]


def cll_normalised() -> list[Run]:
    """The wide end of the map once more with the normalisation, which acts there as a larger
    learning rate (for a small sigma its factor is 1)."""
    return [
        _mnist(loss_setting("CLL", form=form, sigma=sigma, normalise=True), model="mlp")
        for form in CLL_FORMS
        for sigma in CLL_SIGMAS[-2:]
    ]


def setting_of(name: str) -> dict:
    """The loss ``name`` at its published MNIST setting or its default, CLL as chosen above.
    ``ValueError`` lists the losses if it is none of ``LOSSES``."""
    if name not in losses.LOSSES:
        raise ValueError(f"loss {name!r} is unknown; known: {', '.join(losses.LOSSES)}")
    return CLL if name == "CLL" else published("mnist", name)


def every_loss(seeds: Sequence[int] = SEEDS[:3]) -> list[Run]:
    """Every loss at its published MNIST setting (or its paper's default), with the MLP."""
    settings = [setting_of(name) for name in losses.LOSSES]
    return [_mnist(loss, seed=s, model="mlp") for s in seeds for loss in settings]


def anl(seeds: Sequence[int] = SEEDS[:3]) -> list[Run]:
    """ANL-CE under the protocol of its own paper, with the MLP."""
    loss = published("mnist", "ANL-CE")
    return [_mnist(loss, seed=s, model="mlp", protocol=ANL_PROTOCOL) for s in seeds]


def ratio_sweep() -> list[Run]:
    """Losses of p_y whose asymmetry ratio is moved by their parameter, with the MLP, one seed.

    With the losses of p_y in ``every_loss`` they test what ALFs claims, that a higher asymmetry
    ratio means a better tolerance. The rule, written down before the runs: Spearman's rank
    correlation between ratio and last-epoch accuracy (seed 0, one point a loss and setting, none
    left out), with a two-sided permutation p-value; supported if the correlation is positive and
    p < 0.05, contradicted if it is negative and p < 0.05, undecided otherwise. The same is read
    for the fall from best to last epoch (supported if negative), and for other criteria beside.
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
    return [_mnist(loss_setting(name, **parameters), model="mlp") for name, parameters in moved]


def cnn_losses(seeds: Sequence[int] = SEEDS[:1]) -> list[Run]:
    """Losses of every family at their published MNIST setting with the CNN, which memorises."""
    names = ("AUL", "AGCE", "NCE+RCE", "AEL", "GJS", "RCE", "TaylorCE", "MSE")
    return [_mnist(published("mnist", name), seed=s) for s in seeds for name in names]


def size_or_shape() -> list[Run]:
    """Cross-entropy scaled down (SCE without its second term) until an untrained network feels the
    pull of our CLL, 0.054: 0.06 CE has CE's shape and CLL's size. Scaling a loss does two things
    to SGD, which are also tried one by one: steps 0.06 times as long, and a weight decay 1/0.06
    times as strong beside the gradient. And the other way round: CLL with a weight decay as weak
    beside its gradient as it is beside CE's. Both networks, one seed."""
    scaled, ce = loss_setting("SCE", alpha=0.06, beta=0.0), published("mnist", "CE")
    settings = (
        (scaled, {}),
        (ce, {"lr": 0.0006}),
        (ce, {"weight_decay": 0.0167}),
        (CLL, {"weight_decay": 6e-5}),
    )
    return [
        _mnist(loss, model=model, protocol={**MNIST_PROTOCOL, **changes})
        for loss, changes in settings
        for model in ("cnn4", "mlp")
    ]


def cll_start() -> list[Run]:
    """CLL ``target`` where training begins to fail, with the MLP, one seed: a finer walk over
    sigma, and the same without weight decay, which competes with a vanishing pull. 0.64 is where
    the pull on an untrained network is largest: sigma = (1 - 1/K)/sqrt(2)."""
    still = {**MNIST_PROTOCOL, "weight_decay": 0.0}
    walk = [
        _mnist(loss_setting("CLL", sigma=sigma), model="mlp")
        for sigma in (0.33, 0.36, 0.4, 0.43, 0.46, 0.64, 0.8)
    ]
    return walk + [
        _mnist(loss_setting("CLL", sigma=sigma), model="mlp", protocol=still)
        for sigma in (0.2, 0.25, 0.3, 0.33)
    ]


def parity(seeds: Sequence[int] = SEEDS[:3]) -> list[Run]:
    """CE and CLL under the headline protocol with both networks: what is trained a second time in
    float32, into results/float32, to compare with bfloat16."""
    pair = (published("mnist", "CE"), CLL)
    return headline(seeds) + [_mnist(loss, seed=s, model="mlp") for s in seeds for loss in pair]


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
    "parity": parity,
    "smoke": smoke,
}


def cpu_full() -> list[Run]:
    """Every table that two cores can carry: all runs with the MLP, and the headline."""
    real = [run for name, grid in GRIDS.items() if name != "smoke" for run in grid()]
    return headline(seeds=[0]) + [run for run in real if run.model == "mlp"]


def gpu() -> list[Run]:
    """The headline at five seeds, and the tables of CLL and of the first robust losses."""
    names = ("headline", "robust_losses", "cll_map", "cll_points", "cll_choice", "clean_labels",
             "ce_protocols", "cll_normalised", "cnn_losses", "size_or_shape")  # fmt: skip
    return [run for name in names for run in GRIDS[name]()]


def paper() -> list[Run]:
    """Every run of every table."""
    return [run for name, grid in GRIDS.items() if name != "smoke" for run in grid()]


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
