"""The pages of docs/ that print a program: it runs, block by block, and does what the page says."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[1] / "docs"


def run(page: str) -> dict:
    """The names that are left after all of a page's programs."""
    names: dict = {"__name__": page}
    for block in re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), flags=re.S):
        exec(compile(block, page, "exec"), names)
    return names


def test_a_loop_of_ones_own_is_helped_by_a_loss():
    names = run("your_loop.md")
    assert names["robust"] > names["plain"] + 0.05
    assert names["corrected"].isfinite()


@pytest.mark.filterwarnings("error")
def test_a_grid_search_on_noisy_labels_finds_a_loss_that_is_good_on_clean_ones():
    names = run("grid_search.md")
    clean = names["X_test"], names["y_test"]
    assert names["search"].score(*clean) > 0.85
    assert 1 <= names["stopped"].best_epoch_ <= 25
