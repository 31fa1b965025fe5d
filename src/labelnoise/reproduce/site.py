"""The site: what Sphinx cannot know of the committed notebooks, tables and records.

    make site

``docs/conf.py`` connects these functions to Sphinx's events. Nothing is executed: a page shows a
notebook as it is committed. A table of a notebook that lies in ``tables/`` is found again by its
cells, and each of its numbers leads to a page that lists the records behind its row.
"""

import html
import json
import re
import shutil
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from bs4 import BeautifulSoup

from labelnoise.analysis.recompute import Records, Trace
from labelnoise.analysis.rules.claims import cll_runs
from labelnoise.analysis.trace import formula, leaves
from labelnoise.files import ROOT
from labelnoise.runs.sweep import sweep
from labelnoise.tracing.sidecar import WHOLE, has_number

LISTED = 24  # more records than this are not listed behind a row
TERM = re.compile(r"^([^\s:`#].*)\n: ", re.MULTILINE)  # of the glossary, in MyST's definition lists


class SiteError(ValueError):
    """What keeps the site from being built, with the remedy."""


# ------------------------------------------------------------------------------- before a build


def check(root: Path = ROOT) -> None:
    """``SiteError`` for a notebook without outputs, a table or figure without a trace, and a term
    of the glossary that no page uses."""
    notebooks = sorted((root / "notebooks").glob("*.ipynb"))
    texts = []
    for path in notebooks:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        if not any(cell.get("outputs") for cell in cells):
            raise SiteError(f"{path.name} has no outputs: run `make publish` first")
        texts += ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    for kind, ending in (("tables", ".csv"), ("figures", ".png")):
        for path in sorted((root / kind).glob(f"*{ending}")):
            if not path.with_suffix(".json").exists():
                raise SiteError(f"{kind}/{path.name} has no trace ({path.stem}.json): run "
                                "`make publish` first")  # fmt: skip
    glossary = root / "docs" / "glossary.md"
    texts += [p.read_text(encoding="utf-8") for p in glossary.parent.glob("*.md") if p != glossary]
    used = "\n".join(texts).lower()
    for term in terms(glossary):
        if not re.search(rf"\b{re.escape(term.lower())}", used):
            raise SiteError(f"no page uses the term {term!r}: take it out of docs/glossary.md")


def terms(glossary: Path) -> list[str]:
    """The terms that the glossary defines."""
    return TERM.findall(glossary.read_text(encoding="utf-8"))


# ------------------------------------------------------------------------- tables of notebooks


def plain(text: str) -> str:
    return " ".join(text.split())


