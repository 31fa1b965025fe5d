"""The training protocols of ALFs, ANL and JAL, and what any protocol must have. Those of L_DMI are
in ``experiments/dmi.py``."""

from collections.abc import Sequence

from labelnoise.checks import check_integer, is_number, one_of, positive
from labelnoise.data import augment

KEYS = ("optimizer", "epochs", "batch", "lr", "momentum", "weight_decay", "schedule")
REALS = ("lr", "momentum", "weight_decay", "clip_norm", "l1")

# The protocols of ALFs (Zhou et al. 2021; public code lnl/main.py): all weights decayed, the
# learning rate on a cosine from lr to 0, stepped once an epoch; MNIST without augmentation. The
# networks are cnn4, cnn8 and resnet34.
MNIST_PROTOCOL = {
    "optimizer": "sgd",
    "epochs": 50,
    "batch": 128,
    "lr": 0.01,
    "momentum": 0.9,
    "weight_decay": 1e-3,
    "schedule": "cosine",
    "clip_norm": 5.0,
}

CIFAR10_PROTOCOL = {
    **MNIST_PROTOCOL, "epochs": 120, "weight_decay": 1e-4, "augment": ("crop", "flip")
}  # fmt: skip
CIFAR100_PROTOCOL = {
    **MNIST_PROTOCOL, "epochs": 200, "lr": 0.1, "weight_decay": 1e-5,
    "augment": ("crop", "flip", "rotation"),
}  # fmt: skip

# The MNIST protocol of ANL (Ye et al. 2023): an L1 penalty l1 * sum |w| in place of weight decay.
ANL_PROTOCOL = {**MNIST_PROTOCOL, "weight_decay": 0.0, "l1": 1e-6}

# The protocols of JAL-CE (Wang et al. 2025; public code cswjl/joint-asymmetric-loss main.py): those
# of ALFs but for the same exchange of penalties: its tables change the penalty with the loss.
JAL_PROTOCOLS = {
    "cifar10": {**CIFAR10_PROTOCOL, "weight_decay": 0.0, "l1": 5e-5},
    "cifar100": {**CIFAR100_PROTOCOL, "weight_decay": 0.0, "l1": 5e-6},
}


def checked_protocol(protocol: dict) -> dict:
    """The protocol with its numbers as floats, or ``ValueError``."""
    if not isinstance(protocol, dict):
        raise ValueError(f"protocol={protocol!r} must be a dict like protocols.MNIST_PROTOCOL")
    needed = set(KEYS)
    if protocol.get("optimizer") == "adam":
        needed -= {"momentum"}
    if set(protocol) - {"clip_norm", "l1", "augment"} != needed:
        raise ValueError(
            f"protocol must have exactly the keys {sorted(needed)}, and at will clip_norm, l1, "
            f"augment, got {sorted(protocol)}"
        )
    one_of("optimizer", protocol["optimizer"], ("sgd", "adam"))
    one_of("schedule", protocol["schedule"], ("cosine", "constant"))
    check_integer("epochs", protocol["epochs"], 1)
    check_integer("batch", protocol["batch"], 2)
    reals = [name for name in REALS if name in protocol]
    # A step takes lr x weight_decay of every weight away.
    limits = {"momentum": 1, "weight_decay": max(1, 1 / positive("lr", protocol["lr"]))}
    for name in reals:
        if name in ("lr", "clip_norm", "l1"):  # no penalty is no key, so that a run has one name
            positive(name, protocol[name])
        elif not is_number(protocol[name]) or not 0 <= protocol[name] < limits[name]:
            raise ValueError(f"{name}={protocol[name]!r} must lie in [0, {limits[name]:g})")
    checked = {**protocol, **{name: float(protocol[name]) for name in reals}}
    if "augment" in protocol:
        checked["augment"] = _checked_augment(protocol["augment"])
    return checked


def _checked_augment(names: Sequence[str]) -> tuple[str, ...]:
    """The names in the order in which they act."""
    if not isinstance(names, list | tuple) or not names:
        raise ValueError(f"augment={names!r} must list some of {', '.join(augment.NAMES)}; "
                         "leave it out where there is none")  # fmt: skip
    for name in names:
        one_of("augment", name, augment.NAMES)
    if len(set(names)) < len(names):
        raise ValueError(f"augment={names!r} names one twice")
    return tuple(name for name in augment.NAMES if name in names)
