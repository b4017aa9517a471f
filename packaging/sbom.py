"""What is inside, in which version and under which license?

``python packaging/sbom.py``, or `make sbom`. Writes ``artifacts/sbom.cdx.json`` (CycloneDX 1.6:
every pin of requirements.txt, and the weights and lists that lie in the repository with their
SHA-256) and ``artifacts/licenses.md``, the same as a table. Licenses are what the installed
packages declare. Asks nobody.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;]+)", re.MULTILINE)
UNKNOWN = "not declared"
APACHE, OPEN_DATA = "Apache-2.0", "O-UDA-1.0"
SHIPPED = {  # what lies in the repository beside code; whose it is stands in NOTICE
    "hub/defaults/*/model.safetensors": APACHE,
    "hub/alternatives/*/model.safetensors": APACHE,
    "hub/backbones/*/model.safetensors": "MIT",
    "media/weights/*.tflite": APACHE,
    "media/provenance/trust/*.pem": OPEN_DATA,
}
UNDECLARED = {"cuda-toolkit": "LicenseRef-NVIDIA-Proprietary"}  # an empty package of NVIDIA
OTHERS = {"hub/defaults/sync/model.safetensors": "Apache-2.0 AND MIT"}  # layers of Whisper inside


def license_of(package: str) -> str:
    """The license that an installed package declares, on one line."""
    try:
        words = metadata(package)
    except PackageNotFoundError:
        return "not installed here"
    classes = [c.rsplit(" :: ", 1)[-1] for c in words.get_all("Classifier") or () if "License" in c]
    text = words.get("License-Expression") or " AND ".join(classes) or words.get("License") or ""
    first = next((line.strip() for line in text.splitlines() if line.strip()), UNKNOWN)
    return UNDECLARED.get(package, first[:100]) if first == UNKNOWN else first[:100]


def packages(requirements: str) -> Iterator[dict[str, Any]]:
    """A component for each pinned package."""
    for name, version in PIN.findall(requirements):
        yield {
            "type": "library",
            "bom-ref": f"pkg:pypi/{name.lower()}@{version}",
            "name": name,
            "version": version,
            "purl": f"pkg:pypi/{name.lower()}@{version}",
            "licenses": [{"license": {"name": license_of(name)}}],
        }


def shipped() -> Iterator[dict[str, Any]]:
    """A component for each file of weights and data in the repository."""
    for pattern, usual in SHIPPED.items():
        for path in sorted(ROOT.glob(pattern)):
            name = path.relative_to(ROOT).as_posix()
            yield {
                "type": "data" if path.suffix == ".pem" else "machine-learning-model",
                "bom-ref": name,
                "name": name,
                "hashes": [{"alg": "SHA-256", "content": _sha256(path)}],
                "licenses": [{"license": {"name": OTHERS.get(name, usual)}}],
            }


def bill_of_materials() -> dict[str, Any]:
    """The whole document; the same tree gives the same one."""
    version = re.search(r'"([^"]+)"', (ROOT / "version.py").read_text("utf-8").split("=", 1)[1])
    requirements = (ROOT / "requirements.txt").read_text("utf-8")
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": "deepfake-detector",
                "name": "deepfake-detector",
                "version": version.group(1) if version else "0",
                "licenses": [{"license": {"id": APACHE}}],
            }
        },
        "components": [*packages(requirements), *shipped()],
    }


def table(bom: dict[str, Any]) -> str:
    """The components as a Markdown table."""
    lines = ["| What | Version | License |", "| --- | --- | --- |"]
    for part in bom["components"]:
        words = part["licenses"][0]["license"]["name"].replace("|", "/")
        lines.append(f"| {part['name']} | {part.get('version', '')} | {words} |")
    return "\n".join(lines) + "\n"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main() -> int:
    """Write both files; 1 when a package declares no license."""
    bom, folder = bill_of_materials(), ROOT / "artifacts"
    folder.mkdir(exist_ok=True)
    (folder / "sbom.cdx.json").write_text(json.dumps(bom, indent=2) + "\n", "utf-8")
    (folder / "licenses.md").write_text(table(bom), "utf-8")
    words = {part["name"]: part["licenses"][0]["license"]["name"] for part in bom["components"]}
    silent = [name for name, text in words.items() if text == UNKNOWN]
    print(f"{len(bom['components'])} components in artifacts/sbom.cdx.json and licenses.md.")
    if silent:
        print(f"They declare no license: {', '.join(silent)}.")
    return 1 if silent else 0


if __name__ == "__main__":
    sys.exit(main())
