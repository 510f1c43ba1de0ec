"""Columns: what nobody knows is left out or a dash, and every key that a column reads is in its table."""

from dataclasses import replace

import numpy as np

from compoundnet.search.answers.axes import compare
from compoundnet.search.answers.coefficients import analyse
from compoundnet.search.answers.page.columns import AXES_TABLE, CONTRASTS, NETWORKS, PUBLISHED, Column, known
from search.answers.synthetic import axes_study, bowl, study

GAINS = {"depth": (0.02, 0.03), "width": (0.03, 0.05), "compound": (0.06, 0.10)}


def cells(columns: list[Column], row: object) -> dict[str, str]:
    return {column.title: column.text(row).replace("\u00a0", " ") for column in columns}


def test_nominal_product_and_realised_cost_stand_side_by_side() -> None:
    outcomes = study(bowl((0.3, 0.3, 0.4)), np.random.default_rng(0), steps=4)
    table = analyse(outcomes).table()
    titles = [column.title for column in known(NETWORKS, table)]
    at = titles.index("Cost asked for")
    assert titles[at : at + 3] == ["Cost asked for", "d·w²·r²", "Realised cost"]
    row = cells(known(NETWORKS, table), {**table[0], "nominal_product": 1.87, "macs_factor": 2.04})
    assert (row["d·w²·r²"], row["Realised cost"]) == ("×1.87", "×2.04")


def test_a_column_that_no_row_fills_is_left_out_and_an_empty_cell_is_a_dash() -> None:
    columns = [Column("A", lambda row: str(row["a"]), "a"), Column("B", lambda row: str(row["b"]))]
    assert [c.title for c in known(columns, [{"a": None, "b": 1}, {"a": 0, "b": 2}])] == ["B"]
    assert [c.title for c in known(columns, [{"a": None, "b": 1}, {"a": 3, "b": 2}])] == ["A", "B"]
    table = compare(axes_study(GAINS, np.random.default_rng(0))).table()
    row = cells(list(AXES_TABLE), {**table[1], "low": None, "high": None, "gain": None, "params": None})
    assert row["Interval"] == row["Over baseline"] == row["Parameters"] == "–"
    assert row["Accuracy"].endswith(" %")


def test_differences_are_signed_points() -> None:
    contrast = compare(axes_study(GAINS, np.random.default_rng(0))).contrasts[0]
    row = cells(list(CONTRASTS), replace(contrast, value=0.0123, low=-0.0004, high=0.025, group=None))
    assert (row["Difference"], row["Interval"], row["Cost"]) == ("+1.2", "+0.0 to +2.5", "mean of all")
    assert cells(list(CONTRASTS), replace(contrast, low=None))["Interval"] == "–"


def test_rules_outside_of_what_was_tried_are_in_brackets() -> None:
    other = analyse(study(bowl((0.3, 0.3, 0.4)), np.random.default_rng(0), steps=4)).published[0]
    assert cells(list(PUBLISHED), replace(other, extrapolated=True))["Rule"] == f"({other.name})"
    row = cells(list(PUBLISHED), replace(other, extrapolated=False))
    assert (row["Rule"], row["Shares, %"]) == (other.name, "28 / 29 / 43")
