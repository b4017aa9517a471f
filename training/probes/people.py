"""Whom does a probe accuse, and what does it live on?

Age, sex and ancestry as far as a set's makers noted them, the lightness of the skin, and two
numbers that no detector may live on: sharpness, and smoothness of the skin. Imports training.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from training.data.appearance import age_band, measure, skin_tone
from training.data.face_crops import load_part
from training.data.wild import appearance

GROUPS = ("skin tone", "age", "sex", "ancestry")
NUMBERS = ("sharpness", "smoothness")
LEAST = 30  # real faces, below which a group has no figure of its own


def people(crops: Path, part: str, out: Path) -> None:
    """Write OUT.parquet: a row a face of a part, with `GROUPS` (empty if unknown) and `NUMBERS`.

    Args:
        crops: folder of `training.data.face_crops`.
        part: its name.
        out: path without suffix.
    """
    images, landmarks, rows = load_part(crops, part)
    result = []
    for image, points, row in zip(images, landmarks, rows.to_dict("records"), strict=True):
        numbers = measure(np.ascontiguousarray(image), points)
        known = appearance(str(row["source"]), str(row.get("path", "")))
        age = known["age"]
        groups = {
            "skin tone": skin_tone(numbers.pop("ita_deg")),
            "age": age_band(float(age)) if isinstance(age, int) else "",
            "sex": known["sex"] or "",
            "ancestry": known["ancestry"] or "",
        }
        result.append(groups | numbers)
    pd.DataFrame(result).to_parquet(out.with_suffix(".parquet"))
