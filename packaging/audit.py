"""Do published advisories name a version that requirements.txt pins?

``python packaging/audit.py``, or `make audit`.
Asks the package index for each pin. Ends with 1 when an advisory is neither fixed nor answered in
advisories.json with a reason; says so, and ends with 0, when the index cannot be asked.
"""

from __future__ import annotations

import json
import re
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INDEX = "https://pypi.org/pypi/{name}/{version}/json"  # carries the advisories of osv.dev
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;]+)", re.MULTILINE)
PATIENCE_S = 20.0
AT_ONCE = 8  # connections
Fetch = Callable[[str], bytes]


@dataclass(frozen=True)
class Advisory:
    """One published weakness of a pinned version.

    Attributes:
        package: name and version, as pinned.
        names: all of its identifiers (CVE, GHSA, PYSEC).
        summary: first line of what it says.
        fixed_in: versions without it, as published.
    """

    package: str
    names: tuple[str, ...]
    summary: str
    fixed_in: tuple[str, ...]


def pins(requirements: str) -> list[tuple[str, str]]:
    """(name, version) of every pinned line of a requirements file."""
    return PIN.findall(requirements)


def advisories_of(name: str, version: str, fetch: Fetch) -> list[Advisory]:
    """What is published about one version; withdrawn advisories are left out.

    Raises:
        OSError, ValueError: when the index cannot be asked or does not answer with JSON.
    """
    known = json.loads(fetch(INDEX.format(name=name, version=version))).get("vulnerabilities", [])
    return [
        Advisory(
            f"{name} {version}",
            (entry["id"], *entry.get("aliases", ())),
            (entry.get("summary") or entry.get("details") or "").strip().split("\n")[0],
            tuple(entry.get("fixed_in", ())),
        )
        for entry in known
        if not entry.get("withdrawn")
    ]


def report(requirements: str, answered: Mapping[str, str], fetch: Fetch) -> Iterator[str]:
    """Lines for people; a line that begins with ``OPEN`` needs an answer.

    Args:
        requirements: text of a requirements file.
        answered: identifier of an advisory → why the pin stays.
        fetch: address → content.
    """
    asked, silent, mentioned = pins(requirements), [], set()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = [(name, pool.submit(advisories_of, name, v, fetch)) for name, v in asked]
    for name, answer in answers:
        try:
            result = answer.result()
        except (OSError, ValueError):
            silent.append(name)
            continue
        for advisory in result:
            mentioned |= set(advisory.names)
            reason = next((answered[n] for n in advisory.names if n in answered), None)
            fixed = f"; fixed in {', '.join(advisory.fixed_in)}" if advisory.fixed_in else ""
            yield (
                f"{'OPEN' if reason is None else 'answered'}: {advisory.package}, "
                f"{', '.join(advisory.names)}: {reason or advisory.summary}{fixed}"
            )
    yield f"{len(asked) - len(silent)} of {len(asked)} pins were checked against the index."
    if silent:
        yield f"Not checked, because the index could not be asked: {', '.join(silent)}."
    stale = set(answered) - mentioned
    if stale and not silent:
        yield f"OPEN: answers that nothing asks for any more: {', '.join(sorted(stale))}"


def download(address: str) -> bytes:
    """The content at an https address."""
    with urllib.request.urlopen(address, timeout=PATIENCE_S) as answer:
        return answer.read()


def main() -> int:
    """Print the report; 1 when something is open."""
    answered = json.loads((ROOT / "packaging" / "advisories.json").read_text("utf-8"))
    lines = list(report((ROOT / "requirements.txt").read_text("utf-8"), answered, download))
    print("\n".join(lines))
    return int(any(line.startswith("OPEN") for line in lines))


if __name__ == "__main__":
    sys.exit(main())