@cache
def saved(notebook: str, root: Path = ROOT) -> dict[str, list[tuple[str, dict[str, bool]]]]:
    """The tables that a notebook saved: name -> of each row its label, and text -> whether it has a
    trace, of its cells."""
    found = {}
    for path in sorted((root / "tables").glob(f"{notebook[:2]}_*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        rows = {row: [c[row] for c in content["columns"].values()] for row in content["rows"]}
        found[path.stem] = [
            (plain(row), {plain(cell["text"]): "from" in cell for cell in cells})
            for row, cells in rows.items()
        ]
    return found


def place_of(rows: list[tuple[str, list[str]]], notebook: str, root: Path) -> tuple[str, list[int]]:
    """The saved table that holds these rows (label and cells), by its name, and which of its rows
    they are; an empty name for none."""
    for name, those in saved(notebook, root).items():
        if len(rows) == len(those) and all(
            set(cells) <= {*known, ""} for (_, cells), (_, known) in zip(rows, those, strict=True)
        ):
            return name, list(range(len(rows)))
        at = {label: i for i, (label, _) in enumerate(those)}
        if rows and all(label in at and {c for c in cells if is_number(c)} <= {*those[at[label]][1]}
                        for label, cells in rows):  # fmt: skip
            return name, [at[label] for label, _ in rows]
    return "", []


def better_table(text: str, notebook: str, root: Path = ROOT) -> str:
    """The HTML of a pandas table with one header row, numbers marked, and each number of a table
    that is saved led to what is behind it."""
    page = BeautifulSoup(text, "html.parser")
    for table in page.find_all("table"):
        table.attrs.pop("border", None)
        if table.parent.name != "div":
            table.wrap(page.new_tag("div"))
        table.parent["class"], table.parent["tabindex"] = "wide", "0"  # it scrolls, also by keys
        one_header_row(table)
        lines = table.select("tbody tr")
        rows = [
            (" ".join(plain(th.get_text()) for th in line.find_all("th")),
             [plain(td.get_text()) for td in line.find_all("td")])
            for line in lines
        ]  # fmt: skip
        mark_heads(table, [cells for _, cells in rows])
        name, places = place_of(rows, notebook, root)
        for i, line in enumerate(lines):
            for cell in line.find_all("td"):
                shown = plain(cell.get_text())
                if is_number(shown):
                    cell["class"] = "number"
                if name and saved(notebook, root)[name][places[i]][1].get(shown):
                    link = page.new_tag("a", href=f"../traces/{name}.html#row-{places[i]}")
                    link.extend(list(cell.contents))
                    cell.append(link)
    return str(page)


def is_number(text: str) -> bool:
    """Whether a cell is aligned as a number: digits, no word, and no formula of a variable."""
    return has_number(text) and not re.search("[A-Za-z]{4}|^[A-Za-z].*=", text)


def mark_heads(table: BeautifulSoup, cells: list[list[str]]) -> None:
    """The heading of a column of numbers stands above them."""
    heads = table.select("thead tr")[-1].find_all("th") if table.select("thead tr") else []
    for head, column in zip(reversed(heads), zip(*map(reversed, cells), strict=True), strict=False):
        if sum(map(is_number, column)) > len(column) / 2:
            head["class"] = "number"


def one_header_row(table: BeautifulSoup) -> None:
    """pandas writes the names of the index into a row of their own: they belong above the index."""
    rows = table.select("thead tr")
    if len(rows) < 2:
        return
    heads, names = (row.find_all("th") for row in rows[-2:])
    words = [plain(cell.get_text()) for cell in names]
    lines = table.select("tbody tr")  # none in a table that is empty: then all names are known
    levels = max((len(line.find_all("th")) for line in lines), default=sum(map(bool, words)))
    if len(heads) != len(names) or any(words[levels:]):
        return
    for head, word in zip(heads[:levels], words, strict=False):
        head.string = word  # what stood there is the name of the columns, which their texts show
    rows[-1].decompose()


def described(source: str, root: Path = ROOT) -> str | None:
    """What the figure shows that the ``source`` of a cell saves, in a sentence of the function that
    drew it, and its name; None if it saves none."""
    if not (saves := re.search(r"figures\.save\(\w+, f?\"([^\"{]+)", source)):
        return None
    path = next(iter(sorted((root / "figures").glob(f"{saves[1]}*.json"))), None)
    if path is None:
        return None
    content = json.loads(path.read_text(encoding="utf-8"))
    said = content["functions"].get(content["made"]["by"], "A figure")
    return plain(said.replace("``", "")) + f" ({path.stem})"  # one function may draw several


def without_substitutions(line: str) -> str:
    """A line of a docstring, whose |det T| is a determinant and no substitution."""
    parts = re.split("(``.*?``)", line)
    return "".join(part if part.startswith("``") else part.replace("|", r"\|") for part in parts)


# ---------------------------------------------------------------------------- where from: pages


def trace_pages(root: Path = ROOT) -> Iterator[tuple[str, str, str]]:
    """(page, title, HTML) of every table: its rows, and behind each what computes it of which
    records."""
    records = Records(root)
    for path in sorted((root / "tables").glob("*.json")):
        trace = Trace(f"tables/{path.stem}", root, records)
        yield f"traces/{path.stem}", f"Where {path.stem} is from", trace_page(trace)


def trace_page(trace: Trace) -> str:
    made = trace.content["notebook"]
    stem = Path(made).stem if made else ""
    parts = [f"<h1>Where <code>{trace.name}</code> is from</h1>",
             f"<p>A table of <a href='../notebooks/{stem}.html'>{stem}</a>. "
             f"<code>make trace NAME={trace.name}</code> computes its numbers again from these "
             "records.</p>"]  # fmt: skip
    said = "".join(f"<dt><code>{html.escape(name)}</code></dt><dd>{with_code(text)}</dd>"
                   for name, text in trace.functions.items())  # fmt: skip
    for i, row in enumerate(trace.rows):
        cells = {column: trace.cell(row, column) for column in trace.columns}
        origins = [trace.made if c["from"] == WHOLE else c["from"] for c in cells.values() if
                   c.get("from")]  # fmt: skip
        items = "".join(
            f"<li>{html.escape(column)}: {html.escape(cell['text'])}{how(trace, cell)}</li>"
            for column, cell in cells.items()
        )
        parts.append(f"<section id='row-{i}'><h2>{html.escape(row)}</h2><ul>{items}</ul>"
                     f"<p>{listed(leaves(origins))}</p></section>")  # fmt: skip
    if said:
        parts.append(f"<h2>The functions</h2><dl>{said}</dl>")
    return "".join(parts)


def with_code(text: str) -> str:
    """A docstring's words as HTML, what stands in backticks as code."""
    return re.sub("``(.*?)``", r"<code>\1</code>", html.escape(text))


def how(trace: Trace, cell: dict) -> str:
    """How a cell is computed, in short."""
    origin = cell.get("from")
    if origin is None:
        return ""
    if origin == WHOLE:
        return f" <small>a cell of <code>{html.escape(trace.made['by'])}</code></small>"
    return f" <small><code>{html.escape(textwrap.shorten(formula(origin), 160))}</code></small>"


def listed(found: dict[tuple[str, str], list[str]]) -> str:
    """The records, each as a link to its JSON."""
    if not found:
        return "Of no record: computed by the functions named above, or quoted."
    paths = [f"{ledger}/{name}.json" for ledger, name in found]
    links = [f"<a href='../{path}'>{Path(path).stem}</a>" for path in paths[:LISTED]]
    rest = len(paths) - LISTED
    return f"Records: {', '.join(links)}{f' and {rest} more' if rest > 0 else ''}."


def copy_records(out: Path, root: Path = ROOT) -> None:
    """The records beside the pages, so that links to them lead somewhere."""
    for path in (root / "results").rglob("*.json"):
        to = out / path.relative_to(root)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, to)


# -------------------------------------------------------------------------- interactive figures


def learning_curves() -> str:
    """JSON: loss -> the test accuracy of each of its seeds, epoch by epoch, in percent: MNIST, 60 %
    symmetric noise, 4-layer CNN."""
    curves: dict[str, list[list[float]]] = {}
    for outcome in sweep(cll_runs(), "replay"):
        accuracy = outcome.record["curves"]["test_accuracy"]
        shown = [round(float(each), 2) for each in accuracy]
        curves.setdefault(outcome.run.loss.label, []).append(shown)
    return json.dumps(curves)
