"""Label noise: what it looks like as a matrix, how labels are drawn from it, and what the drawn
labels tell about it.

Convention: ``T[i, j] = P(noisy label = j | true label = i)``, so rows sum to 1. (cleanlab uses the
transpose.) The *realised* rate is the share of labels that really changed; it is what papers
should state, and every run records it.

Two conventions of "symmetric noise" are in use, and many papers disagree only because of this:
the flip may exclude the true class (realised rate = nominal rate; ALFs, APL) or may land on it
again (realised rate = (K-1)/K of the nominal; DivideMix, the first L_DMI code).
"""

from labelnoise.noise.corruption import corrupt, corrupt_rows, instance_rows, realised
from labelnoise.noise.matrices import asymmetric, dmi, pairflip, symmetric

__all__ = [
    "asymmetric", "corrupt", "corrupt_rows", "dmi", "instance_rows", "pairflip",
    "realised", "symmetric",
]  # fmt: skip
