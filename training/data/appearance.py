"""How sharp is a face, how smooth and how light its skin?

``python -m training.data.appearance MANIFEST OUT.csv`` measures the largest face in the middle of
each file: numbers that a detector must not live on, and groups in which it must not err more often.
Goes on where it was stopped. Imports evaluation and media.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from evaluation.manifest import Item, read_manifest
from media import align
from media.clip import Clip
from media.faces import FaceFinder
from media.mesh import CHEEKS

COLUMNS = ("path", "sharpness", "smoothness", "ita_deg")
PORES_PX = 2.0  # deviation of the blur that leaves out pores and stubble, at 224 px a face
SKIN_TONES = (  # lower edge of the individual typology angle, degrees (Chardon et al., 1991)
    (55.0, "very light"),
    (41.0, "light"),
    (28.0, "intermediate"),
    (10.0, "tan"),
    (-30.0, "brown"),
    (-90.0, "dark"),
)

AGES = ((60.0, "60 and over"), (40.0, "40-59"), (18.0, "18-39"), (0.0, "0-17"))  # years


def measure(image: np.ndarray, landmarks: np.ndarray) -> dict[str, float]:
    """Numbers of one face.

    Args:
        image: (h, w, 3) uint8 RGB.
        landmarks: (468, 2) pixels.

    Returns:
        ``sharpness``: log of the Laplacian's variance in the tight crop of 224 px; ``smoothness``:
        minus the log of the deviation that a small blur takes from the cheeks; ``ita_deg``:
        individual typology angle of the cheeks, higher is lighter.
    """
    matrix = align.face_matrix(landmarks)
    crop = align.cut(image, matrix, align.CROP_PX)
    gray = cv2.cvtColor(align.center(crop[None], align.TIGHT_PX)[0], cv2.COLOR_RGB2GRAY)
    points = align.move(landmarks, matrix)
    mask = np.zeros(crop.shape[:2], np.uint8)
    for cheek in CHEEKS:
        cv2.fillConvexPoly(mask, cv2.convexHull(points[list(cheek)].round().astype(np.int32)), 1)
    skin = mask.astype(bool)
    light = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
    pores = (light - cv2.GaussianBlur(light, (0, 0), PORES_PX))[skin]
    return {
        "sharpness": float(np.log(cv2.Laplacian(gray, cv2.CV_32F).var() + 1e-3)),
        "smoothness": -float(np.log(pores.std() + 1e-3)),
        "ita_deg": typology_angle(crop[skin]),
    }


def typology_angle(pixels: np.ndarray) -> float:
    """Individual typology angle of (n, 3) uint8 RGB pixels of skin, degrees -90..90.

    ``atan((L* - 50) / b*)`` of the median color (Chardon et al., 1991). Light and camera move it:
    it sorts photographs, not people.
    """
    colors = cv2.cvtColor(pixels[None].astype(np.float32) / 255, cv2.COLOR_RGB2Lab)[0]
    lightness, _, yellow = np.median(colors, axis=0)
    return float(np.degrees(np.arctan2(lightness - 50, max(float(yellow), 1e-3))))


def skin_tone(ita_deg: float) -> str:
    """The name of a range of the typology angle; empty for NaN."""
    return next((name for edge, name in SKIN_TONES if ita_deg >= edge), "")


def age_band(years: float) -> str:
    """The name of a range of ages; empty for NaN."""
    return next((name for edge, name in AGES if years >= edge), "")


def middle_image(path: Path) -> np.ndarray:
    """The image, or the frame in the middle of a clip, (h, w, 3) uint8 RGB."""
    with Clip(path) as clip:
        frames = clip.frames(clip.duration_s / 2)
        return next(image for _, image in frames)


def write(items: Iterable[Item], out: Path) -> None:
    """Append a row for each file that has none; empty cells where no face is found."""
    done = {row["path"] for row in csv.DictReader(out.open())} if out.is_file() else set()
    with out.open("a", newline="", encoding="utf-8") as file, FaceFinder() as finder:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if not done:
            writer.writeheader()
        for item in items:
            if item.name in done:
                continue
            image = middle_image(item.path)
            faces = finder.find(image)
            result = measure(image, faces[0].landmarks) if faces else {}
            rounded = {name: round(value, 4) for name, value in result.items()}
            writer.writerow({"path": item.name, **rounded})
            file.flush()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("out", type=Path)
    chosen = parser.parse_args()
    cv2.setNumThreads(1)
    write(read_manifest(chosen.manifest), chosen.out)


if __name__ == "__main__":
    main()
