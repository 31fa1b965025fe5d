"""The rule of notebook 07: is L_DMI robust without knowing the noise?"""

from collections.abc import Sequence

from labelnoise.analysis import stats
from labelnoise.analysis.rules.rule import Rule
from labelnoise.config import Noise, Run
from labelnoise.experiments.dmi import PATTERNS, dmi_fashion, dmi_mr
from labelnoise.runs.sweep import Outcome

MARGIN = 0.5  # percentage points
ORDER = (*PATTERNS, "cifar10-dependent")

ROBUST = """\
Of the clean test accuracy at the last epoch, DMI minus another loss is paired by seed, at each
pattern and rate: DMI *wins* if the 95 % t interval lies above 0 and the mean is above half a point,
*loses* if the interval lies below 0 and the mean is below minus half a point, and is *level*
otherwise. "L_DMI is robust without knowing the noise" is *supported* on a data set if DMI loses
nowhere to CE, GCE or CLL and wins against each of them at the highest rate of every class-dependent
pattern; *contradicted* if it loses to one of them anywhere; *undecided* otherwise.
"""


def at(outcomes: Sequence[Outcome], noise: Noise, loss: str) -> list[Outcome]:
    """The outcomes of one noise and one loss, in the order of their seeds, diverged ones too."""
    found = [o for o in outcomes if o.run.noise == noise and o.run.loss.name == loss]
    return sorted(found, key=lambda o: o.run.seed)


def finished(outcomes: Sequence[Outcome], noise: Noise, loss: str) -> list[Outcome]:
    """``at`` without those that diverged."""
    return [o for o in at(outcomes, noise, loss) if o.last is not None]


def noises(runs: Sequence[Run]) -> list[Noise]:
    """The noise settings of a grid, by pattern and then by rate."""
    settings = {f"{r.noise}": r.noise for r in runs}.values()
    return sorted(settings, key=lambda n: (ORDER.index(n.pattern), n.rate))


def losses_of(runs: Sequence[Run]) -> dict[str, str]:
    """Name -> label of the losses of a grid; what all runs share, the warm start, is left out."""
    return {r.loss.name: r.label.removesuffix(", warm start") for r in runs}


def gains(outcomes: Sequence[Outcome], noise: Noise, other: str) -> list[float] | None:
    """DMI minus another loss at one noise, seed by seed; None where they share fewer than two."""
    ours, theirs = (stats.by_seed(finished(outcomes, noise, name)) for name in ("DMI", other))
    if len(set(ours) & set(theirs)) < 2:
        return None
    return stats.differences(ours, theirs)


def judged(differences: Sequence[float]) -> str:
    """*wins*, *loses* or *level* of DMI minus another loss, in points."""
    gain = stats.summarise(differences)
    if gain.low > 0 and gain.mean > MARGIN:
        return "wins"
    return "loses" if gain.high < 0 and gain.mean < -MARGIN else "level"


def verdict(runs: Sequence[Run], outcomes: Sequence[Outcome]) -> str:
    """``supported``, ``contradicted`` or ``undecided`` by the rule;
    ``not yet run`` unless every comparison can be made."""
    rivals = [name for name in losses_of(runs) if name not in ("DMI", "Forward")]
    found = {
        (setting.pattern, setting.rate, name): gains(outcomes, setting, name)
        for setting in noises(runs)
        for name in rivals
    }
    if None in found.values():
        return "not yet run"
    words = {key: judged(differences) for key, differences in found.items()}
    if "loses" in words.values():
        return "contradicted"
    highest = max(rate for _, rate, _ in words)
    hard = [w for (pattern, rate, _), w in words.items()
            if rate == highest and pattern != "independent"]  # fmt: skip
    diverged = any(o.last is None for o in outcomes if o.run.loss.name == "DMI")
    return "supported" if set(hard) == {"wins"} and not diverged else "undecided"


def judged_runs() -> list[Run]:
    return dmi_fashion() + dmi_mr()


RULES = (
    Rule(
        "L_DMI is robust",
        ROBUST,
        MARGIN,
        judged_runs,
        verdict,
        after="added with part of the first seed at hand, in which nothing diverged: a grid in "
        "which a run of DMI diverged is not supported",
    ),
)
