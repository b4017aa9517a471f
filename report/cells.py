"""What may stand in a cell of a table that a spreadsheet opens? Imports nothing."""

from __future__ import annotations

FORMULA = ("=", "+", "-", "@", "\t", "\n", "＝", "＋", "－", "＠")
"""First characters that make a spreadsheet run a cell, wide forms included."""


def text_cell(value: str) -> str:
    """Text that no spreadsheet takes for a formula: file names come from strangers."""
    value = value.replace("\r", "\\r")  # a bare one, which csv does not quote, would end the row
    return f"'{value}" if value.lstrip(" ").startswith(FORMULA) else value


def plain_text(cell: str) -> str:
    """What `text_cell` was given."""
    return cell[1:] if cell.startswith("'") and text_cell(cell[1:]) == cell else cell
