"""Do the moments that a file names fit each other?

Only moments inside the file are compared, never with the clock of this machine: the same file
always gets the same sentences. Imports boxes and tags.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

from media.provenance.boxes import Movie
from media.provenance.tags import Tags

MOMENT = re.compile(r"(\d{4})[:\-/](\d{2})[:\-/](\d{2})[T ](\d{2}):(\d{2}):(\d{2})")
TAKEN = (("EXIF", "DateTimeOriginal"), ("XMP", "exif:DateTimeOriginal"), ("XMP", "xmp:CreateDate"))
SAVED = (("EXIF", "DateTime"), ("XMP", "xmp:ModifyDate"))
ZONES = timedelta(hours=26)  # two clocks in any two time zones differ by no more
SAVED_LATER = timedelta(minutes=1)  # a camera closes its file in less


def moment(text: str) -> datetime | None:
    """A date and time out of a field, without its zone; None when there is none."""
    result = MOMENT.search(text[:100])
    if result is None:
        return None
    try:
        return datetime(*(int(part) for part in result.groups()))  # type: ignore[arg-type]
    except ValueError:
        return None


def contradictions(tags: Tags) -> Iterator[str]:
    """Sentences on an image's moments that cannot all be true, or show a later saving."""
    taken = _first(tags, TAKEN)
    saved = _first(tags, SAVED)
    for place, name in TAKEN[1:]:
        other = moment(tags.get(place, name))
        if taken and other and abs(taken - other) > ZONES:
            yield (
                f"It names two moments at which it was taken: {taken:%Y-%m-%d %H:%M} and "
                f"{other:%Y-%m-%d %H:%M}."
            )
            break
    if taken and saved and taken - saved > ZONES:
        yield (
            f"It says that it was saved on {saved:%Y-%m-%d} but taken only on {taken:%Y-%m-%d}: "
            "one of the two is wrong."
        )
    elif taken and saved and saved - taken > ZONES:
        yield f"It was taken on {taken:%Y-%m-%d} and saved again on {saved:%Y-%m-%d}."
    located = moment(f"{tags.get('EXIF', 'GPSDateStamp')} 00:00:00")
    if taken and located and abs(taken - located) > ZONES + timedelta(days=1):
        yield (
            f"Its satellite clock says {located:%Y-%m-%d}, its camera {taken:%Y-%m-%d}: one of "
            "the two is wrong."
        )


def movie_notes(movie: Movie) -> Iterator[str]:
    """Sentences on a film's own times and edits."""
    if movie.parts > 1:
        yield (
            f"Its container plays {movie.parts} stretches one after the other (an edit list): it "
            "was cut or rearranged without being encoded again."
        )
    if movie.made and movie.changed:
        later = movie.changed - movie.made
        if later < timedelta(0):
            yield "Its container says that it was changed before it was made."
        elif later > SAVED_LATER:
            yield (
                f"Its container was made at {movie.made:%Y-%m-%d %H:%M} (UTC) and changed at "
                f"{movie.changed:%Y-%m-%d %H:%M}."
            )


def _first(tags: Tags, fields: tuple[tuple[str, str], ...]) -> datetime | None:
    result = (moment(tags.get(place, name)) for place, name in fields)
    return next((at for at in result if at is not None), None)
