"""The grids of notebook 03 (and 00, 02, 10): MNIST with 60 % symmetric noise."""

from collections.abc import Sequence

import torch

from labelnoise import losses
from labelnoise.config import LossSetting, Run, loss_setting, noisy, published
from labelnoise.config.protocols import ANL_PROTOCOL, MNIST_PROTOCOL

SYMMETRIC_60 = noisy("symmetric", 0.6)
SEEDS = (0, 1, 2, 3, 4)

# CLL's form and bandwidth are not public. A rule that was written down before any run chooses ours
# among these, on noisy labels alone: CHOICE_OF_CLL in rules/mnist_symmetric.py.
CLL_CANDIDATES = tuple(
    loss_setting("CLL", form=form, sigma=sigma)
    for form, sigma in (("target", 1.0), ("target", 0.5), ("vector", 1.0), ("elementwise", 1.0))
)
CLL = CLL_CANDIDATES[0]  # what the rule chose; a test applies it to the committed records

CLL_FORMS = ("target", "vector", "elementwise")
CLL_SIGMAS = (0.1, 0.2, 0.3, 0.5, 1.0, 2.0)


def mnist(loss: LossSetting, *, seed: int = 0, model: str = "cnn4", **changes: object) -> Run:
    setting = {
        "noise": SYMMETRIC_60, "probe": ("gradient",), "protocol": MNIST_PROTOCOL, **changes
    }  # fmt: skip
    return Run("mnist", loss=loss, model=model, seed=seed, **setting)


def headline(seeds: Sequence[int] = SEEDS, model: str = "cnn4") -> list[Run]:
    """MNIST, 60 % symmetric, at the full protocol: CE and CLL."""
    pair = (published("mnist", "CE"), CLL)
    return [mnist(loss, seed=s, model=model) for s in seeds for loss in pair]


def robust_losses(seeds: Sequence[int] = SEEDS, model: str = "cnn4") -> list[Run]:
    """The same protocol with the other robust losses of the first set."""
    names = ("GCE", "MAE", "SCE")
    return [mnist(published("mnist", n), seed=s, model=model) for s in seeds for n in names]


SCALED_CE = loss_setting("SCE", alpha=0.06, beta=0.0)  # an untrained network feels CLL's pull


def first_page() -> list[Run]:
    """What the README and notebook 00 show: the headline, and cross-entropy in CLL's size with the
    one seed that it has."""
    return [*headline(), mnist(SCALED_CE)]


def cll_map() -> list[Run]:
    """CLL over form x sigma with the MLP, one seed; the losses beside it as reference lines."""
    grid = [
        mnist(loss_setting("CLL", form=form, sigma=sigma), model="mlp")
        for form in CLL_FORMS
        for sigma in CLL_SIGMAS
    ]
    return grid + [mnist(published("mnist", n), model="mlp") for n in ("CE", "MAE", "GCE")]


def cll_choice() -> list[Run]:
    """The noisy-validation runs that choose CLL's form and sigma."""
    return [mnist(loss, val_fraction=0.1) for loss in CLL_CANDIDATES]


def cll_points() -> list[Run]:
    """Chosen points of the map with the CNN, one seed, exploratory: the candidates, their
    neighbours, and the elementwise form with sigma^2 = K/8, the public multi-label loss in our
    units; all on 90 % of the data so that they compare."""
    more = (("target", 0.3), ("vector", 0.5), ("elementwise", 1.118))
    neighbours = [loss_setting("CLL", form=form, sigma=sigma) for form, sigma in more]
    return [mnist(loss, val_fraction=0.1) for loss in (*CLL_CANDIDATES, *neighbours)]


def clean_labels(networks: Sequence[str] = ("cnn4", "mlp")) -> list[Run]:
    """CE and CLL on clean labels: what a network can do, and what robustness costs."""
    return [
        mnist(loss, noise=noisy("clean"), model=model)
        for model in networks
        for loss in (published("mnist", "CE"), CLL)
    ]


def ce_protocols() -> list[Run]:
    """One method, many numbers: CE with both networks, both conventions of "60 % symmetric", and
    with a noisy validation split (on which `val_chosen` stops early), one seed."""
    ce = published("mnist", "CE")
    return [
        mnist(ce, model=model, **changes)
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
        mnist(loss_setting("CLL", form=form, sigma=sigma, normalise=True), model="mlp")
        for form in CLL_FORMS
        for sigma in CLL_SIGMAS[-2:]
    ]


def setting_of(name: str) -> LossSetting:
    """The loss ``name`` at its published MNIST setting, or at its defaults where MNIST has none;
    CLL as chosen above. ``ValueError`` lists the losses if it is none of ``LOSSES``."""
    if name not in losses.LOSSES:
        raise ValueError(f"loss {name!r} is unknown; known: {', '.join(losses.LOSSES)}")
    if name == "CLL":
        return CLL
    return published("mnist", name) if name in losses.PUBLISHED["mnist"] else loss_setting(name)


def every_loss(seeds: Sequence[int] = SEEDS[:3]) -> list[Run]:
    """Every loss that has a setting for MNIST (published, its paper's default, or ours), with the
    MLP."""
    known = {"CLL", *losses.PUBLISHED["mnist"]}
    settings = [setting_of(name) for name in losses.LOSSES if name in known]
    return [mnist(loss, seed=s, model="mlp") for s in seeds for loss in settings]


def anl(seeds: Sequence[int] = SEEDS[:3]) -> list[Run]:
    """ANL-CE under the protocol of its own paper, with the MLP."""
    loss = published("mnist", "ANL-CE")
    return [mnist(loss, seed=s, model="mlp", protocol=ANL_PROTOCOL) for s in seeds]


