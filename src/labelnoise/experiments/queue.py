"""What `make evidence` trains, and in which order: what decides most first, whole seeds first.

Every grid is either in ``ORDER`` or, with its reason, in ``LEFT_OUT``.
"""

from labelnoise.config import Run
from labelnoise.experiments import GRIDS

# (grid, its seeds); None for all that the grid has.
ORDER: tuple[tuple[str, tuple[int, ...] | None], ...] = (
    ("headline", None),
    ("robust_losses", (0, 1, 2)),  # claim 6 at three seeds
    ("cnn_losses", (0, 1, 2)),
    ("early_stopping", None),
    ("step_decay_shape_mlp", None),
    ("cll_points", None),
    ("step_decay_shape", (5,)),
    ("step_decay_shape", (6, 7)),
    ("benchmark_small", None),
    ("tuning", None),
    ("tuning_published", None),
    ("human_objects", None),
    ("human_clothes", None),
    ("human_counted", None),
    ("human_detectors", None),
    ("suspect_lists", None),
    ("human_dmi", None),
    ("benchmark_mlp", None),
    ("human_clothes_cnn", None),
    ("human_news", None),
    ("benchmark_mr", None),
    ("benchmark_cnn", (3,)),
    ("benchmark_cifar10", (3,)),
    ("benchmark_cnn", (4, 5)),
    ("benchmark_cifar10", (4, 5)),
    ("benchmark_headline", None),
    ("robust_losses", (3, 4)),
    # The older grids: recorded, and trained again only if a record is gone.
    *((name, None) for name in (
        "cll_map", "cll_choice", "clean_labels", "ce_protocols", "cll_normalised", "every_loss",
        "anl", "ratio_sweep", "cll_start", "size_or_shape", "thirty_percent", "clipping",
        "assumed_rates", "estimated_matrices", "assumed_flips", "own_labels", "detectors",
        "fashion", "dmi_fashion", "dmi_cold", "dmi_mr", "dmi_clean", "parity",
    )),
)  # fmt: skip
LEFT_OUT = {
    "dmi_cifar10": "ResNet-34 needs a GPU: python -m labelnoise.runs.sweep dmi_cifar10 "
    "--into results",
    "dmi_dogs": "needs a GPU and your own copy of the photos (see data/photos.py): python -m "
    "labelnoise.runs.sweep dmi_dogs --into results",
    "smoke": "for tests",
}


def queue() -> list[tuple[str, list[Run]]]:
    """The entries in their order, each with its runs; a run stands in the first that asks for it.

    Raises ``ValueError`` for a grid that is neither queued nor left out, and for a name that is no
    grid.
    """
    named = {name for name, _ in ORDER} | set(LEFT_OUT)
    if unqueued := sorted(set(GRIDS) - named):
        raise ValueError(f"nobody queued the grids {', '.join(unqueued)}: give each its place in "
                         "ORDER, or its reason in LEFT_OUT, of experiments/queue.py")  # fmt: skip
    if unknown := sorted(named - set(GRIDS)):
        raise ValueError(f"the queue names {', '.join(unknown)}, which are no grids of "
                         "experiments.GRIDS")  # fmt: skip
    seen: set[str] = set()
    entries = []
    for name, seeds in ORDER:
        asked = GRIDS[name]() if seeds is None else GRIDS[name](seeds)
        runs = list({run.key: run for run in asked if run.key not in seen}.values())
        seen |= {run.key for run in runs}
        title = name if seeds is None else f"{name}, seeds {', '.join(map(str, seeds))}"
        entries.append((title, runs))
    return entries
