"""The one page that a reviewer reads: ``REPORT.md`` and ``report.html``.

Its first table puts paper / committed / this machine side by side, claim by claim.
"""

import base64
import html
from pathlib import Path

import pandas as pd

from labelnoise import experiments
from labelnoise.analysis import claims, tables
from labelnoise.analysis.rules import claims as rule
from labelnoise.files import REPRODUCED, write_atomically
from labelnoise.runs.sweep import Outcome, sweep

FIGURES = {
    "03_learning_curves": "Clean test accuracy while training: CE rises, then memorises the noise "
    "and falls; the robust losses do not.",
    "03_memorisation": "What the network predicts on mislabelled training samples: the wrong label "
    "(memorised) or the true one (corrected).",
}
"""Name below ``figures/`` -> what to see in it."""

NAME = "REPORT.md"
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; font-size: 13px; margin: 1rem 0 }
th, td { border: 1px solid #ccc; padding: .35rem .5rem; text-align: left; vertical-align: top }
th { background: #f2f2f2 } img { max-width: 100% }
"""


def write(profile: str, into: Path, directory: Path = REPRODUCED) -> None:
    """Writes both forms of the report into a folder, with the pictures below ``directory``."""
    committed = sweep(rule.judged_runs(), "replay")
    mine = experiments.profile_runs(profile)
    here = [o for o in sweep(mine, profile) if o.source == "here"]
    sections = content(profile, committed, here)
    write_atomically(into / "report.html", as_html(sections, directory))
    write_atomically(into / NAME, as_markdown(sections, directory))


def content(profile: str, committed: list[Outcome], here: list[Outcome]) -> list[tuple]:
    """(heading, text, table or None) of each section."""
    headline = [o for o in here if o.run.key in {r.key for r in rule.judged_runs()}]
    machine = (
        "; ".join(sorted({describe(o) for o in here})) or "nothing was trained on this machine"
    )
    return [
        (
            "Claims: paper / committed / this machine",
            f"Profile `{profile}`. This machine: {machine}. Accuracies are clean test accuracies "
            "after the last epoch, in percent, mean ± standard deviation over seeds. The verdicts "
            "rest on the committed records; their rules were written down before the runs, but for "
            "what says that it was added (`src/labelnoise/analysis/rules/claims.py`).",
            claims.verdicts(committed, headline),
        ),
        (
            "Does this machine agree?",
            "Each run that was trained here, against the committed seeds of the same setting. A "
            "run outside the interval of a right record is expected once in twenty.",
            claims.agreement(committed, headline),
        ),
        (
            "Every loss that the claims rest on",
            "Committed records: MNIST, 60 % symmetric noise, 4-layer CNN, 50 epochs.",
            tables.accuracy_table(rule.judged_runs(), committed),
        ),
        (
            "Trained on this machine",
            "All runs of the profile.",
            tables.accuracy_table([o.run for o in here], here) if here else None,
        ),
    ]


def describe(outcome: Outcome) -> str:
    made = outcome.record["provenance"]
    return f"{made['device']}, {made['precision']}, torch {made['torch']}"


def as_markdown(sections: list[tuple], directory: Path) -> str:
    parts = ["# Report: MNIST at 60 % symmetric label noise, CE and CLL"]
    for heading, text, table in sections:
        body = "(none)" if table is None or table.empty else table.to_markdown()
        parts += [f"## {heading}", text, body]
    for name in pictures(directory):
        parts += [f"![{FIGURES[name]}](figures/{name}.png)", FIGURES[name]]
    parts.append("The executed notebooks lie in `notebooks/` beside this file.")
    return "\n\n".join(parts) + "\n"


def as_html(sections: list[tuple], directory: Path) -> str:
    """One file that needs no other: the pictures are inside."""
    parts = ["<h1>Report: MNIST at 60 % symmetric label noise, CE and CLL</h1>"]
    for heading, text, table in sections:
        parts.append(f"<h2>{html.escape(heading)}</h2><p>{html.escape(text)}</p>")
        if table is not None and not table.empty:
            with pd.option_context("display.max_colwidth", None):
                parts.append(table.to_html(border=0))
    for name, path in pictures(directory).items():
        caption = html.escape(FIGURES[name])
        source = f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
        parts.append(f"<figure><img src='{source}' alt='{caption}'>"
                     f"<figcaption>{caption}</figcaption></figure>")  # fmt: skip
    head = f"<meta charset='utf-8'><title>Report</title><style>{STYLE}</style>"
    return f"<!doctype html><html lang='en'><head>{head}</head><body>{''.join(parts)}</body></html>"


def headline_markdown(committed: list[Outcome]) -> str:
    """The headline table as README.md shows it."""
    table = tables.accuracy_table(experiments.first_page(), committed, claims.PAPER_COLUMN)
    return table.drop(columns="source").to_markdown()


def update_readme(readme: Path) -> None:
    """Puts the headline table of the committed records between the two marks of ``readme``."""
    begin, end = "<!-- headline -->", "<!-- /headline -->"
    text = readme.read_text()
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"{readme} must hold {begin} and {end} once each")
    table = headline_markdown(sweep(experiments.first_page(), "replay"))
    before, after = text.partition(begin)[0], text.partition(end)[2]
    write_atomically(readme, f"{before}{begin}\n{table}\n{end}{after}")


def pictures(directory: Path) -> dict[str, Path]:
    """Those of ``FIGURES`` that the notebooks have drawn below ``directory``."""
    paths = {name: directory / "figures" / f"{name}.png" for name in FIGURES}
    return {name: path for name, path in paths.items() if path.exists()}
