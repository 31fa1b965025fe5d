"""The rules of notebook 08's last part: when can a list of suspects be trusted?"""

from collections.abc import Sequence

from labelnoise.analysis import stats
from labelnoise.analysis.rules.rule import Rule
from labelnoise.config import Noise, Run
from labelnoise.data import INFO
from labelnoise.experiments.suspects import CELLS, CLEAN, SEEDS, SIZES, suspect_lists
from labelnoise.noise.signs import Sign, signs
from labelnoise.runs.sweep import Outcome

NETWORK, FOREST, LOGISTIC = JUDGES = ("network", "random forest", "logistic regression")
MARGIN = 0.5
AT_LEAST = 4  # of the six cells

AS_GOOD = """\
A cell is a data set and a noise: MNIST and letters with 30 % symmetric and 30 % asymmetric noise,
Fashion-MNIST-H with 30 % symmetric noise and with the labels of one annotator. 2000 training
samples are drawn, as many of each class. An MLP that learns with GCE at a learning rate of 0.1,
chosen on scikit-learn's digits, and a random forest of scikit-learn's defaults judge the same
samples out of sample in the same five folds. The network is as good in a cell if the average
precision of its ranking by p_y, in percent, mean of seeds 0, 1, 2, is no more than 0.5 points below
that of the forest. "The network's list is as good as a random forest's" is supported if that holds
in at least four of the six cells, refuted otherwise.
"""

RARE = """\
The six cells at 300 and at 2000 samples, with one class rare: 5 samples of 300, 20 of 2000. The
signs are those of noise/signs.py, with its thresholds, which were set on scikit-learn's digits, of
what the network says. The alarm rings in a cell at a size if in each of the seeds 0, 1, 2 there is
a sign that names the rare class and at most a third of all classes: one that names most of them
says nothing of this one. "A rare class raises an alarm" is supported if it rings in all twelve,
refuted if in none, partly supported otherwise.
"""

FALSE = """\
Clean labels, as many of each class: MNIST, letters and Fashion-MNIST-H, 300 and 2000 samples, seeds
0, 1, 2, and MNIST's 300 at seeds 0 to 19. A false alarm is any sign of noise/signs.py in what the
network says, but for "few samples", which is told by the number of labels alone: 300 letters are
11 or 12 a class, and it should ring there. "No alarm is false" is supported if no run has a false
alarm, refuted if more than one run in twenty has one, undecided otherwise.
"""


def signs_of(outcome: Outcome, judge: str = NETWORK) -> list[Sign]:
    """What rings in one list."""
    seen = outcome.record["result"]["lists"][judge]["measured"]
    return signs(seen, outcome.run.method.folds)


def names_rare(sign: Sign, run: Run) -> bool:
    """Whether a sign names the class that is rare, and at most a third of all classes."""
    limit = INFO[run.dataset].num_classes / 3
    return run.method.rare in sign.classes and len(sign.classes) <= limit


def kind(run: Run) -> tuple[str, Noise, int, bool]:
    """Data set, noise, size, and whether a class is rare."""
    return run.dataset, run.noise, run.method.size, run.method.rare is not None


def by_kind(outcomes: Sequence[Outcome]) -> dict[tuple[str, Noise, int, bool], list[Outcome]]:
    groups: dict[tuple[str, Noise, int, bool], list[Outcome]] = {}
    for o in outcomes:
        groups.setdefault(kind(o.run), []).append(o)
    return groups


def precisions(outcomes: Sequence[Outcome], judge: str) -> list[float]:
    """The average precision of every list, in percent."""
    return [o.record["result"]["lists"][judge]["detection"]["average_precision"] for o in outcomes]


def balanced_runs() -> list[Run]:
    """What ``AS_GOOD`` judges."""
    return [run for run in suspect_lists() if run.noise != CLEAN
            and run.method.rare is None and run.method.size == max(SIZES)]  # fmt: skip


def rare_runs() -> list[Run]:
    return [run for run in suspect_lists() if run.method.rare is not None]


def clean_runs() -> list[Run]:
    return [run for run in suspect_lists() if run.noise == CLEAN]


def whole(outcomes: Sequence[Outcome], asked: Sequence[Run]) -> list[Outcome]:
    """The outcomes of the runs that were asked for; none if one is not there."""
    keys = {run.key for run in asked}
    mine = [o for o in outcomes if o.run.key in keys]
    return mine if len({o.run.key for o in mine}) == len(keys) else []


def judge_as_good(outcomes: Sequence[Outcome]) -> dict:
    """``differences``: (data set, noise) -> the network's average precision minus the forest's, of
    cells with all seeds; and the ``word``, once all are there."""
    asked = {run.key for run in balanced_runs()}
    groups = by_kind([o for o in outcomes if o.run.key in asked])
    found = {
        (dataset, noise): stats.mean(precisions(group, NETWORK))
        - stats.mean(precisions(group, FOREST))
        for (dataset, noise, _, _), group in groups.items()
        if len(group) == len(SEEDS)
    }
    good = sum(each >= -MARGIN for each in found.values())
    word = ("supported" if good >= AT_LEAST else "refuted") if len(found) == len(CELLS) else None
    return {"differences": found, "good": good, "word": word}


def judge_rare(outcomes: Sequence[Outcome]) -> dict:
    """``rang``: kind -> in how many of its seeds a sign names the rare class; and the ``word``."""
    asked = {run.key for run in rare_runs()}
    groups = by_kind([o for o in outcomes if o.run.key in asked])
    rang = {
        key: sum(any(names_rare(sign, o.run) for sign in signs_of(o)) for o in group)
        for key, group in groups.items()
        if len(group) == len(SEEDS)
    }
    word = None
    if whole(outcomes, rare_runs()):
        all_seeds = [n == len(SEEDS) for n in rang.values()]
        word = ("supported" if all(all_seeds) else "partly supported" if any(all_seeds)
                else "refuted")  # fmt: skip
    return {"rang": rang, "word": word}


def judge_false(outcomes: Sequence[Outcome]) -> dict:
    """``false``: the outcomes with a false alarm; ``of``: how many there are; and the ``word``."""
    asked = {run.key for run in clean_runs()}
    mine = [o for o in outcomes if o.run.key in asked]
    false = [o for o in mine if any(sign.name != "few samples" for sign in signs_of(o))]
    word = None
    if whole(outcomes, clean_runs()):
        word = ("supported" if not false else
                "refuted" if 20 * len(false) > len(mine) else "undecided")  # fmt: skip
    return {"false": false, "of": len(mine), "word": word}


RULES = (
    Rule("a list as good as a forest's", AS_GOOD, MARGIN, balanced_runs, judge_as_good),
    Rule("a rare class raises an alarm", RARE, None, rare_runs, judge_rare),
    Rule("no alarm is false", FALSE, None, clean_runs, judge_false),
)
