"""Sphinx: the committed notebooks and the pages of docs/ as a site. Nothing is executed.

    make site

The root of the site is the root of the repository, so that notebooks, pages and the links between
them are where readers of the repository find them.
"""

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

from labelnoise.reproduce import site

project = "Label noise, reproduced"
author = "the labelnoise authors"
copyright = "the labelnoise authors; MIT licence"

extensions = [
    *("myst_nb", "sphinx.ext.autodoc", "sphinx.ext.viewcode", "sphinx.ext.mathjax"),
    *("sphinxcontrib.bibtex", "sphinx-mathjax-offline"),
]
root_doc = "docs/index"
include_patterns = ["docs/**", "notebooks/*.ipynb"]
exclude_patterns = ["**/.*", ".venv", "results", "data", "reproduced", "build", "src", "tests"]
nb_execution_mode = "off"
nb_merge_streams = True
nb_output_stderr = "remove"
myst_enable_extensions = ["dollarmath", "amsmath", "deflist", "colon_fence"]
myst_heading_anchors = 3
bibtex_bibfiles = ["references.bib"]
autodoc_default_options = {
    "members": True,
    "exclude-members": "set_fit_request, set_score_request",  # scikit-learn's own
}
autodoc_inherit_docstrings = False  # torch's own words say nothing of ours
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_preserve_defaults = True

html_theme = "furo"
html_title = project
html_favicon = "static/favicon.svg"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_js_files = ["figures.js"]
html_additional_pages = {"index": "first.html"}
templates_path = ["templates"]
html_show_sourcelink = False
html_copy_source = False


class LearningCurves(Directive):
    """The data of the figure that moves: learning curves from the records."""

    def run(self) -> list[nodes.Node]:
        data = site.learning_curves().replace("<", "\\u003c")
        return [nodes.raw("", f'<script type="application/json">{data}</script>', format="html")]


def check(app: Sphinx) -> None:
    try:
        site.check()
    except site.SiteError as error:
        raise ExtensionError(str(error)) from None


def better_outputs(app: Sphinx, doctree: nodes.document) -> None:
    """Tables as ``site.better_table`` has them, and figures with words for who cannot see them."""
    folder, _, notebook = app.env.docname.rpartition("/")
    if folder != "notebooks":
        return
    for raw in doctree.findall(nodes.raw):
        if "<table" in raw.astext():
            raw.children = [nodes.Text(site.better_table(raw.astext(), notebook))]
            raw.rawsource = raw.astext()
    for cell in doctree.findall(nodes.container):
        if "cell" not in cell["classes"]:  # and not one of the containers of its outputs
            continue
        if code := next(cell.findall(nodes.literal_block), None):
            for image in cell.findall(nodes.image):
                image["alt"] = site.described(code.astext()) or "Pictures of training samples"


def escape(app: Sphinx, kind: str, name: str, of: object, options: dict, lines: list[str]) -> None:
    lines[:] = map(site.without_substitutions, lines)


def trace_pages(app: Sphinx):
    for page, title, body in site.trace_pages():
        yield page, {"title": title, "body": body}, "page.html"


def copy_records(app: Sphinx, failed: Exception | None) -> None:
    if failed is None:
        site.copy_records(app.outdir)


def setup(app: Sphinx) -> None:
    app.add_directive("learning-curves", LearningCurves)
    app.connect("builder-inited", check)
    app.connect("autodoc-process-docstring", escape)
    app.connect("doctree-read", better_outputs)
    app.connect("html-collect-pages", trace_pages)
    app.connect("build-finished", copy_records)
