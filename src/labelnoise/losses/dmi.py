"""L_DMI: the information between labels and predictions of a whole batch, as a determinant."""

import math

import torch
from torch import Tensor

from labelnoise.checks import is_number
from labelnoise.losses.base import Loss


class DMI(Loss):
    """Determinant-based mutual information, ``-log(|det U| + floor/K^K)``, of the batch:
    U = (1/B) sum_b one-hot(y_b) p_b^T, ``[K, K]``, the joint distribution of label and prediction.
    In [K log K - log(1 + floor), K log K - log(floor)]; floor in [1e-30, 1].

    Xu et al., NeurIPS 2019 (arXiv 1909.03388). Noise that knows nothing but the true class turns
    U into T^T U, so it only adds the constant -log |det T|, and T need not be known. The price:

    - |det U| does not change when the K outputs are permuted. The loss cannot know which output
      means which class; a network is trained with CE first.
    - Of a constant network U has rank 1, and the loss no slope (det vanishes with its derivatives,
      or |det| has its kink). Near a singular U the slope is enormous, up to 1/floor, and on which
      side of the kink U lies may be rounding: clip its norm, and start from CE.

    **Floor.** By Hadamard |det U| <= K^-K, reached by a perfect network on balanced labels, and
    |det(K U)| lies in [0, 1] for any K. The floor stands beside that number: it only keeps value
    and gradient finite at a singular U, so it has to be far below any |det T| for the noise to stay
    a constant (symmetric noise of 80 %, K = 10: |det T| = 3e-9), and far above 1e-38 for gradients
    in float32. The default 1e-17 is about what public code has in its CIFAR-10 script: -log(|det
    (B U)| + 0.001) is this loss with floor = 0.001 (K/B)^K, here 8e-18, minus K log B. Where public
    code divides by B (Fashion-MNIST, K = 2), floor = 0.001 K^K = 0.004.

    **Many classes.** Of a network with three answers of four right, |det(K U)| is some 1e-3 at
    K = 10, 1e-10 at K = 20, and 1e-40 at K = 50: below the floor, where the loss is as good as
    constant and teaches nothing. The default suits up to some 20 classes, the least floor some 30;
    take another loss for more.

    **Batches.** The loss belongs to the batch: there is no value per sample, and ``reduction`` has
    to be ``mean``. A batch without samples of some class has det U = 0, the value K log K -
    log(floor) and the gradient 0: it teaches nothing. So does every batch of fewer than K samples,
    which is refused. The determinant of a batch of B independent samples has the expectation
    B! / ((B-K)! B^K) det(U of all data): a constant that is the same for all networks. Its
    logarithm is not unbiased: batches have to be large enough for det U to vary little.

    Computed in float64, also under autocast; the value has the dtype of the logits (float32 for
    half precision). Works under ``torch.compile`` and, over whole batches, under ``vmap``.
    """

    def __init__(self, floor: float = 1e-17, reduction: str = "mean", **shared: int | None):
        super().__init__(reduction, **shared)
        if reduction != "mean":
            raise ValueError(
                f"reduction={reduction!r} is not possible: the determinant belongs to the whole "
                "batch, so there is no value per sample to list or to add up; leave it at 'mean'"
            )
        if not is_number(floor) or not 1e-30 <= floor <= 1:
            raise ValueError(
                f"floor={floor!r} must be a number in [1e-30, 1]: with less, a singular U would "
                "have an infinite gradient in float32"
            )
        self.floor = float(floor)

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        raise ValueError("DMI has no value per sample: the determinant belongs to the whole batch")

    def value(self, logits: Tensor, targets: Tensor, keep: Tensor | None = None) -> Tensor:
        B, K = logits.shape
        if B < K:
            raise ValueError(
                f"a batch of {B} samples is too small for DMI with {K} classes: U is a sum of {B} "
                "matrices of rank 1, so det U = 0 whatever the network says; take batches of many "
                f"times {K} samples, and leave out a smaller last one"
            )
        det = determinant(K * joint(logits, targets, keep)).abs()
        return (K * math.log(K) - torch.log(det + self.floor)).to(logits.dtype)


def joint(logits: Tensor, targets: Tensor, keep: Tensor | None = None) -> Tensor:
    """U = (1/B) sum_b one-hot(y_b) softmax(z_b)^T in float64, ``[K, K]``: rows are labels. Samples
    that are not in ``keep``, ``[B]``, are left out."""
    p = torch.softmax(logits.double(), dim=1)
    labels = targets if keep is None else targets.where(keep, 0)
    one_hot = torch.zeros_like(p.T, memory_format=torch.contiguous_format)  # [K, B]
    one_hot = one_hot.scatter(0, labels[None], 1)
    if keep is None:
        return one_hot @ p / p.shape[0]
    return one_hot * keep @ p / keep.sum()


def determinant(A: Tensor) -> Tensor:
    """det A of ``[K, K]``, and 0 without a slope where it is below 1e-150: autograd has det A A^-T,
    which is 0 * inf = NaN near 1e-308. (At det A = 0 torch has the slope 0, not the adjugate.)"""
    lost = torch.linalg.det(A.detach()).abs() < 1e-150
    eye = torch.eye(len(A), dtype=A.dtype, device=A.device)
    return torch.where(lost, 0, torch.linalg.det(torch.where(lost, eye, A)))
