"""How is one embedded checkpoint made again, from the data to its folder?

`python -m training.recipe DETECTOR DATA OUT` runs the commands of a recipe one after the other;
called again, it goes on where it was stopped. `--show` only prints them. The folder ends as
OUT/checkpoints/DETECTOR (sync: OUT/run/sync/checkpoint). Imports the standard library only: each
command is a process of its own.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Step:
    """One command of a recipe.

    Attributes:
        command: module of `training` and its arguments; words in braces are folders of `places`.
        made: what it leaves behind, if it would begin anew instead of resuming; then it is skipped.
    """

    command: str
    made: str = ""


CROPS = (
    Step("data.external {out}", "{out}/outside-train.csv"),
    Step("data.face_crops {data} {crops} --outside {out}/outside-train.csv"),
)
PROBES = (
    Step("data.external {out}", "{out}/outside-train.csv"),
    Step("probes.crops {data} {out} {out}/probe-crops"),
    Step("probes features {out}/probe-crops {out}/probe-features"),
)
TALKING = (
    Step("data.talking {data}/talking {crops}/talking", "{crops}/talking/index.parquet"),
    Step("data.talking_people {crops}/talking {base}", "{crops}/talking/people.png"),
)
RECIPES = {
    "spatial": (
        *CROPS,
        *TALKING,
        Step("data.autoencoder {crops} {out}/ae.pt", "{out}/ae.pt"),
        Step("data.restorer {crops} {base} {out}/ae.pt"),
        Step("spatial train {crops} {run} --base {base} --rerender {out}/ae.pt --steps 8400"),
        Step("spatial export {run} {folder}", "{folder}/card.json"),
        Step("spatial evaluate {folder} {crops}"),
    ),
    "frequency": (*CROPS, Step("frequency {data} {crops} {run} {folder}")),
    "temporal": (
        *TALKING,
        Step("temporal pairs {crops}/talking {run} --pairs 2500"),
        Step("temporal train {crops}/talking {run} --pairs 2500 --minutes 60"),
        Step("temporal export {run} {folder}", "{folder}/card.json"),
        Step("temporal.measure {crops}/talking {folder} --cache {run}/measured --write"),
        Step("temporal.head collect {data} {folder} {run}/pooled"),
        Step("temporal.head fit {folder} {run}/pooled"),
    ),
    "generation": (
        *PROBES,
        Step("probes fit generation {out}/probe-features {folder}", "{folder}/card.json"),
    ),
    "mouth": (
        *PROBES,
        Step("probes fit mouth {out}/probe-features {folder}", "{folder}/card.json"),
    ),
    "sync": (*CROPS, *TALKING, Step("sync {crops}/talking {run} --stills {crops} --steps 1600")),
    "landmarks": (
        Step("data.labeled_videos {data} {run}"),
        Step("landmarks {run} {folder}"),
    ),
}


def places(detector: str, data: Path, out: Path) -> dict[str, Path]:
    """The folders that the words in braces stand for."""
    return {
        "data": data,
        "out": out,
        "crops": out / "crops",
        "base": out / "base",
        "run": out / "run" / detector,
        "folder": out / "checkpoints" / detector,
    }


def commands(detector: str, data: Path, out: Path) -> list[list[str]]:
    """The commands that are still to run, in their order."""
    where = {name: str(path) for name, path in places(detector, data, out).items()}
    result = []
    for step in RECIPES[detector]:
        if step.made and Path(step.made.format(**where)).exists():
            continue
        module, *rest = shlex.split(step.command)
        arguments = [word.format(**where) for word in rest]
        result.append([sys.executable, "-m", f"training.{module}", *arguments])
    return result


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Make one embedded checkpoint again.")
    parser.add_argument("detector", choices=list(RECIPES))
    parser.add_argument("data", type=Path, help="published tables, devset/ and talking/")
    parser.add_argument("out", type=Path, help="everything that is made on the way")
    parser.add_argument("--show", action="store_true", help="print the commands only")
    chosen = parser.parse_args()
    for command in commands(chosen.detector, chosen.data, chosen.out):
        print(shlex.join(command[1:]), flush=True)
        if not chosen.show:
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
