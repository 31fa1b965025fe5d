"""Rules: how a question will be judged, written down before the runs that it judges.

A rule is one object: its words, its margin, the runs that it judges, and the function that applies
it. ``tests/test_rules.py`` looks into the history: at the commit that made each judged record the
words stood in the source, or the rule says why they came after.
"""

from labelnoise.analysis.rules import (
    benchmark,
    claims,
    dmi,
    mnist_symmetric,
    model_the_noise,
    robustness_theory,
)
from labelnoise.analysis.rules.rule import Rule

RULES: dict[str, Rule] = {
    rule.name: rule
    for notebook in (mnist_symmetric, robustness_theory, benchmark, model_the_noise, dmi, claims)
    for rule in notebook.RULES
}
"""Every rule by name."""

__all__ = ["RULES", "Rule"]