def cnn_losses(seeds: Sequence[int] = SEEDS[:3]) -> list[Run]:
    """Losses of every family at their published MNIST setting with the CNN, which memorises."""
    names = ("AUL", "AGCE", "NCE+RCE", "AEL", "GJS", "RCE", "TaylorCE", "MSE")
    return [mnist(published("mnist", name), seed=s) for s in seeds for name in names]


def size_or_shape() -> list[Run]:
    """Cross-entropy scaled down (SCE without its second term) until an untrained network feels the
    pull of our CLL, 0.054: 0.06 CE has CE's shape and CLL's size. Scaling a loss does two things
    to SGD, which are also tried one by one: steps 0.06 times as long, and a weight decay 1/0.06
    times as strong beside the gradient. And the other way round: CLL with a weight decay as weak
    beside its gradient as it is beside CE's. Both networks, one seed."""
    ce = published("mnist", "CE")
    settings = (
        (SCALED_CE, {}),
        (ce, {"lr": 0.0006}),
        (ce, {"weight_decay": 0.0167}),
        (CLL, {"weight_decay": 6e-5}),
    )
    return [
        mnist(loss, model=model, protocol={**MNIST_PROTOCOL, **changes})
        for loss, changes in settings
        for model in ("cnn4", "mlp")
    ]


# ------------------------------------------------------------------ step, decay and shape

# A loss c L at (learning rate, weight decay) trains as L at (c lr, decay / c) wherever no gradient
# is clipped. So shapes are compared at the same places in effective units: step = lr x pull and
# decay = weight decay / pull, where pull = |dL/dz_y| on an untrained network (p_y = 1/K). Matching
# the pull at the start is a convention: it peaks later, 1.1 times as large for CE, 4.7 times for
# CLL with sigma = 0.5. The published CE stands at (high step, low decay), our CLL at (low step,
# high decay); the middle is the geometric mean.
SHAPES = (
    published("mnist", "CE"),
    CLL,
    loss_setting("CLL", sigma=0.5),
    loss_setting("CLL", sigma=10.0),  # the kernel is off to half a percent: (1 - p_y)^2 / 200
)
MORE_SHAPES = (published("mnist", "GCE"), published("mnist", "MAE"))
CORNERS = ((0, 0), (0, 2), (1, 1), (2, 0), (2, 2))  # and the centre: indices of (step, decay)
PLACES = tuple((step, decay) for step in range(3) for decay in range(3))
OF_CE, OF_CLL = (2, 0), (0, 2)
UNSEEN = (5, 6, 7)  # seeds that no run with the CNN had when the grid was written
UNSEEN_MLP = (5, 6, 7, 8, 9)
EVERY_PROBE = ("gradient", "clipped", "changed")


def pull(loss: LossSetting, num_classes: int = 10) -> float:
    """|dL/dz_y| on an untrained network, by autograd in float64."""
    logits = torch.zeros(1, num_classes, dtype=torch.float64, requires_grad=True)
    loss.build("mnist")(logits, torch.tensor([0])).backward()
    return abs(float(logits.grad[0, 0]))


PULLS = {loss.label: pull(loss) for loss in SHAPES + MORE_SHAPES}
"""Label of a loss -> its pull."""


def protocol_at(loss: LossSetting, place: tuple[int, int]) -> dict:
    """The MNIST protocol with the learning rate and weight decay that put ``loss`` at ``place``,
    rounded to three digits."""
    lr, decay = MNIST_PROTOCOL["lr"], MNIST_PROTOCOL["weight_decay"]
    mine, of_ce, of_cll = (PULLS[each.label] for each in (loss, SHAPES[0], CLL))
    low, high = lr * of_cll, lr * of_ce
    weak, strong = decay / of_ce, decay / of_cll
    step = (low, (low * high) ** 0.5, high)[place[0]]
    shrink = (weak, (weak * strong) ** 0.5, strong)[place[1]]
    settings = {"lr": step / mine, "weight_decay": shrink * mine}
    return {**MNIST_PROTOCOL, **{name: float(f"{x:.3g}") for name, x in settings.items()}}


def placed(loss: LossSetting, place: tuple[int, int], seed: int, model: str) -> Run:
    """``loss`` at ``place``, trained on 90 % of the noisy labels."""
    protocol = protocol_at(loss, place)
    return mnist(loss, seed=seed, model=model, protocol=protocol, val_fraction=0.1,
                 probe=EVERY_PROBE)  # fmt: skip


def step_decay_shape(seeds: Sequence[int] = UNSEEN) -> list[Run]:
    """Four shapes at five places with the CNN; judged by ``rules/mnist_symmetric.py``."""
    return [placed(loss, at, seed, "cnn4") for seed in seeds for at in CORNERS for loss in SHAPES]


def step_decay_shape_mlp(seeds: Sequence[int] = UNSEEN_MLP) -> list[Run]:
    """Six losses at nine places with the MLP, and CE as published without clipping."""
    free = {name: value for name, value in MNIST_PROTOCOL.items() if name != "clip_norm"}
    probes = tuple(name for name in EVERY_PROBE if name != "clipped")
    runs = []
    for seed in seeds:
        runs += [placed(loss, at, seed, "mlp") for at in PLACES for loss in SHAPES + MORE_SHAPES]
        runs.append(mnist(SHAPES[0], seed=seed, model="mlp", protocol=free, val_fraction=0.1,
                          probe=probes))  # fmt: skip
    return runs


def parity(seeds: Sequence[int] = SEEDS[:3]) -> list[Run]:
    """CE and CLL under the headline protocol with both networks: what is trained a second time in
    float32, into results/float32, to compare with bfloat16."""
    pair = (published("mnist", "CE"), CLL)
    return headline(seeds) + [mnist(loss, seed=s, model="mlp") for s in seeds for loss in pair]
