"""How does an analysis look on paper?

One HTML file that stands alone: pictures inside, no scripts, nothing fetched, everything escaped,
fit to print. Imports the other files of this room.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from html import escape

import numpy as np
from PIL import Image

from analysis import Analysis
from detectors.base import Heatmap
from report import cards
from report.draw import annotated, heatmap_figure
from report.timeline import alt_text, timeline
from report.words import clock

JPEG_QUALITY = 85
MOST_HEATMAPS = 4  # in a report; the strongest first
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
PAGE_CSS = """
body { font-family: system-ui, "Segoe UI", "Liberation Sans", sans-serif; max-width: 60rem;
  margin: 0 auto; padding: 1.5rem; background: #fff; }
.ev h1 { font-size: 1.3rem; margin: 0 0 .2rem; }
.ev section { margin: 1.2rem 0; } .ev img { max-width: 100%; height: auto; }
.ev h2.part { font-size: 1.15rem; border-bottom: 2px solid #d5d9de; padding-bottom: .2rem; }
.ev figure { margin: .6rem 0; break-inside: avoid; }
.ev figcaption { font-size: .85rem; color: #52606d; }
.ev .shots { display: grid; gap: .8rem;
  grid-template-columns: repeat(auto-fill, minmax(16rem, 1fr)); }
@media print { body { padding: 0; font-size: 10pt; } .ev .scroll { overflow: visible; }
  .ev tr, .ev .verdict { break-inside: avoid; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""


def to_html(analysis: Analysis) -> str:
    """The whole report as one HTML document."""
    name = escape(analysis.name)
    parts = [
        f"<h1>Deepfake analysis of {name}</h1>",
        f"<p class='quiet'>SHA-256 <code>{escape(analysis.sha256)}</code></p>",
        cards.declared(analysis) + cards.verdict_card(analysis),
        _part("What it means", cards.explanation(analysis)),
        _part("How the evidence adds up", cards.for_and_against(analysis)),
        _part("People", cards.people_table(analysis)),
        _timeline(analysis),
        _pictures(analysis),
        _part("Evidence", cards.evidence_table(analysis)),
        _part("The file", cards.file_facts(analysis)),
        _part("Made with", cards.made_with(analysis)),
    ]
    css = cards.CSS.read_text("utf-8") + PAGE_CSS
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>Deepfake analysis of {name}</title><style>{css}</style></head>"
        f"<body class='ev'><main>{''.join(parts)}</main></body></html>\n"
    )


def strongest_heatmaps(analysis: Analysis, most: int = MOST_HEATMAPS) -> list[Heatmap]:
    """The heatmaps worth showing: of counted findings first, by their mean."""
    found = [(f, h) for f in analysis.findings for h in f.heatmaps]
    found.sort(key=lambda pair: (pair[0].status != "counted", -float(np.mean(pair[1].values))))
    return [heatmap for _, heatmap in found[:most]]


def jpeg(picture: np.ndarray) -> bytes:
    """A (h, w, 3) uint8 RGB picture as JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def _part(title: str, inside: str) -> str:
    return f"<section><h2 class='part'>{escape(title)}</h2>{inside}</section>"


def _figure(picture: np.ndarray, alt: str, caption: str) -> str:
    data = base64.b64encode(jpeg(picture)).decode()
    return (
        f"<figure><img src='data:image/jpeg;base64,{data}' alt='{escape(alt, quote=True)}'>"
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _timeline(analysis: Analysis) -> str:
    picture = timeline(analysis)
    if picture is None:
        return ""
    return _part(
        "Over time", _figure(picture, alt_text(analysis), "Evidence by detector and time.")
    )


def _pictures(analysis: Analysis) -> str:
    shots = "".join(
        _figure(
            annotated(analysis, shot),
            _shot_alt(analysis, shot.faces),
            _shot_caption(analysis, shot.time_s),
        )
        for shot in analysis.keyframes
    )
    heat = "".join(
        _figure(figure[0], figure[1], figure[1])
        for figure in (heatmap_figure(analysis, h) for h in strongest_heatmaps(analysis))
        if figure is not None
    )
    if not shots:
        return ""
    return _part("Pictures", f"<div class='shots'>{shots}</div>{heat}")


def _shot_alt(analysis: Analysis, faces: Iterable[str]) -> str:
    levels = {o.person: o.level for o in analysis.verdict.people}
    said = [f"{name}: {levels.get(name, 'Not assessed')}" for name in faces]
    return "Picture from the file with marked faces. " + (", ".join(said) or "No face.")


def _shot_caption(analysis: Analysis, time_s: float) -> str:
    return f"At {clock(time_s)}" if analysis.kind == "video" else "The picture"
