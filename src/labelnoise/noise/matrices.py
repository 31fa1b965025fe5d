"""Transition matrices ``T[i, j] = P(noisy label = j | true label = i)``, ``[K, K]``."""

import numpy as np

from labelnoise.checks import check_num_classes, check_rate

# True class -> noisy class. MNIST and CIFAR-10 as in the papers from Patrini et al. 2017 on;
# Fashion-MNIST as in the GCE paper (Zhang & Sabuncu 2018). On CIFAR-10 the public code of ALFs and
# APL does something else: it flips cats to dogs, and then flips dogs, the new ones among them, so
# that at a rate of 0.4 cat -> dog is 0.242, and 18.45 % of all labels are wrong in place of 20 %.
ASYMMETRIC_MAPS = {
    "mnist": {7: 1, 2: 7, 5: 6, 6: 5, 3: 8},
    "fashion_mnist": {9: 7, 7: 5, 2: 6, 4: 3, 3: 4},
    "cifar10": {9: 1, 2: 0, 4: 7, 3: 5, 5: 3},
    # Ours: each letter becomes the one for which multinomial logistic regression (scikit-learn
    # 1.9, its defaults) takes it most often by mistake, in 5 stratified folds of the clean training
    # rows, 77.1 % of which it reads correctly.
    "letter": {
        ord(true) - ord("A"): ord(noisy) - ord("A")
        for true, noisy in zip(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "SRKBGTCOJIRENKHFOBZGOYMETS", strict=True
        )
    },
}
ASYMMETRIC_MAPS["cifar10_features"] = ASYMMETRIC_MAPS["cifar10"]
ASYMMETRIC_MAPS["fashion_mnist_h"] = ASYMMETRIC_MAPS["fashion_mnist"]

# The 20 superclasses of CIFAR-100 (Krizhevsky 2009), as fine label ids in ascending order.
CIFAR100_SUPERCLASSES = (
    (4, 30, 55, 72, 95),  # aquatic mammals
    (1, 32, 67, 73, 91),  # fish
    (54, 62, 70, 82, 92),  # flowers
    (9, 10, 16, 28, 61),  # food containers
    (0, 51, 53, 57, 83),  # fruit and vegetables
    (22, 39, 40, 86, 87),  # household electrical devices
    (5, 20, 25, 84, 94),  # household furniture
    (6, 7, 14, 18, 24),  # insects
    (3, 42, 43, 88, 97),  # large carnivores
    (12, 17, 37, 68, 76),  # large man-made outdoor things
    (23, 33, 49, 60, 71),  # large natural outdoor scenes
    (15, 19, 21, 31, 38),  # large omnivores and herbivores
    (34, 63, 64, 66, 75),  # medium-sized mammals
    (26, 45, 77, 79, 99),  # non-insect invertebrates
    (2, 11, 35, 46, 98),  # people
    (27, 29, 44, 78, 93),  # reptiles
    (36, 50, 65, 74, 80),  # small mammals
    (47, 52, 56, 59, 96),  # trees
    (8, 13, 48, 58, 90),  # vehicles 1
    (41, 69, 81, 85, 89),  # vehicles 2
)


def symmetric(num_classes: int, rate: float, *, keep_true: bool = False) -> np.ndarray:
    """Uniform noise, ``[K, K]``.

    ``keep_true=False``: ``T = (1 - rate) I + rate/(K-1) (1 - I)``; realised rate = ``rate``.
    ``keep_true=True``: ``T = (1 - rate) I + rate/K``; realised rate = ``rate (K-1)/K``.
    """
    K = check_num_classes(num_classes)
    rate = check_rate(rate)
    if keep_true:
        return (1 - rate) * np.eye(K) + rate / K
    return (1 - rate) * np.eye(K) + rate / (K - 1) * (1 - np.eye(K))


def pairflip(num_classes: int, rate: float) -> np.ndarray:
    """Every class flips to the next one with probability ``rate`` (Han et al. 2018), ``[K, K]``."""
    K = check_num_classes(num_classes)
    rate = check_rate(rate)
    return (1 - rate) * np.eye(K) + rate * np.roll(np.eye(K), 1, axis=1)


def asymmetric(dataset: str, rate: float) -> np.ndarray:
    """Noise between similar classes, each with probability ``rate``, ``[K, K]``.

    ``dataset``: ``mnist``, ``fashion_mnist``, ``cifar10``, ``letter`` (see ``ASYMMETRIC_MAPS``;
    those made of these images have their map), ``cifar100``
    (next class within the true superclass, circularly), or ``cifar100-consecutive``: the next of
    five *consecutive* label ids, which is what public code runs although ids are alphabetical and
    such groups are no superclasses.
    """
    rate = check_rate(rate)
    if dataset in ASYMMETRIC_MAPS:
        K, flips = (26 if dataset == "letter" else 10), ASYMMETRIC_MAPS[dataset]
    elif dataset == "cifar100":
        K, flips = 100, {c: g[(k + 1) % 5] for g in CIFAR100_SUPERCLASSES for k, c in enumerate(g)}
    elif dataset == "cifar100-consecutive":
        K, flips = 100, {c: c // 5 * 5 + (c + 1) % 5 for c in range(100)}
    else:
        known = [*ASYMMETRIC_MAPS, "cifar100", "cifar100-consecutive"]
        raise ValueError(f"dataset={dataset!r} has no asymmetric noise; known: {', '.join(known)}")
    T = np.eye(K)
    for true, noisy in flips.items():
        T[true, true] = 1 - rate
        T[true, noisy] = rate
    return T


def dmi(pattern: str, rate: float) -> np.ndarray:
    """The matrices of the L_DMI experiments (Xu et al. 2019), rows = true class.

    Binary tasks, ``[2, 2]``: ``independent`` ``[[1-r/2, r/2], [r/2, 1-r/2]]``;
    ``dependent-a`` ``[[1-r, r], [0, 1]]``; ``dependent-b`` ``[[1, 0], [r, 1-r]]``.
    CIFAR-10, ``[10, 10]``: ``cifar10-dependent`` truck->automobile, bird->airplane, deer->horse,
    cat->dog, and unlike other papers not dog->cat.
    """
    r = check_rate(rate)
    if pattern == "cifar10-dependent":
        T = asymmetric("cifar10", r)
        T[5] = np.eye(10)[5]
        return T
    binary = {
        "independent": [[1 - r / 2, r / 2], [r / 2, 1 - r / 2]],
        "dependent-a": [[1 - r, r], [0, 1]],
        "dependent-b": [[1, 0], [r, 1 - r]],
    }
    if pattern not in binary:
        known = ", ".join([*binary, "cifar10-dependent"])
        raise ValueError(f"pattern={pattern!r} is unknown; known: {known}")
    return np.array(binary[pattern], dtype=float)
