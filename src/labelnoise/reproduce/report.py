"""The one page that a reviewer reads: ``REPORT.md`` and ``report.html``.

A section a source, with committed records and this machine side by side, claim by claim. The
numbers of a row lead to the records that they are from. Both forms are written from one list of
``Section``: ``write_markdown`` and ``write_html`` differ in how they write, and not in what.
"""

import base64
import html
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from labelnoise import experiments
from labelnoise.analysis import claims, tables
from labelnoise.analysis.rules import claims as rule
from labelnoise.analysis.trace import leaves
from labelnoise.files import REPRODUCED, ROOT, write_atomically
from labelnoise.runs.sweep import Outcome, sweep
from labelnoise.tracing.sidecar import has_number, of_cell

TITLE = "Report: which claims hold, with committed records and on this machine"
FIGURES = {
    "03_learning_curves": "Clean test accuracy while training: CE and SCE rise, then memorise the "
    "noise and fall; GCE falls later and less, MAE by a few points, CLL hardly.",
    "03_memorisation": "What the network predicts on mislabelled training samples: the wrong label "
    "(memorised) or the true one (corrected).",
}
"""Name below ``figures/`` -> what to see in it."""

NAME = "REPORT.md"
WORDS = ("claim", "test", "verdict", "reason", "rows")  # columns of sentences, which are no links
LISTED = 24  # more records than this are not listed behind a row
STYLE = """
body { font: 16px/1.55 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem }
p, nav, figure, details { max-width: 50rem }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-size: 14px; margin: 1rem 0 }
th, td { border: 1px solid #bbb; padding: .4rem .55rem; text-align: left; vertical-align: top }
th { background: #eee } th[scope=row] { min-width: 4.5em }
figure { margin: 2rem 0 } img { width: 100%; height: auto } figcaption { margin-top: .4rem }
code { font-size: .9em } :target { background: #fff3bf }
"""


@dataclass(frozen=True)
class Row:
    """A row of a table: its label, its cells, and the records and functions behind its numbers."""

    label: str
    cells: dict[str, str]
    records: list[str] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Section:
    """A heading, what is said below it, and a table: its name in ``tables/`` if it has one, what
    its rows are called, and its rows."""

    heading: str
    text: str
    named: str = ""
    rows_are: str = ""
    rows: list[Row] = field(default_factory=list)

    @property
    def slug(self) -> str:
        return slug(self.heading)


def write(profile: str, into: Path, directory: Path = REPRODUCED) -> None:
    """Writes both forms of the report into a folder, with the pictures below ``directory``."""
    committed = sweep(claims.judged_runs(), "replay")
    here = [o for o in sweep(experiments.profile_runs(profile), profile) if o.source == "here"]
    sections = content(profile, committed, here)
    write_atomically(into / "report.html", as_html(sections, directory))
    write_atomically(into / NAME, as_markdown(sections, directory))


def content(profile: str, committed: Sequence[Outcome], here: Sequence[Outcome]) -> list[Section]:
    """The sections in their order."""
    sources = list(claims.SOURCES.values())
    judged = {run.key for run in claims.judged_runs()}
    mine = [o for o in here if o.run.key in judged]
    found = [claims.verdicts(source, committed, mine) for source in sources]
    machine = (
        "; ".join(sorted({describe(o) for o in here})) or "nothing was trained on this machine"
    )
    legend = ", ".join(f"{sign} {word}" for word, sign in rule.SIGNS.items())
    sections = [
        section(
            "At a glance",
            f"Profile `{profile}`. This machine: {machine}. The verdicts are: {legend}. They rest "
            "on the committed records, with their seeds; what this machine trained stands beside. "
            "The numbers of a row lead to the records behind them. The rules stand in "
            "`src/labelnoise/analysis/rules/claims.py`; a rule that came after the runs that it "
            "judges says so.",
            claims.summary(found, sources),
        )
    ]
    for source, table in zip(sources, found, strict=True):
        cited = f"{source.published[0].upper()}{source.published[1:]}"
        text = f"{cited}. Accuracies are clean test accuracies in percent, mean ± sd."
        columns = ["claim", "test", "ours", "this machine", "verdict", "reason"]
        sections.append(section(source.title, text, claims.shown(table)[columns], "10_claims"))
    return [
        *sections,
        section("The rules of the rows", "When a claim counts as reproduced.", rules(found)),
        section(
            "Does this machine agree?",
            "Each run that was trained here and that a claim rests on, against the committed seeds "
            "of the same setting. One run in twenty is expected outside its interval.",
            claims.agreement(committed, mine),
        ),
        section(
            "Every loss with the CNN",
            "Committed records: MNIST, 60 % symmetric noise, 4-layer CNN, 50 epochs.",
            tables.accuracy_table(rule.cll_runs(), sweep(rule.cll_runs(), "replay")),
        ),
        section(
            "Trained on this machine",
            "All runs of the profile.",
            trained(here),
        ),
    ]  # fmt: skip


