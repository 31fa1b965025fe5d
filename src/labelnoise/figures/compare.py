"""Pictures that compare: any two losses over p_y, and the forms of CLL at a bandwidth of choice.

Values and gradients come from the code that trains networks, by automatic differentiation in
float64, so that every loss can be drawn, one without a closed form included. What p_y leaves is
spread evenly over the other classes, and the logits are centred, which only LogitClip can see.
"""

import io
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from labelnoise import experiments, theory
from labelnoise.analysis.tables.gradients import GRID, label
from labelnoise.figures import DASHES, colour
from labelnoise.figures.gradients import BELIEF, bandwidths, below
from labelnoise.losses import CLL, PUBLISHED, Loss, build
from labelnoise.tracing import traced

if TYPE_CHECKING:
    from ipywidgets import Box
from labelnoise.analysis.tables.gradients import Curves, curves

ENDS = 1 / (1 + np.exp(-np.linspace(-7, 7, 701)))  # p_y from 0.001 to 0.999, dense at both ends
FORM_COLOURS = ("#0072B2", "#56B4E9", "#000000")


def choose(setting: dict) -> Loss:
    """The loss of ``{"name": ..., "parameters": {...}}``. Parameters that are left out have their
    published MNIST value; those of CLL, which has none, are ours.

    ``ValueError`` for another kind of setting, an unknown loss, or a parameter that the loss does
    not have or not allow.
    """
    shape = {"name": str, "parameters": dict}
    sound = isinstance(setting, dict) and "name" in setting and not set(setting) - set(shape)
    if not sound or not all(isinstance(value, shape[key]) for key, value in setting.items()):
        raise ValueError(f"{setting!r} must be {{'name': '...', 'parameters': {{...}}}}; without "
                         "parameters it is the published MNIST setting")  # fmt: skip
    name, given = setting["name"], setting.get("parameters", {})
    if name == "CLL":
        usual = experiments.CLL.parameters
    elif name in PUBLISHED["mnist"]:
        usual = experiments.published("mnist", name).parameters
    else:
        return build(name, **given)
    if unknown := sorted(set(given) - set(usual)):
        has = ", ".join(usual) or "none"
        raise ValueError(f"loss {name} has no parameter {', '.join(unknown)}; it has: {has}")
    return build(name, **{**usual, **given})


PANELS: tuple[tuple[str, str, Callable[[Curves], np.ndarray]], ...] = (
    ("What a sample costs", "loss L", lambda c: c.value),
    ("Slope in the probability", "|dL/dp_y|", lambda c: abs(c.slope)),
    ("Pull at the logit of the given label", "|dL/dz_y|", lambda c: abs(c.pull)),
)


@traced
def pair(first: Loss, second: Loss, num_classes: int = 10) -> Figure:
    """Two losses side by side: L, |dL/dp_y| and |dL/dz_y| over p_y, dots where the pull is largest,
    and the sample weight with both axes stretched. Where one is more than ten times as large as
    the other, each is divided by its own size, which the axis names."""
    losses, styles = (first, second), pair_styles(first, second)
    found = [curves(loss, GRID, num_classes) for loss in losses]
    figure = plt.figure(figsize=(11, 8.4))
    *axes, last = figure.subplots(2, 2).ravel()
    for ax, (title, name, of) in zip(axes, PANELS, strict=True):
        lines = [of(each) for each in found]
        lows, highs = np.array([drawn(line) for line in lines]).T
        sizes = np.maximum(highs, -lows)
        if min(sizes) > 0 and max(sizes) > 10 * min(sizes):
            name += " (1 is {:.3g} solid, {:.3g} dashed)".format(*sizes)
        else:
            sizes = np.ones(2)
        for line, size, style in zip(lines, sizes, styles, strict=True):
            ax.plot(GRID, line / size, **style)
            if name.startswith("|dL/dz_y|"):
                peak = line.argmax()
                ax.plot(GRID[peak], line[peak] / size, "o", color=style["color"], ms=7, zorder=3)
        low, high = min(lows / sizes), max(highs / sizes) or 1.0
        room = 0.04 * (high - low)
        ax.set(title=title, xlabel=BELIEF, ylabel=name, xlim=(0, 1), ylim=(low - room, high + room))
    weights = [curves(loss, ENDS, num_classes).weight for loss in losses]
    tops = [weight.max() or 1.0 for weight in weights]
    bottom = max(0.5 * np.min(weights), 1e-4 * min(tops))  # what is below pulls no more
    last.set(xscale="logit", yscale="log", ylim=(bottom, 2 * max(tops)), xlim=ENDS[[0, -1]],
             title="Sample weight, stretched at both ends", xlabel=BELIEF,
             ylabel="|dL/dz_y| / (1 - p_y)")  # fmt: skip
    for weight, style in zip(weights, styles, strict=True):
        last.plot(ENDS, weight, **style)
    marks = (0.01, 0.1, 0.5, 0.9, 0.99)
    last.set_xticks(marks, [f"{mark:g}" for mark in marks])
    last.set_xticks([], minor=True)
    for ax in (axes[2], last):
        ax.axvline(1 / num_classes, color="0.4", lw=1.2, ls=":",
                   label=f"untrained network, p_y = 1/{num_classes}")  # fmt: skip
    below(figure, last)
    return figure


