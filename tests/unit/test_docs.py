"""The pages under docs/ say what is."""

from pathlib import Path

from aibench_lib.platforms.capabilities import capabilities

DOCS = Path(__file__).parents[2] / "docs"


def test_the_tables_of_the_platforms_are_those_of_their_files():
    made = (DOCS / "switches.md").read_text().partition("<!-- From here on: aibench platforms -->\n\n")[2]
    assert made == f"{capabilities()}\n", "write them again with: make docs"
