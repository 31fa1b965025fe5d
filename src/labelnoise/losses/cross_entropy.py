"""Cross-entropy and its bend towards MAE."""

import torch
from torch import Tensor

from labelnoise.losses.base import TargetLoss, positive


class CE(TargetLoss):
    """Cross-entropy, ``-log p_y``, in [0, inf).

    dL/dp_y = -1/p_y: the less a network believes a label, the harder it is pushed towards it.
    """

    def of_p(self, log_p: Tensor, miss: Tensor) -> Tensor:
        return -log_p


class GCE(TargetLoss):
    """Generalised cross-entropy, ``(1 - p_y^q) / q``, in [0, 1/q]; 0 < q <= 1.

    q -> 0 is CE, q = 1 is MAE/2. Zhang & Sabuncu, NeurIPS 2018 (arXiv 1805.07836), eq. 6, with
    their q = 0.7 as default.
    """

    def __init__(self, q: float = 0.7, reduction: str = "mean"):
        super().__init__(reduction)
        self.q = positive("q", q, high=1.0)

    def of_p(self, log_p: Tensor, miss: Tensor) -> Tensor:
        return -torch.expm1(self.q * log_p) / self.q
