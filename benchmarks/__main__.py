"""Which parts of the benchmark run?

python -m benchmarks                 all of them, some forty minutes on two cores
python -m benchmarks compared        whole, floor and plain pipeline only
python -m benchmarks page            what a visitor of the page waits for; needs Chromium
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace

from benchmarks import parts
from benchmarks.page import page
from benchmarks.results import Section, write
from threads import set_threads

PARTS: dict[str, Callable[[parts.Scale], Section]] = {
    "compared": lambda scale: parts.compared(scale)[0],
    "verdicts": parts.verdicts,
    "stages": parts.stages,
    "isolation": lambda scale: parts.isolation(scale)[0],
    "growth": parts.growth,
    "visitors": parts.visitors,
    "load": parts.load,
    "memory": parts.memory,
    "start": parts.start,
    "app": parts.app,
    "page": lambda scale: page(scale.rounds),
}


def main() -> None:
    """Measure, print, and write `RESULTS.md` part by part."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--rounds", type=int, default=3, help="goes of each work")
    parser.add_argument("--dry", action="store_true", help="print only, write nothing")
    chosen = parser.parse_args()
    if unknown := set(chosen.parts) - set(PARTS):
        parser.error(f"there is no part {sorted(unknown)[0]}; there are {', '.join(PARTS)}")
    set_threads()
    scale = replace(parts.Scale(), rounds=chosen.rounds)
    for name in chosen.parts or PARTS:
        section = PARTS[name](scale)
        print(section.markdown(), flush=True)
        if not chosen.dry:
            write([section])


if __name__ == "__main__":
    main()
