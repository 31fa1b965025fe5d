"""Rules: how a question will be judged, written down before the runs that it judges.

A rule is one object: its words, its margin, the runs that it judges, and the function that applies
it. ``tests/test_rules.py`` looks into the history: at the commit that made each judged record the
words stood in the source, or the rule says why they came after.
"""

from labelnoise.analysis.rules import (
    benchmark,
    claims,
    dmi,
    human_noise,
    mnist_symmetric,
    model_the_noise,
    robustness_theory,
    suspects,
    tuning,
)
from labelnoise.analysis.rules.rule import Rule

FILES = (
    *(mnist_symmetric, robustness_theory, benchmark, tuning),
    *(model_the_noise, suspects, dmi, human_noise, claims),
)
RULES: dict[str, Rule] = {rule.name: rule for file in FILES for rule in file.RULES}
"""Every rule by name."""

__all__ = ["RULES", "Rule"]
