"""What the site adds to the committed notebooks, and what stops it; `make site-test` opens it."""

import json
import re

import pytest

from labelnoise.files import ROOT
from labelnoise.reproduce import site


@pytest.fixture
def house(tmp_path):
    """A notebook with an output, a table with its trace, and a glossary of one term."""
    for folder in ("notebooks", "tables", "figures", "docs"):
        (tmp_path / folder).mkdir()
    cells = [
        {"cell_type": "markdown", "source": ["Its pull is *small*."]},
        {"cell_type": "code", "source": ["1"], "outputs": [{"data": {}}]},
    ]
    (tmp_path / "notebooks/01_a.ipynb").write_text(json.dumps({"cells": cells}))
    (tmp_path / "tables/01_t.csv").write_text("loss,last\nCE,1.0\n")
    cell = {"text": "1.0", "from": {"record": "mnist/1", "ledger": "results", "field": "x"}}
    trace = {"levels": [1, 1], "rows": ["CE"], "columns": {"last": {"CE": cell}}}
    (tmp_path / "tables/01_t.json").write_text(json.dumps(trace))
    (tmp_path / "docs/glossary.md").write_text("# Glossary\n\npull\n: How hard.\n")
    return tmp_path


def test_a_sound_house_has_a_site(house):
    site.check(house)
    site.check(ROOT)


@pytest.mark.parametrize(
    ("path", "content", "named"),
    [
        ("notebooks/02_b.ipynb", '{"cells": []}', "02_b.ipynb has no outputs.*make publish"),
        ("tables/02_b.csv", "a", "02_b.csv has no trace"),
        ("figures/02_b.png", "a", "02_b.png has no trace"),
        ("docs/glossary.md", "pull\n: How hard.\n\npush\n: None.\n", "'push'.*glossary"),
    ],
)
def test_what_is_missing_stops_the_site_and_is_named(house, path, content, named):
    (house / path).write_text(content)
    with pytest.raises(site.SiteError, match=named):
        site.check(house)


def test_a_table_has_one_header_row_and_its_numbers_lead_to_their_records(house):
    body = "<tbody><tr><th>CE</th><td>1.0</td><td>2.0</td></tr></tbody>"
    head = "<tr><th></th><th>last</th><th>x</th></tr><tr><th>loss</th><th></th><th></th></tr>"
    table = f"<table border='1'><thead>{head}</thead>{body}</table>"
    alone = table.replace("<td>2.0</td>", "").replace("<th>x</th></tr>", "</tr>", 1)
    alone = alone.replace("<th></th><th></th></tr></thead>", "<th></th></tr></thead>")
    found = site.better_table(alone, "01_a", house)
    assert re.findall("<tr>.*?</tr>", found)[0] == (
        '<tr><th>loss</th><th class="number">last</th></tr>'
    )
    assert '<a href="../traces/01_t.html#row-0">1.0</a>' in found
    assert "href" not in site.better_table(table, "01_a", house), "2.0 is nowhere"


def test_a_determinant_is_no_substitution():
    assert site.without_substitutions("|det T| as ``|x|``") == r"\|det T\| as ``|x|``"


def test_a_picture_of_a_notebook_is_described_by_what_drew_it():
    words = site.described('figures.save(figure, "00_learning_curves")')
    assert "accuracy" in words.lower()
    assert site.described("table") is None


def test_the_bibliography_is_that_of_the_citation():
    cited = (ROOT / "CITATION.cff").read_text()
    zenodo = json.loads((ROOT / ".zenodo.json").read_text())
    bib = (ROOT / "docs/references.bib").read_text()
    urls = re.findall(r"^ +url: (\S+)", cited, re.M)
    assert len(urls) > 10
    for url in urls:
        assert url in bib
        assert any(url in reference for reference in zenodo["references"])
    assert f"version: {zenodo['version']}\n" in cited
