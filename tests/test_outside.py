"""Claims about photos from public packages: only what the list names, byte for byte."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile

import pandas as pd
import pytest

from training.data import external

PHOTO, CLIP, DRAWN, MADE = b"a photo", b"a clip", b"drawn", "generated+photo"


def packed_tar(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def packed_zip(files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """Two packages on two registries, and a list that names one file of each."""
    rows = [
        [
            "pypi",
            "some-faces",
            "faces-1.0.zip",
            "x/me.JPG",
            PHOTO,
            "me",
            "real",
            "package-some-faces",
            "test",
        ],
        [
            "pypi",
            "some-faces",
            "faces-1.0.zip",
            "x/maker.webp",
            DRAWN,
            "maker",
            MADE,
            "generated",
            "train",
        ],
        [
            "npm",
            "@them/clips",
            "clips-2.0.tgz",
            "package/you.mp4",
            CLIP,
            "you",
            "real",
            "package-@them/clips",
            "test",
        ],
    ]
    rows = [[*row[:4], hashlib.sha256(row[4]).hexdigest(), *row[5:]] for row in rows]
    columns = ["registry", "package", "archive", "member", "sha256", "group", "kind", "source"]
    columns += ["split"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "list.csv", index=False)
    monkeypatch.setattr(external, "LIST", tmp_path / "list.csv")
    return {
        "https://pypi.org/simple/some-faces/": b'<a href="../../f/faces-1.0.zip#sha256=0">x</a>',
        "https://pypi.org/f/faces-1.0.zip": packed_zip(
            {"x/me.JPG": PHOTO, "x/maker.webp": DRAWN, "x/other.jpg": b"no"}
        ),
        "https://registry.npmjs.org/@them/clips/-/clips-2.0.tgz": packed_tar(
            {"package/you.mp4": CLIP, "package/code.js": b"no"}
        ),
    }


def test_the_listed_files_and_no_others_are_fetched(tmp_path, registry):
    items = external.external_items(tmp_path / "outside", registry.__getitem__)
    assert [(i.label, i.group, i.source, i.path.suffix, i.path.read_bytes()) for i in items] == [
        (0, "me", "package-some-faces", ".jpg", PHOTO),
        (1, "maker", "", ".webp", DRAWN),
        (0, "you", "package-@them/clips", ".mp4", CLIP),
    ]
    assert [i.path.parent.name for i in items] == ["test", "train", "test"]
    assert all((tmp_path / i.name).samefile(i.path) for i in items)
    data = external.manifests(items)
    assert {n: len(subset) for n, subset in data.items()} == {
        "outside": 2, "studio": 0, "outside-train": 1
    }  # fmt: skip
    assert len(list((tmp_path / "outside").glob("*/*"))) == 3
    again = external.external_items(tmp_path / "outside", lambda url: pytest.fail("fetched again"))
    assert again == items


def test_a_changed_file_is_refused(tmp_path, registry):
    other = packed_zip({"x/me.JPG": b"another photo", "x/maker.webp": DRAWN})
    registry["https://pypi.org/f/faces-1.0.zip"] = other
    with pytest.raises(ValueError, match="has changed"):
        external.external_items(tmp_path / "outside", registry.__getitem__)


def test_the_list_holds_each_file_once():
    table = pd.read_csv(external.LIST, dtype=str)
    assert table.notna().all(axis=None)
    assert table["sha256"].is_unique
    assert set(table["registry"]) == {"pypi", "npm"}
    assert set(table["kind"]) == {"real", *external.GENERATED}


def test_nobody_and_no_maker_is_in_both_halves():
    table = pd.read_csv(external.LIST, dtype=str)
    halves = table.groupby(["package", "group"])["split"].nunique()
    assert (halves == 1).all()
