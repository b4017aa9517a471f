"""Are the lists of other benchmarks read for what their words say, and their figures printed?"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from errors import UserError
from evaluation.benchmark import TITLES, benchmark_figures
from evaluation.curves import probabilities
from evaluation.formats import FRAMES_A_VIDEO
from evaluation.manifest import Item, read_manifest, write_manifest
from evaluation.scores import Score


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        read_manifest(path)
    assert caught.value.code == "bad_manifest"
    return caught.value.sentence


def test_deepfakebench_is_read_by_words_and_by_its_test_split(tmp_path):
    def videos(word: str, *names: str) -> dict:
        frames = [f"rgb\\{word}\\frames\\v\\{n:03d}.png" for n in range(40)]
        return {name: {"label": word, "frames": frames} for name in names}

    real, fake = videos("FF-real", "071"), videos("FF-DF", "071_054")
    data = {
        "FF-DF": {
            "FF-real": {"train": {"c23": videos("FF-real", "000")}, "test": {"c23": real}},
            "FF-DF": {"train": {"c23": {}}, "test": {"c23": fake, "c40": {}}},
        }
    }
    (tmp_path / "FF-DF.json").write_text(json.dumps(data))
    items = read_manifest(tmp_path / "FF-DF.json")
    assert len(items) == 2 * FRAMES_A_VIDEO
    assert {(item.video, item.label) for item in items} == {
        ("FF-DF/FF-real/c23/071", 0),
        ("FF-DF/FF-DF/c23/071_054", 1),
    }
    assert items[0].name == "rgb/FF-real/frames/v/000.png"
    assert {item.kind for item in items} == {"real", "FF-DF"}


@pytest.mark.parametrize(
    ("word", "label"),
    [
        ("CelebDFv2_real", 0),
        ("CelebDFv2_fake", 1),
        ("DFDC_Real", 0),
        ("DFDCP_FakeA", 1),
        ("FF-NT", 1),
        ("FF-FH", 1),
        ("UADFV_Fake", 1),
        ("DFD_real", 0),
        ("unreal", 1),
        ("Celeb-synthesis", 1),
    ],
)
def test_the_words_of_deepfakebench_have_their_meaning(tmp_path, word, label):
    frames = {"label": word, "frames": ["a.png"]}
    (tmp_path / "x.json").write_text(json.dumps({"X": {word: {"test": {"v": frames}}}}))
    assert read_manifest(tmp_path / "x.json")[0].label == label


def test_a_list_of_paths_and_labels_is_read(tmp_path):
    rows = [{"path": "a.png", "label": 0}, {"path": "b.png", "label": 1}]
    (tmp_path / "list.json").write_text(json.dumps(rows))
    assert [(i.name, i.label) for i in read_manifest(tmp_path / "list.json")] == [
        ("a.png", 0),
        ("b.png", 1),
    ]


def test_a_text_list_is_read_by_the_folder_of_its_source(tmp_path):
    lines = [
        "datasets/CDFv2/Celeb-real/id0_0000/045.png",
        "datasets/FF/NT/000_003/000.png",
        "datasets/Y/unreal/v/000.png",
        "",
    ]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    real, fake, unreal = read_manifest(tmp_path / "list.txt")
    assert unreal.label == 1
    assert (real.label, real.video, real.source) == (0, "Celeb-real/id0_0000", "CDFv2")
    assert (fake.label, fake.video, fake.kind) == (1, "NT/000_003", "NT")


@pytest.mark.parametrize("last", ["", "filename"])
def test_fakeavceleb_is_read_whatever_its_last_column_is_called(tmp_path, last):
    head = ["source", "target1", "target2", "method", "category", "type", "race", "gender", "path"]
    folder = "FakeAVCeleb/{}/African/men/id00076"
    rows = [
        ["id00076", "-", "-", "real", "A", "RealVideo-RealAudio", "African", "men", "00109.mp4"],
        ["id00076", "-", "-", "wav2lip", "D", "FakeVideo-FakeAudio", "African", "men", "7.mp4"],
        ["id00076", "-", "-", "rtvc", "B", "RealVideo-FakeAudio", "African", "men", "8.mp4"],
    ]
    with (tmp_path / "meta_data.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*head, last])
        for row in rows:
            name, where = row.pop(), folder.format(row[5])
            writer.writerow([*row, *((name, where) if not last else (where, name))])
    items = read_manifest(tmp_path / "meta_data.csv")
    assert [item.label for item in items] == [0, 1, 1]
    assert items[0].name == "FakeAVCeleb/RealVideo-RealAudio/African/men/id00076/00109.mp4"
    assert [item.kind for item in items] == ["real", "wav2lip", "rtvc"]
    assert {item.group for item in items} == {"id00076"}


def test_a_row_may_be_a_folder_of_frames(tmp_path):
    folder = tmp_path / "faces" / "v1"
    folder.mkdir(parents=True)
    for number in range(50):
        (folder / f"{number:03d}.png").touch()
    (folder / "landmarks.npy").touch()
    (tmp_path / "m.csv").write_text("path,label,kind\nfaces/v1,1,swap\nalone.png,0,\n")
    items = read_manifest(tmp_path / "m.csv")
    assert len(items) == FRAMES_A_VIDEO + 1
    assert {(i.video, i.group, i.kind) for i in items[:-1]} == {("faces/v1", "faces/v1", "swap")}
    assert items[0].name == "faces/v1/000.png" and items[0].path.is_file()
    assert items[-1].video == ""
    write_manifest(tmp_path / "again.csv", items)
    assert read_manifest(tmp_path / "again.csv") == items
    (tmp_path / "empty").mkdir()
    (tmp_path / "m.csv").write_text("path,label\nempty,1\n")
    assert "without images" in refusal(tmp_path / "m.csv")


@pytest.mark.parametrize(
    ("name", "text", "part"),
    [
        ("x.json", "{", "not a JSON text"),
        ("x.json", "{}", "lists no files"),
        ("x.json", '[{"file": "a"}]', "entry 1 has no"),
        ("x.json", '[{"path": "a", "label": 7}]', "neither real nor fake"),
        ("x.json", '{"X": {"v": {"label": "class 2", "frames": ["a"]}}}', "neither real nor fake"),
        ("x.json", '{"X": {"v": {"label": "surreal", "frames": ["a"]}}}', "neither real nor"),
        ("x.json", '{"X": {"v": {"label": "real fake", "frames": ["a"]}}}', "neither real nor"),
        ("x.txt", "a/b.png", "line 1 is not"),
        ("x.txt", "set/surreal/v/1.png", "neither real nor fake"),
        ("x.txt", "\n\n", "lists no files"),
        ("x.csv", "source,method,category,type,path\na,b,c,,x.mp4\n", "line 2 names"),
    ],
)
def test_a_list_that_says_nothing_is_refused_in_one_sentence(tmp_path, name, text, part):
    (tmp_path / name).write_text(text)
    assert part in refusal(tmp_path / name)


def test_benchmark_figures_are_those_of_a_slow_reference():
    rng = np.random.default_rng(0)
    scores, frames = [], []
    for video in range(40):
        label = video % 2
        for frame in range(5):
            llr = float(rng.normal(2 * label - 1, 2))
            item = Item(f"{video}/{frame}.png", Path(), label, video=str(video))
            known = None if frame == 4 and video % 3 == 0 else llr
            scores.append(Score(item, "Inconclusive", None, known, None, {}))
            if known is not None:
                frames.append((str(video), label, llr))
    labels, llrs = np.array([f[1] for f in frames]), np.array([f[2] for f in frames])
    chances = {v: [probabilities(np.array(x)) for n, _, x in frames if n == v] for v, *_ in frames}
    result = benchmark_figures(scores)
    assert set(result) == set(TITLES) - {"file_auc"}
    assert result["frame_auc"] == pytest.approx(roc_auc_score(labels, llrs))
    assert result["ap"] == pytest.approx(average_precision_score(labels, llrs))
    slow = roc_auc_score([int(v) % 2 for v in chances], [np.mean(c) for c in chances.values()])
    assert result["video_auc"] == pytest.approx(slow)
    assert result["accuracy"] == pytest.approx(((llrs > 0) == labels).mean())
    assert result["accuracy_fake"] == pytest.approx((llrs[labels == 1] > 0).mean())


def scored(*rows: tuple[str, int, float]) -> list[Score]:
    return [
        Score(Item(name, Path(), label), "Inconclusive", None, llr, None, {})
        for name, label, llr in rows
    ]


@pytest.mark.parametrize("ending", ["png", "mp4"])
def test_lists_of_images_and_of_whole_videos_get_figures_over_files(ending):
    rows = [(f"a.{ending}", 1, 2.0), (f"b.{ending}", 0, 1.0), (f"c.{ending}", 0, -1.0)]
    result = benchmark_figures(scored(*rows, (f"d.{ending}", 1, 0.5)))
    assert set(result) == set(TITLES) - {"frame_auc", "video_auc"}
    assert result["file_auc"] == 0.75 and result["accuracy"] == 0.75
    assert result["accuracy_real"] == 0.5 and result["accuracy_fake"] == 1.0


def test_one_class_alone_has_no_benchmark_figures():
    assert benchmark_figures(scored(("a.mp4", 1, 2.0))) == {}
