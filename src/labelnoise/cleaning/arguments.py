"""What the command line of ``own_data`` takes, and the classifier that it names."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from sklearn.base import ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from labelnoise import losses
from labelnoise.cleaning.classifier import NETWORKS, NetworkClassifier
from labelnoise.experiments.suspects import PROTOCOL

# C of the logistic regression. Wrong labels bend it less at 0.01 than at scikit-learn's default of
# 1: on scikit-learn's digits with 30 % wrong it ranks them at an average precision of 99 % and not
# 93 %, and it was the better one at 150 and 400 samples, too.
PULL = 0.01
JUDGES = ("network", "logistic_regression", "random_forest")


def read_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """What was chosen; a table that stands alone is ``labels``, and ``data`` None. Ends the program
    with a message where the options do not go together."""
    made = parser()
    chosen = made.parse_args(arguments)
    if chosen.labels is None and not chosen.data.is_dir():
        if chosen.probabilities is None:
            made.error(f"{chosen.data} is not a folder; give a folder of pictures, features "
                       "(.npy) and their table, or a table and --probabilities")  # fmt: skip
        chosen.data, chosen.labels = None, chosen.data
    if chosen.size and not (chosen.data and chosen.data.is_dir()):
        made.error("--size is for pictures in a folder")
    return chosen


def parser() -> argparse.ArgumentParser:
    """What the command line takes."""
    made = argparse.ArgumentParser(
        prog="python -m labelnoise.cleaning.own_data",
        usage="%(prog)s DATA [LABELS.CSV] [options]",
        description="Rank labels that are likely wrong.",
    )
    add = made.add_argument
    add("data", type=Path, help="a folder of pictures, or features [N, D] in a .npy file; with "
        "--probabilities the table alone will do")  # fmt: skip
    add("labels", type=Path, nargs="?", help="CSV with the columns file and label; without it the "
        "folder holds a folder for each class")  # fmt: skip
    add(
        "--file-column",
        default="file",
        help="the column of the table that names the files (default: file)",
    )
    add(
        "--label-column",
        default="label",
        help="the column of the table that holds the labels (default: label)",
    )
    add("--size", type=pixels, metavar="N or HxW", help="cut the pictures to this shape around "
        "their centre, and scale them to it")  # fmt: skip
    add("--judge", choices=JUDGES, help="default: network for pictures, logistic_regression for "
        "features")  # fmt: skip
    for name, default, meaning in (
        ("folds", 5, "trainings"),
        ("epochs", PROTOCOL["epochs"], "of each training of a network"),
        ("lr", PROTOCOL["lr"], "learning rate of the first epoch of a network"),
        ("seed", 0, "of initialisation and order"),
    ):
        add(f"--{name}", type=type(default), default=default, metavar="N",
            help=f"{meaning} (default: {default})")  # fmt: skip
    add("--threads", type=int, metavar="N", help="CPU threads; the last digits depend on them "
        "(default: as many as are fastest for this model)")  # fmt: skip
    add("--device", help="cpu or cuda (default: CUDA where there is one)")
    add("--early-stopping", type=float, metavar="SHARE", help="stop each network by its accuracy "
        "on this share of the labels, such as 0.1, that it does not learn from")  # fmt: skip
    add("--loss", default="GCE", choices=losses.LOSSES, metavar="NAME",
        help=f"of the networks (default: GCE): {', '.join(losses.LOSSES)}")  # fmt: skip
    add("--model", default="mlp", choices=NETWORKS, metavar="NAME",
        help=f"the network (default: mlp): {', '.join(NETWORKS)}")  # fmt: skip
    add("--out", type=Path, default=Path("suspects.csv"), help="the list; the probabilities lie "
        "beside it, as .npz (default: suspects.csv)")  # fmt: skip
    add("--probabilities", type=Path, metavar="P.NPZ", help="train nothing: take these")
    add("--gallery", type=Path, metavar="PAGE.PNG", help="draw the first sixty of the list")
    add("--pictures", type=Path, help="where --gallery finds the files that the table names, if "
        "that is not where the table lies")  # fmt: skip
    return made


def pixels(text: str) -> int | tuple[int, int]:
    """A size, from ``32`` or ``32x48``."""
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdecimal() and int(side) for side in sides):
        raise argparse.ArgumentTypeError(f"{text} is no size such as 32 or 32x48")
    sides = [int(side) for side in sides]
    return sides[0] if len(sides) == 1 else (sides[0], sides[1])


def judge(chosen: argparse.Namespace, features: bool) -> ClassifierMixin:
    """The classifier that the command line names."""
    name = chosen.judge or ("logistic_regression" if features else "network")
    if name == "network":
        if features:
            raise ValueError("--judge network reads pictures, not features: take "
                             "logistic_regression or random_forest")  # fmt: skip
        protocol = {**PROTOCOL, "epochs": chosen.epochs, "lr": chosen.lr}
        return NetworkClassifier(
            chosen.loss, chosen.model, protocol, chosen.seed, chosen.device,
            threads=chosen.threads, early_stopping=chosen.early_stopping,
        )  # fmt: skip
    if name == "random_forest":
        return RandomForestClassifier(random_state=chosen.seed, n_jobs=chosen.threads)
    return make_pipeline(StandardScaler(), LogisticRegression(C=PULL, max_iter=1000))
