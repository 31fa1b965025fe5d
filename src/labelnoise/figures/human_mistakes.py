"""Pictures of people's mistakes (notebook 09): matrices, the dependence on the image, examples."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from scipy.stats import binom

from labelnoise import data, noise
from labelnoise.analysis.tables.human_mistakes import (
    OF,
    SETS,
    by_class,
    counts_of,
    errors,
    labels_of,
    of_three,
    of_three_twins,
)
from labelnoise.figures.confident_learning import picture
from labelnoise.figures.label_noise import RIGHT, WRONG
from labelnoise.tracing import traced

TWIN = "0.25"


@traced
def matrices(*names: str) -> Figure:
    """The confusion matrices of sets of labels, rows in percent. Mistakes are coloured on the scale
    of the largest one of all; what is right stays grey. A frame where a wrong label is given more
    often than the truth."""
    found = []
    for name in dict.fromkeys(names):
        true, given, classes = labels_of(name)
        found.append((name, 100 * noise.realised(true, given, len(classes)), classes))
    top = max((T - np.diag(T.diagonal())).max() for _, T, _ in found)
    figure = plt.figure(figsize=(6.6 * len(found) + 0.4, 6.9))
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.12)
    axes = figure.subplots(1, len(found), squeeze=False)[0]
    for ax, (name, T, classes) in zip(axes, found, strict=True):
        image = matrix(ax, T, classes, top)
        dataset, there = SETS[name]
        ax.set_title(f"{OF[dataset]}, {there}".replace("_", " "))
    figure.colorbar(image, ax=list(axes), shrink=0.7, label="a wrong label (% of the true class)")
    frame = Rectangle((0, 0), 1, 1, fill=False, edgecolor=WRONG, linewidth=2.5,
                      label="given more often than the truth")  # fmt: skip
    figure.legend(handles=[frame], loc="outside lower center", fontsize=10, frameon=False)
    return figure


def matrix(ax: Axes, T: np.ndarray, classes: Sequence[str], top: float) -> object:
    """One matrix in percent."""
    K = len(T)
    image = ax.imshow(np.where(np.eye(K), np.nan, T), cmap="Blues", vmin=0, vmax=top)
    for i, j in np.ndindex(K, K):
        if i == j:
            ax.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, color="0.9", lw=0))
        dark = i != j and T[i, j] > 0.6 * top
        if round(T[i, j]) > 0:
            ax.text(j, i, f"{T[i, j]:.0f}", ha="center", va="center", fontsize=9,
                    fontweight="bold" if i == j else "normal",
                    color="white" if dark else "black")  # fmt: skip
        if T[i, j] > T[i, i]:
            ax.add_patch(Rectangle((j - 0.46, i - 0.46), 0.92, 0.92, fill=False, lw=2.5,
                                   edgecolor=WRONG))  # fmt: skip
    ax.grid(visible=False)
    ax.set_xticks(np.arange(K), classes, rotation=45, ha="right", fontsize=9)
    ax.set_yticks(np.arange(K), classes, fontsize=9)
    ax.set(xlabel="label that was given", ylabel="true class")
    return image


def shares_expected(counts: np.ndarray, true: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The share of images, in percent, with the share of wrong annotators between two ``edges``
    (the upper one within), if these look at the class alone."""
    n = counts.sum(axis=1)
    rates = (1 - by_class(counts, true).diagonal())[true]
    up_to = binom.cdf(np.floor(edges[1:, None] * n + 1e-9), n, rates).mean(axis=1)
    return 100 * np.diff(up_to, prepend=0)


@traced
def dependence(bins: int = 20) -> Figure:
    """How many annotators of an image are wrong, people beside annotators who look at its class
    alone (twins): of some 66 in clothes, of three in objects; percent of the images."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.6), width_ratios=[1.6, 1])
    counts, true = counts_of("fashion_mnist_h")
    wrong, n = errors(counts, true)
    edges = np.linspace(0, 1, bins + 1)
    cell = np.clip(np.ceil(wrong / n * bins - 1e-9).astype(int), 1, bins) - 1
    people = 100 * np.bincount(cell, minlength=bins) / len(true)
    middle, width = 50 * (edges[1:] + edges[:-1]), 100 / bins
    left.bar(middle, people, 0.92 * width, color=RIGHT, alpha=0.75, label="people")
    left.stairs(shares_expected(counts, true, edges), 100 * edges, color=TWIN, lw=2, ls="--",
                label="twins: the class alone decides")  # fmt: skip
    left.set(xlabel=f"annotators who are wrong (% of {n.min()} to {n.max()} an image)",
             xlim=(0, 100), ylabel="images (%)", title="clothes")  # fmt: skip
    left.legend(fontsize="small")
    counts, true = counts_of("cifar10_features")
    x = np.arange(4)
    for shift, shares, look in (
        (-0.2, of_three(counts, true), {"color": RIGHT, "alpha": 0.75, "label": "people"}),
        (0.2, of_three_twins(by_class(counts, true), true),
         {"fill": False, "edgecolor": TWIN, "lw": 2, "ls": "--", "label": "twins"}),
    ):  # fmt: skip
        bars = right.bar(x + shift, 100 * shares, 0.38, **look)
        right.bar_label(bars, fmt="%.1f", fontsize=9, padding=2)
    right.set(xlabel="annotators who are wrong (of three)", ylabel="images (%)", title="objects")
    right.set_xticks(x)
    right.legend(fontsize="small")
    return figure


@traced
def hardest() -> Figure:
    """Of each class of clothes the image on which most annotators are wrong, with the label that
    most of them gave, and below it the one on which fewest are; shares in percent."""
    counts, true = counts_of("fashion_mnist_h")
    images, names = data.load("fashion_mnist_h")[0], data.INFO["fashion_mnist_h"].class_names
    wrong, n = errors(counts, true)
    figure = plt.figure(figsize=(13, 3.9))
    axes = figure.subplots(2, len(names))
    for k, name in enumerate(names):
        of = np.flatnonzero(true == k)
        order = of[np.argsort(wrong[of] / n[of], kind="stable")]
        for ax, i in zip(axes[:, k], (order[-1], order[0]), strict=True):
            label = counts[i].argmax()
            picture(ax, images[i, 0], framed=label != k)
            ax.set_title(f"{names[label]}\n{100 * counts[i, label] / n[i]:.0f} %", fontsize=9,
                         fontweight="normal", pad=3)  # fmt: skip
        axes[1, k].set_xlabel(f"true class:\n{name}", fontsize=9)
    axes[0, 0].set_ylabel("most are wrong", fontsize=10)
    axes[1, 0].set_ylabel("fewest are wrong", fontsize=10)
    frame = Rectangle((0, 0), 1, 1, fill=False, edgecolor=WRONG, linewidth=2.5,
                      label="the most frequent label is wrong (frame, cross)")  # fmt: skip
    figure.legend(handles=[frame], loc="outside lower center", fontsize=9, frameon=False)
    return figure
