"""The practitioner's question, "30 % of my labels are wrong", worked out (Cross Validated 218656).

The answer given there mixes the prediction with the uniform one. With N classes, y = softmax(z), a
label t and c = 0.3,

    p_i = c/N + (1-c) y_i,    l = -sum_i t_i log p_i,

and with k = c/((1-c) N), which is 3/(7N),

    dl/dy_i = -t_i / (k + y_i),
    dl/dz_i = y_i sum_j t_j y_j/(k + y_j) - t_i y_i/(k + y_i).

For a one-hot label that is cross-entropy's gradient y - t times y_t/(k + y_t): a label that the
network finds less likely than k hardly pulls. The notation is the post's; its loss is
``losses.Mixture(c)``.

``derivation`` proves the post's lines, ``relations`` what joins the mixture to forward and backward
correction and to label smoothing, ``in_code`` shows the latter on the losses that train networks,
and ``learnt`` says where each of them ends.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from labelnoise import noise
from labelnoise.checks import check_matrix, is_number
from labelnoise.losses import CE, Backward, Forward, LabelSmoothing, Loss, Mixture
from labelnoise.seeds import generator
from labelnoise.theory.gradients import by_autograd, by_finite_differences, through_softmax

RATE = 0.3


class Line(NamedTuple):
    """A line of a derivation, and whether sympy confirms it for all values of its symbols."""

    line: str
    holds: bool


class Check(NamedTuple):
    """Largest absolute differences over random samples; see ``check``."""

    value: float
    dl_dy: float
    dl_dz: float
    finite: float


class Match(NamedTuple):
    """Two losses, and the largest differences of their values and gradients; see ``in_code``."""

    first: str
    second: str
    value: float
    gradient: float


# ------------------------------------------------------------------------------ the closed form


def offset(rate: float, num_classes: int) -> float:
    """k = c/((1-c) N): 3/(7N) for 30 %."""
    return Mixture(rate).rate / ((1 - rate) * len(noise.symmetric(num_classes, 0.0)))


def dl_dy(y: ArrayLike, t: ArrayLike, rate: float = RATE) -> np.ndarray:
    """-t_i/(k + y_i), ``[..., N]``, for softmax outputs ``y`` and labels ``t``, both ``[..., N]``;
    labels may be soft. At ``rate`` = 0 every y_i has to be above 0."""
    y, t = _pair(y, t)
    return -t / (offset(rate, y.shape[-1]) + y)


def dl_dz(y: ArrayLike, t: ArrayLike, rate: float = RATE) -> np.ndarray:
    """y_i sum_j t_j y_j/(k + y_j) - t_i y_i/(k + y_i), ``[..., N]``; arguments as ``dl_dy``."""
    y, t = _pair(y, t)
    return through_softmax(y, dl_dy(y, t, rate))


def check(num_classes: int = 10, rate: float = RATE, samples: int = 200, seed: int = 0) -> Check:
    """The closed forms against torch, over random logits in float64, largest absolute differences.

    - ``dl_dy``: to autograd of the post's l, y taken for free variables, as its first line has it
      (as a share of the slope where that is above 1, since it grows like 1/y);
    - ``value`` of that l to ``losses.Mixture``, the code that trains networks;
    - ``dl_dz``: to autograd of ``losses.Mixture``;
    - ``finite``: the same to its central differences.
    """
    z, labels = _drawn(num_classes, samples, seed)
    y = torch.softmax(z, dim=1).requires_grad_()
    t = torch.nn.functional.one_hot(labels, num_classes).to(y)
    cost = -(t * torch.log(rate / num_classes + (1 - rate) * y)).sum(dim=1)
    by_y = torch.autograd.grad(cost.sum(), y)[0].numpy()
    y, t, loss = y.detach().numpy(), t.numpy(), Mixture(rate)
    closed = dl_dz(y, t, rate)
    return Check(
        value=np.abs((cost - loss.per_sample(z, labels)).detach().numpy()).max(),
        dl_dy=(np.abs(dl_dy(y, t, rate) - by_y) / np.abs(by_y).clip(1)).max(),
        dl_dz=np.abs(closed - by_autograd(loss, z, labels)).max(),
        finite=np.abs(closed - by_finite_differences(loss, z, labels)).max(),
    )


# ------------------------------------------------------------------------ what the rates become


def redrawn_rate(wrong: float, num_classes: int) -> float:
    """The c at which a share ``wrong`` of the labels is wrong: c = wrong N/(N-1), since a label
    drawn anew may be right again. So Forward(symmetric(N, wrong)) is Mixture(c).

    ``ValueError`` outside 0 <= wrong < (N-1)/N: from there on the true class is no longer the most
    frequent label, and T is no mixture.
    """
    N = len(noise.symmetric(num_classes, 0.0))
    if not is_number(wrong) or not 0 <= wrong * N < N - 1:
        raise ValueError(f"wrong={wrong!r} must be at least 0 and below (N-1)/N = {1 - 1 / N:g}: "
                         "from there on the true class does not lead, and no mixture has this "
                         "noise; give the share of labels that are wrong, e.g. 0.3")  # fmt: skip
    return wrong * N / (N - 1)


def backward_epsilon(rate: float) -> float:
    """The smoothing that undoes the mixture: epsilon = -c/(1-c), negative. Since T = (1-c) I + c/N
    has the inverse (I - c/N)/(1-c), Backward(T) is cross-entropy against (t - c/N)/(1-c), which is
    LabelSmoothing(epsilon)."""
    return -Mixture(rate).rate / (1 - rate)


def learnt(q: ArrayLike, rate: float = RATE) -> dict[str, np.ndarray]:
    """The prediction of least expected loss where the clean posterior is ``q`` ``[..., N]`` and the
    share ``rate`` of the labels is drawn anew, each ``[..., N]``.

    The labels have the posterior q~ = (1-c) q + c/N. CE learns just that. The mixture expects the
    noise and backward correction takes it off, so both learn q. Label smoothing adds the noise once
    more: (1-c) q~ + c/N. (This is for the expectation. A few labels may have less than c/N of some
    class; there backward correction has no minimum and falls to minus infinity.)
    """
    q, _ = _pair(q, q)
    c, N = Mixture(rate).rate, q.shape[-1]
    noisy = (1 - c) * q + c / N
    return {
        "CE": noisy,
        "LabelSmoothing": (1 - c) * noisy + c / N,
        "Mixture": q,
        "Backward": q,
    }


# ------------------------------------------------------------------------------------- in symbols


def derivation(num_classes: int = 3) -> list[Line]:
    """The post's lines for N = ``num_classes``, any rate c and any labels t, by sympy.

    One does not hold: the middle of the post's last line has lost the minus sign of dl/dy, which
    its end has again.
    """
    import sympy  # heavy, and only for this

    N, c, y, z_slope = _softmax(num_classes)
    k = c / ((1 - c) * N)
    t = sympy.symbols(f"t_1:{N + 1}")
    Y = sympy.symbols(f"y_1:{N + 1}", positive=True)  # y as free variables
    p = [c / N + (1 - c) * v for v in Y]
    cost = -sum(a * sympy.log(b) for a, b in zip(t, p, strict=True))
    by_p = [-(1 - c) * a / b for a, b in zip(t, p, strict=True)]
    by_y = [-t[i] / (k + Y[i]) for i in range(N)]
    to_z = dict(zip(Y, y, strict=True))
    jacobian = [[z_slope(y[j], i) for i in range(N)] for j in range(N)]
    chain = [sum(by_y[j].subs(to_z) * jacobian[j][i] for j in range(N)) for i in range(N)]
    middle = [sum(-by_p[j].subs(to_z) * jacobian[j][i] for j in range(N)) for i in range(N)]
    pull = [t[j] * y[j] / (k + y[j]) for j in range(N)]
    end = [y[i] * sum(pull) - pull[i] for i in range(N)]
    smaller = [(y[0] / (k + y[0])) * (y[i] - int(i == 0)) for i in range(N)]

    def same(a, b):
        """Whether two gradients, linear in t, agree for every label. All classes are alike, so the
        first entry stands for all."""
        return _vanish([sympy.diff(a[0] - b[0], label) for label in t])

    first = {label: int(i == 0) for i, label in enumerate(t)}
    return [
        Line("p_i = c/N + (1-c) y_i sums to 1", _vanish([sum(p).subs(to_z) - 1])),
        Line("dl/dy_i = -(1-c) t_i/p_i",
             same([sympy.diff(cost, v) for v in Y], by_p)),
        Line("       = -t_i/(k + y_i) with k = c/((1-c)N)", same(by_p, by_y)),
        Line("k = 3/(7N) for c = 0.3",
             _vanish([k.subs(c, sympy.Rational(3, 10)) - sympy.Rational(3, 7 * N)])),
        Line("dy_j/dz_i = y_j (delta_ij - y_i)",
             _vanish([jacobian[j][i] - y[j] * (int(i == j) - y[i])
                      for i in range(N) for j in range(N)])),
        Line("dl/dz_i = (1-c) sum_j t_j/p_j dy_j/dz_i (the post's middle)", same(chain, middle)),
        Line("dl/dz_i = -(1-c) sum_j t_j/p_j dy_j/dz_i", same(chain, [-m for m in middle])),
        Line("       = y_i sum_j t_j y_j/(k + y_j) - t_i y_i/(k + y_i) (the post's end)",
             same(chain, end)),
        Line("       = y_t/(k + y_t) (y_i - t_i) for a one-hot label",
             _vanish([e.subs(first) - s for e, s in zip(end, smaller, strict=True)])),
    ]  # fmt: skip


def relations(num_classes: int = 3) -> list[Line]:
    """What joins the mixture, forward and backward correction and label smoothing, by sympy, for
    N = ``num_classes``, any rate c and any softmax output y. The label t is the first class, as all
    are alike.

    One does not hold: at an untrained network mixture and smoothing share value and slope, and the
    curvature no more.
    """
    import sympy

    N, c, y, z_slope = _softmax(num_classes)
    ones, eye = sympy.ones(N, N), sympy.eye(N)
    T = (1 - c) * eye + c / N * ones
    wrong = c * (N - 1) / N
    excluding = (1 - wrong) * eye + wrong / (N - 1) * (ones - eye)
    inverse = (eye - c / N * ones) / (1 - c)
    label, uniform = sympy.Matrix([1] + [0] * (N - 1)), sympy.ones(N, 1) / N
    epsilon = -c / (1 - c)
    log_y = sympy.Matrix([sympy.log(v) for v in y])
    ce, mean = -log_y[0], sum(log_y) / N
    mixture, smoothing = -sympy.log(c / N + (1 - c) * y[0]), -(1 - c) * log_y[0] - c * mean
    # every z_i = 0, that is every e_i = 1
    start = dict.fromkeys(sympy.Matrix(y).free_symbols, 1)

    def at_start(f, *indices):
        for i in indices:
            f = z_slope(f, i)
        return f.subs(start)

    slopes = [at_start(mixture, i) - at_start(smoothing, i) for i in range(N)]
    curvatures = [at_start(mixture, 0, i) - at_start(smoothing, 0, i) for i in range(N)]
    return [
        Line("Mixture(c) = Forward(T), T = (1-c) I + c/N",
             _vanish([(T.T * sympy.Matrix(y))[0] - (c / N + (1 - c) * y[0])])),
        Line("T = the symmetric noise that excludes the true class, of rate c (N-1)/N",
             _vanish(T - excluding)),
        Line("T^-1 = (I - c/N)/(1-c)", _vanish(T * inverse - eye)),
        Line("row t of T^-1 = (1-epsilon) t + epsilon/N with epsilon = -c/(1-c)",
             _vanish(inverse[0, :].T - (1 - epsilon) * label - epsilon * uniform)),
        Line("Backward(T) = LabelSmoothing(-c/(1-c))",
             _vanish([(inverse * -log_y)[0] - ((1 - epsilon) * ce - epsilon * mean)])),
        Line("LabelSmoothing(c) = mean CE of labels redrawn by T", _vanish([smoothing
             - (T * -log_y)[0]])),
        Line("d/dc at c = 0: Mixture 1 - 1/(N y_t), LabelSmoothing log y_t - mean_k log y_k",
             _vanish([sympy.diff(mixture, c).subs(c, 0) - (1 - 1 / (N * y[0])),
                      sympy.diff(smoothing, c).subs(c, 0) - (log_y[0] - mean)])),
        Line("at y = 1/N: Mixture(c) = LabelSmoothing(c) = log N, with one slope (1-c) (y - t)",
             _vanish([at_start(mixture) - sympy.log(N), at_start(smoothing) - sympy.log(N), *slopes,
                      *(at_start(mixture, i) - (1 - c) * (uniform - label)[i] for i in range(N))])),
        Line("at y = 1/N: they have one curvature", _vanish(curvatures)),
    ]  # fmt: skip


# ---------------------------------------------------------------------------------------- in code


def in_code(
    num_classes: int = 10, rate: float = RATE, samples: int = 200, seed: int = 0
) -> list[Match]:
    """The exact relations on the losses that train networks, in float64 on random logits: what is
    left is rounding."""
    N, c = num_classes, Mixture(rate).rate
    T = noise.symmetric(N, c, keep_true=True)
    excluding = noise.symmetric(N, c * (N - 1) / N)
    pairs = [
        ("Mixture(c)", Mixture(c), "Forward(symmetric(N, c, keep_true=True))", Forward(T)),
        ("Mixture(c)", Mixture(c), "Forward(symmetric(N, c (N-1)/N))", Forward(excluding)),
        ("Backward(symmetric(N, c, keep_true=True))", Backward(T),
         "LabelSmoothing(-c/(1-c))", LabelSmoothing(backward_epsilon(c))),
        ("mean CE of redrawn labels", Redrawn(T), "LabelSmoothing(c)", LabelSmoothing(c)),
    ]  # fmt: skip
    z, y = _drawn(N, samples, seed)
    return [
        Match(
            first=first,
            second=second,
            value=(a.per_sample(z, y) - b.per_sample(z, y)).abs().max().item(),
            gradient=np.abs(by_autograd(a, z, y) - by_autograd(b, z, y)).max(),
        )
        for first, a, second, b in pairs
    ]


class Redrawn(Loss):
    """What cross-entropy costs on average if each label y is drawn anew from T[y]:
    sum_j T[y, j] CE_j. The noise is put on the label, where ``Forward`` puts it on the prediction.
    """

    def __init__(self, T: ArrayLike):
        super().__init__()
        self.T = check_matrix(T).tolist()

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        costs = [CE().per_sample(logits, torch.full_like(targets, j)) for j in range(len(self.T))]
        return (logits.new_tensor(self.T)[targets] * torch.stack(costs, dim=1)).sum(dim=1)


# ------------------------------------------------------------------------------------- inner parts


def _softmax(num_classes: int):
    """N, the rate c, the softmax outputs y in symbols e_i = exp(z_i), and (f, i) -> df/dz_i, which
    is e_i df/de_i. So everything is a ratio of polynomials, which sympy decides for any N."""
    import sympy

    N = len(noise.symmetric(num_classes, 0.0))
    c = sympy.Symbol("c", positive=True)
    e = sympy.symbols(f"e_1:{N + 1}", positive=True)
    return N, c, [v / sum(e) for v in e], lambda f, i: e[i] * sympy.diff(f, e[i])


def _vanish(expressions) -> bool:
    import sympy

    return all(sympy.cancel(each) == 0 or sympy.simplify(each) == 0 for each in expressions)


def _pair(y: ArrayLike, t: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    y, t = np.asarray(y, dtype=float), np.asarray(t, dtype=float)
    for name, p in (("y", y), ("t", t)):
        if p.shape != y.shape or p.ndim == 0 or p.shape[-1] < 2:
            raise ValueError(
                f"y and t must have one shape [..., N] with N >= 2, got {y.shape} and {t.shape}"
            )
        if not ((p >= 0) & (p <= 1)).all() or np.abs(p.sum(axis=-1) - 1).max(initial=0) > 1e-6:
            raise ValueError(f"{name} must be probabilities that sum to 1 over the last axis")
    return y, t


def _drawn(num_classes: int, samples: int, seed: int) -> tuple[Tensor, Tensor]:
    """Logits ``[samples, num_classes]`` in float64, and labels."""
    draw = generator(seed, "thirty-percent")
    z = 3 * torch.randn(samples, num_classes, generator=draw, dtype=torch.float64)
    return z, torch.randint(num_classes, (samples,), generator=draw)
