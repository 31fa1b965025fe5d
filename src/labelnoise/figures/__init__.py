"""Pictures: one style, and one way to save. The drawing functions stand beside, a file a notebook.

Every drawing function takes data (records, arrays), returns a ``matplotlib.figure.Figure``, is
marked ``@traced``, and saves nothing; ``save(figure, name)`` writes it as PDF and PNG below
``output()``, and beside them the call that drew it.
"""

import io
import os

import matplotlib as mpl
import seaborn as sns
from matplotlib.figure import Figure

from labelnoise.files import output, write_atomically
from labelnoise.losses import FAMILIES
from labelnoise.tracing import sidecar

# Okabe and Ito's palette, safe for colour-blind readers, and three darker tones for losses that
# stand beside another of their family; a loss keeps its colour in every figure.
COLOURS = {
    "CE": "#D55E00",
    "CLL": "#0072B2",
    "GCE": "#009E73",
    "MAE": "#CC79A7",
    "SCE": "#E69F00",
    "AGCE": "#882255",
    "AEL": "#4D4D4D",
    "TaylorCE": "#8C510A",
    "paper": "#000000",
}
# By the families of ``losses.FAMILIES``: for pictures of many losses.
FAMILY_COLOURS = {
    "cross-entropy and its bends": "#D55E00",
    "linear in p_y": "#CC79A7",
    "normalised, and sums": "#E69F00",
    "asymmetric": "#56B4E9",
    "divergences": "#009E73",
    "squared error and correntropy": "#0072B2",
}
# Line styles tell apart what shares a colour, and survive a black-and-white print.
DASHES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))


def style() -> None:
    """One look for every figure; call it once at the top of a notebook."""
    sns.set_theme(context="notebook", style="whitegrid", palette="colorblind")
    mpl.rcParams.update(
        {
            "figure.constrained_layout.use": True,
            "figure.dpi": 90,
            "savefig.dpi": 160,
            "axes.titlesize": "medium",
            "axes.titleweight": "bold",
            "pdf.fonttype": 42,  # text stays text
            "svg.hashsalt": "labelnoise",
        }
    )


def save(figure: Figure, name: str) -> None:
    """Writes ``figures/<name>.pdf`` and ``.png`` below ``output()``, without dates, so that the
    same data gives the same bytes, and ``.json``: what drew it, of which records.
    ``$LABELNOISE_PICTURES`` names the kinds if they are not to be both ("" for none: drawing them
    is two thirds of what a figure costs a notebook).

    ``origin.OriginError`` for a figure of which nothing tells what drew it.
    """
    origins = sidecar.of_figure(figure, name)
    wanted = os.environ.get("LABELNOISE_PICTURES", "pdf,png").split(",")
    for kind, metadata in (("pdf", {"CreationDate": None}), ("png", {"Software": None})):
        if kind not in wanted:
            continue
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, metadata=metadata)
        write_atomically(output() / "figures" / f"{name}.{kind}", buffer.getvalue())
    figure.stale = False  # or pyplot draws it once more after the cell, for nobody to see
    write_atomically(output() / "figures" / f"{name}.json", origins)


def colour(loss_name: str) -> str:
    """The colour of a loss by its short name: its own, its family's, or grey."""
    return COLOURS.get(loss_name) or FAMILY_COLOURS.get(family(loss_name), "#666666")


def family(loss_name: str) -> str | None:
    """The family of a loss, None for an unknown one."""
    return next((name for name, known in FAMILIES.items() if loss_name in known), None)