def trained(here: Sequence[Outcome]) -> pd.DataFrame:
    """A row a loss and setting of what this machine trained."""
    groups: dict[str, list[Outcome]] = {}
    for o in here:
        noise = o.run.config["noise"]
        setting = (o.run.dataset, o.run.model, noise["kind"], f"{noise.get('rate', '')}")
        groups.setdefault(", ".join(filter(None, setting)), []).append(o)
    found = [
        tables.accuracy_table([o.run for o in group], group).rename(index=lambda loss, s=setting:
                                                                    f"{loss}: {s}")
        for setting, group in groups.items()
    ]  # fmt: skip
    return pd.concat(found) if found else pd.DataFrame()


def rules(found: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Each rule of the rows once, with the rows that it judges."""
    rows = pd.concat(found)
    return pd.DataFrame(
        {
            "rows": {
                words: "; ".join(group.index) for words, group in rows.groupby("rule", sort=False)
            }
        }
    ).rename_axis("rule")


def section(heading: str, text: str, table: pd.DataFrame, named: str = "") -> Section:
    """A section of a table, each of whose rows knows the records behind its numbers."""
    rows = []
    for i, (label, cells) in enumerate(table.iterrows()):
        origins = [o for j in range(len(table.columns)) if (o := of_cell(table, i, j)) is not None]
        records = [f"{ledger}/{name}.json" for ledger, name in leaves(origins)]
        functions = dict.fromkeys(o["by"] for o in origins if "by" in o)
        shown = {str(column): str(cell) for column, cell in cells.items()}
        rows.append(Row(str(label), shown, records, list(functions)))
    return Section(heading, text, named, str(table.index.name or ""), rows)


def describe(outcome: Outcome) -> str:
    made = outcome.record["provenance"]
    return f"{made['device']}, {made['precision']}, torch {made['torch']}"


# ---------------------------------------------------------------------------------- both forms


def slug(text: str) -> str:
    """A heading as GitHub turns it into an anchor."""
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


def title(of: Section, row: Row) -> str:
    """The heading above what is behind a row."""
    return row.label if of.named else f"{of.heading}: {row.label}"


def behind(of: Section, row: Row, link: Callable[[str], str]) -> str:
    """The records and functions that the numbers of a row are from, and what computes them again,
    where a table in ``tables/`` has it."""
    records = [link(record) for record in row.records[:LISTED]]
    rest = len(row.records) - LISTED
    text = f"{', '.join(records)}{f' and {rest} more' if rest > 0 else ''}" or "Of no record"
    text += f"; computed by {', '.join(f'`{name}`' for name in row.functions)}."
    if of.named:
        text += f" `make trace NAME={of.named} ROW='{row.label}'` computes them again."
    return text


def place(record: str, directory: Path) -> str:
    """A record as seen from the report."""
    return Path(os.path.relpath(ROOT / record, directory)).as_posix()


def linked(of: Section, row: Row, cells: dict[str, str], link: Callable[[str, str], str]) -> dict:
    """The cells of a row, where its label and every number that we found lead to what is behind
    them."""
    to = f"#{slug(title(of, row))}"
    return {c: link(text, to) if row.functions and c not in WORDS and
            (c == of.rows_are or has_number(text)) else text
            for c, text in cells.items()}  # fmt: skip


def pictures(directory: Path) -> dict[str, Path]:
    """Those of ``FIGURES`` that the notebooks have drawn below ``directory``."""
    paths = {name: directory / "figures" / f"{name}.png" for name in FIGURES}
    return {name: path for name, path in paths.items() if path.exists()}


# ------------------------------------------------------------------------------------- Markdown


def as_markdown(sections: Sequence[Section], directory: Path) -> str:
    contents = [f"- [{each.heading}](#{each.slug})" for each in sections]
    parts = [f"# {TITLE}", "\n".join(contents)]
    for each in sections:
        parts += [f"## {each.heading}", each.text, markdown_table(each)]
    for name in pictures(directory):
        parts += [f"![{FIGURES[name]}](figures/{name}.png)", FIGURES[name]]
    parts += ["## Behind the numbers",
              "The executed notebooks lie in `notebooks/` beside this file, tables with their "
              "traces in `tables/`."]  # fmt: skip
    for each in sections:
        for row in (row for row in each.rows if row.functions):
            parts.append(f"### {title(each, row)}")
            parts.append(behind(each, row, lambda r: f"[{Path(r).stem}]({place(r, directory)})"))
    return "\n\n".join(parts) + "\n"


def markdown_table(of: Section) -> str:
    if not of.rows:
        return "(none)"
    columns = list(of.rows[0].cells)
    lines = [[of.rows_are, *columns], ["---"] * (len(columns) + 1)]
    for row in of.rows:
        cells = {c: cell(text) for c, text in {of.rows_are: row.label, **row.cells}.items()}
        found = linked(of, row, cells, lambda text, to: f"[{text}]({to})")
        lines.append(list(found.values()))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(text: str) -> str:
    """A text that ends no cell and no link before its time."""
    return re.sub(r"([|\[\]])", r"\\\1", " ".join(text.split()))


# ----------------------------------------------------------------------------------------- HTML


def as_html(sections: Sequence[Section], directory: Path) -> str:
    """One file that needs no other: the pictures are inside."""
    shown = pictures(directory)
    headings = [each.heading for each in sections] + ["Figures"] * bool(shown)
    headings.append("Behind the numbers")
    contents = "".join(f"<li><a href='#{slug(h)}'>{inline(h)}</a></li>" for h in headings)
    parts = [f"<h1>{TITLE}</h1>", f"<nav aria-label='Contents'><ul>{contents}</ul></nav>"]
    for each in sections:
        parts += [
            f"<h2 id='{each.slug}'>{inline(each.heading)}</h2>",
            f"<p>{inline(each.text)}</p>",
        ]
        parts.append(html_table(each))
    if shown:
        parts.append("<h2 id='figures'>Figures</h2>")
    for name, path in shown.items():
        caption = html.escape(FIGURES[name])
        source = f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
        parts.append(f"<figure><img src='{source}' alt='{caption}'>"
                     f"<figcaption>{caption}</figcaption></figure>")  # fmt: skip
    parts.append(f"<h2 id='{slug(headings[-1])}'>{headings[-1]}</h2>")
    for each in sections:
        for row in (row for row in each.rows if row.functions):
            heading = title(each, row)
            text = inline(behind(each, row, lambda r: f"@{r}@"))
            text = re.sub("@(.+?)@", lambda m: html_link(m[1], directory), text)
            parts.append(f"<h3 id='{slug(heading)}'>{inline(heading)}</h3><p>{text}</p>")
    head = f"<meta charset='utf-8'><title>Report</title><style>{STYLE}</style>"
    return f"<!doctype html><html lang='en'><head>{head}</head><body>{''.join(parts)}</body></html>"


def html_link(record: str, directory: Path) -> str:
    return f"<a href='{place(record, directory)}'>{Path(record).stem}</a>"


def html_table(of: Section) -> str:
    if not of.rows:
        return "<p>(none)</p>"
    head = "".join(f"<th scope='col'>{inline(c)}</th>" for c in (of.rows_are, *of.rows[0].cells))
    body = []
    for row in of.rows:
        cells = {c: inline(text) for c, text in {of.rows_are: row.label, **row.cells}.items()}
        label, *found = linked(
            of, row, cells, lambda text, to: f"<a href='{to}'>{text}</a>"
        ).values()
        tds = "".join(f"<td>{text}</td>" for text in found)
        body.append(f"<tr><th scope='row'>{label}</th>{tds}</tr>")
    return (f"<div class='wide'><table><thead><tr>{head}</tr></thead>"
            f"<tbody>{''.join(body)}</tbody></table></div>")  # fmt: skip


def inline(text: str) -> str:
    """A text of ours as HTML: escaped, with `code` as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))


# --------------------------------------------------------------------------------------- README


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