@traced
def frames(sigmas: Sequence[float], num_classes: int = 10) -> Figure:
    """L, |dL/dp_y| and |dL/dz_y| of CLL's three forms, a row a sigma, each with its own scale; dots
    where the pull is largest."""
    if not len(sigmas):
        raise ValueError("sigmas is empty: a frame needs a bandwidth")
    figure = plt.figure(figsize=(13, 0.7 + 3.5 * len(sigmas)))
    rows = figure.subplots(len(sigmas), 3, squeeze=False, sharex=True)
    for row, sigma in zip(rows, sigmas, strict=True):
        for form, tone, dash in zip(theory.CLL_FORMULAS, FORM_COLOURS, DASHES, strict=False):
            found = curves(CLL(sigma, form=form), GRID, num_classes)
            for ax, (*_, of) in zip(row, PANELS, strict=True):
                ax.plot(GRID, of(found), color=tone, ls=dash, lw=2.2, label=form)
            peak = abs(found.pull).argmax()
            row[2].plot(GRID[peak], abs(found.pull)[peak], "o", color=tone, ms=7, zorder=3)
        for ax, word, (_, name, _) in zip(row, ("Cost", "Slope", "Pull"), PANELS, strict=True):
            high = max(max(line.get_ydata()) for line in ax.lines) or 1.0
            ax.set(title=f"{word} at sigma {sigma:.3g}", ylabel=name, xlim=(0, 1),
                   ylim=(-0.04 * high, 1.06 * high))  # fmt: skip
        row[2].axvline(1 / num_classes, color="0.4", lw=1.2, ls=":",
                       label=f"untrained network, p_y = 1/{num_classes}")  # fmt: skip
    for ax in rows[-1]:
        ax.set_xlabel(BELIEF)
    below(figure, rows[0, 2])
    return figure


def slider(sigmas: Sequence[float], num_classes: int = 10) -> "Box":
    """A slider over sigma, from the smallest to the largest of ``sigmas``, above the frame at the
    chosen one. For a live notebook: it draws only while a kernel runs.

    The picture is an image and no matplotlib canvas, so that it looks the same in every front end.
    """
    from ipywidgets import FloatLogSlider, Image, VBox  # of the extra `notebooks`, and only here

    low, middle, high = bandwidths(sigmas, 3)
    control = FloatLogSlider(value=middle, min=math.log10(low), max=math.log10(high), step=0.02,
                             description="sigma", readout_format=".3g")  # fmt: skip
    picture = Image(value=frame(control.value, num_classes), layout={"max_width": "100%"})

    def redraw(change):
        picture.value = frame(change["new"], num_classes)

    control.observe(redraw, names="value")
    return VBox([control, picture])


def frame(sigma: float, num_classes: int) -> bytes:
    """One of ``frames`` as a PNG."""
    figure, buffer = frames([sigma], num_classes), io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    plt.close(figure)  # else the notebook shows it a second time
    return buffer.getvalue()


def pair_styles(first: Loss, second: Loss) -> list[dict]:
    """A solid line and a dashed one, in the losses' colours; the second is black if they share
    one."""
    tones = [colour(first.name), colour(second.name)]
    if tones[0] == tones[1]:
        tones[1] = "#000000"
    return [
        {"color": tone, "ls": dash, "lw": 2.4, "label": label(loss)}
        for loss, tone, dash in zip((first, second), tones, DASHES, strict=False)
    ]


def drawn(line: np.ndarray) -> tuple[float, float]:
    """The range of a line over ``GRID`` that is shown: from 0 or its lowest point to its highest,
    but one that shoots up at an end may leave the picture at 1.5 times what it reaches between."""
    high, grows = line.max(), 1 + 1e-9
    if high in (line[0], line[-1]) and (line[[0, -1]] > grows * line[[1, -2]]).any():
        high = min(high, 1.5 * line[(GRID > 0.15) & (GRID < 0.85)].max())
    return min(0.0, line.min()), max(0.0, high)
