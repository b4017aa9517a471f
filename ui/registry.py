"""Which tabs does the page have, in which order?"""

from __future__ import annotations

from ui import about, analyze, batch, compare, models, replay
from ui.tab import Tab

TABS: tuple[Tab, ...] = (
    analyze.TAB,
    batch.TAB,
    replay.TAB,
    compare.TAB,
    models.TAB,
    about.TAB,
)
