"""Is it one row in, one row out, whatever happens to files, processes and disks?"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, unquote, urlsplit

import pyarrow
import pyarrow.dataset as ds
import pytest
from pyarrow import parquet

import cli
from batch import output
from batch.cluster import ACTOR_BYTES, _fitting
from batch.listing import id_of, listing
from batch.output import PENDING
from batch.rows import SCHEMA
from batch.run import run_batch
from batch.storage import address_of
from errors import UserError
from tests.batch_looks import NOTHING, files_in, look, resources

run = partial(run_batch, settings=NOTHING, look=look)


def rows_in(out: Path) -> list[dict]:
    """All rows of the only run below ``out``, by URI."""
    (folder,) = out.glob("verdicts-*")
    table = ds.dataset(folder / "rows").to_table()
    assert table.schema.equals(SCHEMA)
    return sorted(table.to_pylist(), key=lambda row: row["uri"])


# ------------------------------------------------------------------ rows


def test_every_file_is_one_row_whatever_became_of_it(tmp_path):
    source = files_in(tmp_path / "in", 5, "bug.png", "damaged.png", "poison.mp4", "notes.txt")
    outcome = run(str(source), str(tmp_path / "out"), workers=2)
    rows = rows_in(tmp_path / "out")
    names = [row["uri"].rpartition("/")[2] for row in rows]
    errors = [row["error"] for row in rows]
    assert names == [*(f"{n:04}.jpg" for n in range(5)), "bug.png", "damaged.png", "poison.mp4"]
    assert errors == [None] * 5 + ["internal_error", "decode_failed", "worker_killed"]
    assert all(row["id"] == id_of(row["uri"]) for row in rows)
    assert outcome.files == 8 and sum(outcome.counts.values()) == 8


def test_one_worker_and_two_write_the_same_rows(tmp_path):
    source = files_in(tmp_path / "in", 6, "bug.png", "damaged.png")
    rows = []
    for workers in (1, 2):
        run(str(source), str(tmp_path / f"out{workers}"), workers=workers)
        rows.append(rows_in(tmp_path / f"out{workers}"))
    one, two = ([{**row, "seconds": 0.0} for row in half] for half in rows)
    assert len(one) == 8 and one == two


def test_a_row_holds_verdict_evidence_reasons_and_hash(tmp_path):
    run(str(files_in(tmp_path / "in", 1, "damaged.png")), str(tmp_path / "out"))
    row, damaged = rows_in(tmp_path / "out")
    assert row["level"] and row["log_odds"] is not None and row["sha256"]
    assert {finding["detector"] for finding in row["findings"]} > {"spatial", "sync"}
    assert any(f["llr"] is not None for f in row["findings"])
    assert any(f["reason"] for f in row["findings"])
    assert [one["level"] for one in row["people"]] and row["seconds"] > 0
    assert damaged["level"] is None and len(damaged["sha256"]) == 64


def test_the_same_command_goes_on_and_examines_only_what_is_new(tmp_path):
    source, out = files_in(tmp_path / "in", 4), tmp_path / "out"
    assert run(str(source), str(out)).former == 0
    before = rows_in(out)
    files_in(source, 6)
    outcome = run(str(source), str(out))
    assert (outcome.files, outcome.former) == (6, 4)
    after = rows_in(out)
    assert len(after) == 6 and after[:4] == before
    assert run(str(source), str(out)).former == 6


def test_other_settings_write_to_another_folder(tmp_path):
    source, out = files_in(tmp_path / "in", 1), tmp_path / "out"
    run(str(source), str(out))
    run(str(source), str(out), limit_s=7.0)
    assert len(list(out.glob("verdicts-*"))) == 2


def test_what_a_killed_run_left_half_done_is_deleted_before_the_next(tmp_path):
    source, out = files_in(tmp_path / "in", 3), tmp_path / "out"
    run(str(source), str(out))
    (folder,) = out.glob("verdicts-*")
    part = next((folder / "rows").glob("*.parquet"))
    part.rename(folder / "rows" / "abc_000000-0.parquet")  # as Ray writes one …
    journal = folder / "journal" / "x" / f"abc_000000{PENDING}"
    journal.parent.mkdir(parents=True)
    journal.touch()  # … that it has not finished
    (folder / "rows" / ".half.parquet").write_bytes(b"PAR1")
    outcome = run(str(source), str(out))
    assert outcome.former == 2 and len(rows_in(out)) == 3
    assert not (folder / "journal").exists()


def test_a_file_that_takes_too_long_is_a_row(tmp_path):
    run(str(files_in(tmp_path / "in", 1)), str(tmp_path / "out"), limit_s=-1.0)
    assert rows_in(tmp_path / "out")[0]["error"] == "took_too_long"


# ------------------------------------------------------------------ sources


def test_a_manifest_lists_files_beside_it_elsewhere_and_each_once(tmp_path):
    files_in(tmp_path / "a b", 2)
    text = (
        f"path,label\na b/0000.jpg,1\n{tmp_path}/a b/0001.jpg,0\na b/0000.jpg,1\ns3://x/ü y.jpg,\n"
    )
    (tmp_path / "list.csv").write_text(text, "utf-8")
    files = listing(str(tmp_path / "list.csv"))
    assert files["uri"].to_pylist() == [
        (tmp_path / "a b/0000.jpg").as_uri(), (tmp_path / "a b/0001.jpg").as_uri(),
        "s3://x/%C3%BC%20y.jpg",
    ]  # fmt: skip


def test_a_folder_and_its_uri_list_the_same(tmp_path):
    folder = files_in(tmp_path / "a b", 3, ".hidden.jpg")
    uris = [(folder / f"{n:04}.jpg").as_uri() for n in range(3)]
    assert listing(str(folder))["uri"].to_pylist() == uris
    assert listing(folder.as_uri())["uri"].to_pylist() == uris


def test_what_only_fsspec_knows_is_read_too(tmp_path):
    fsspec = pytest.importorskip("fsspec")
    fsspec.filesystem("memory").pipe("/shelf/0001.jpg", b"x")
    assert listing("memory://shelf")["uri"].to_pylist() == ["memory://shelf/0001.jpg"]


SHELF = {"shelf/a b.jpg": b"a", "shelf/damaged.png": b"d"}


class Bucket(BaseHTTPRequestHandler):
    """As much of S3 as a listing and a download need; without a key nothing is told."""

    files: dict[str, bytes] = {}  # noqa: RUF012
    asked: list[str] = []  # noqa: RUF012

    def do_GET(self):
        parts = urlsplit(self.path)
        key = unquote(parts.path).removeprefix("/bucket").lstrip("/")
        self.asked.append(key)
        if key.startswith("locked") or "Credential=known" not in self.headers.get(
            "Authorization", ""
        ):
            self.answer(403, b"<Error><Code>AccessDenied</Code></Error>")
        elif key in self.files:
            self.answer(200, self.files[key])
        elif "list-type" in parts.query:
            prefix = parse_qs(parts.query).get("prefix", [""])[0]
            held = [(k, v) for k, v in sorted(self.files.items()) if k.startswith(prefix)]
            inner = "".join(
                f"<Contents><Key>{k}</Key><Size>{len(v)}</Size></Contents>" for k, v in held
            )
            head = f"<KeyCount>{len(held)}</KeyCount><IsTruncated>false</IsTruncated>"
            self.answer(200, f"<ListBucketResult>{head}{inner}</ListBucketResult>".encode())
        else:
            self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")

    do_HEAD = do_GET

    def answer(self, code: int, body: bytes):
        self.send_response(code)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextmanager
def bucket(name: str = "shelf", **files: bytes) -> Iterator[str]:
    """The URI of a folder or file in a bucket; further files have only names that Python knows."""
    Bucket.files, Bucket.asked = {**SHELF, **files}, []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Bucket)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    where = f"endpoint_override=127.0.0.1:{server.server_port}&scheme=http&region=here"
    yield f"s3://bucket/{name}?{where}"
    server.shutdown()


@pytest.fixture
def key(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "known")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


def test_a_bucket_is_examined_and_its_endpoint_is_no_part_of_a_name(tmp_path, key):
    with bucket() as uri:
        run(uri, str(tmp_path / "out"))
    rows = rows_in(tmp_path / "out")
    assert [row["uri"] for row in rows] == [
        "s3://bucket/shelf/a%20b.jpg", "s3://bucket/shelf/damaged.png",
    ]  # fmt: skip
    assert [row["error"] for row in rows] == [None, "decode_failed"]


@pytest.mark.parametrize(
    ("uri", "read_by"),
    [
        ("s3://x/a.jpg", "s3://x/a.jpg?region=here"),
        ("s3://y/a.jpg", "s3://y/a.jpg"),
        ("gs://x/a.jpg", "gs://x/a.jpg"),
        ("file:///x/a.jpg", "file:///x/a.jpg"),
    ],
)
def test_settings_of_a_storage_are_its_own(uri, read_by):
    assert address_of(uri, "s3://x/list.csv?region=here") == read_by


def test_a_manifest_in_a_bucket_lists_files_of_this_machine_too(tmp_path, key):
    here = files_in(tmp_path / "in", 1) / "0000.jpg"
    with bucket("list", list=f"path\nshelf/a b.jpg\n{here.as_uri()}\n".encode()) as uri:
        run(uri, str(tmp_path / "out"))
    assert [row["error"] for row in rows_in(tmp_path / "out")] == [None, None]


def test_a_file_that_could_not_be_fetched_is_tried_again_and_keeps_one_row(tmp_path, key):
    out = tmp_path / "out"
    with bucket("list", list=b"path\nshelf/a b.jpg\nlate\n") as uri:
        run(uri, str(out))
        before = rows_in(out)
        assert [row["error"] for row in before] == ["cannot_fetch", None]
        run(uri, str(out))
        assert [row["error"] for row in rows_in(out)] == ["cannot_fetch", None]
        Bucket.files["late"] = b"l"
        assert run(uri, str(out)).former == 1
    after = rows_in(out)
    assert [row["error"] for row in after] == [None, None]
    assert after[1] == before[1]


# ------------------------------------------------------------------ before the first file


def refused(code: str, source: object, out: Path, **others) -> str:
    """The sentence of a run that is refused before it examines a file."""
    with pytest.raises(UserError) as caught:
        run_batch(str(source), str(out), NOTHING, look=must_not_look, **others)
    assert caught.value.code == code
    return caught.value.sentence


def must_not_look(*_, **__):
    raise AssertionError("a file was examined")


def test_a_missing_credential_is_told_before_the_first_file(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "stranger")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with bucket() as uri:
        sentence = refused("no_credentials", uri, tmp_path)
    assert "AWS_ACCESS_KEY_ID" in sentence


def test_a_manifest_of_files_that_are_refused_is_told_after_one_of_them(tmp_path, key):
    with bucket("list", list=b"path\nlocked/a.jpg\nlocked/b.jpg\nshelf/a b.jpg\n") as uri:
        sentence = refused("no_credentials", uri, tmp_path)
    assert sentence.startswith("s3://bucket/locked/a.jpg does not let you in")
    assert set(Bucket.asked) == {"list", "locked/a.jpg"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"file\na.jpg\n", "no column"),
        (b"path\n\n", "lists no files"),
        (b"path,label\na.jpg,1\n,0\n", "Line 3"),
        (b"path\n\xff\xfe\n", "not a CSV text"),
    ],
)
def test_an_unreadable_listing_is_told_before_the_first_file(text, sentence, tmp_path):
    (tmp_path / "list.csv").write_bytes(text)
    assert sentence in refused("bad_listing", tmp_path / "list.csv", tmp_path / "out")


@pytest.mark.parametrize("source", ["nowhere", "zzz://a/b", "s3://no-such-place"])
def test_a_place_that_is_not_there_is_told_before_the_first_file(source, tmp_path):
    if "s3" in source:
        source += "?endpoint_override=127.0.0.1:9&scheme=http&region=here"
    refused("bad_listing", source, tmp_path / "out")


def test_a_full_disk_is_told_before_the_first_file(tmp_path, monkeypatch):
    monkeypatch.setattr(output.shutil, "disk_usage", lambda _: SimpleNamespace(free=5_000_000))
    sentence = refused("cannot_write", files_in(tmp_path / "in", 1), tmp_path / "out")
    assert "5 MB left" in sentence


def test_a_folder_that_cannot_be_written_is_told_before_the_first_file(tmp_path):
    (tmp_path / "out").write_text("a file")
    refused("cannot_write", files_in(tmp_path / "in", 1), tmp_path / "out")


@pytest.mark.parametrize("other", [{"id": ["a"], "level": [1]}, None])
def test_rows_of_another_shape_are_told_before_the_first_file(other, tmp_path):
    source, out = files_in(tmp_path / "in", 2), tmp_path / "out"
    run(str(source), str(out))
    (folder,) = out.glob("verdicts-*")
    if other is None:
        (folder / "rows" / "other.parquet").write_bytes(b"no table")
    else:
        parquet.write_table(pyarrow.table(other), folder / "rows" / "other.parquet")
    with pytest.raises(UserError) as caught:
        run(str(files_in(source, 3)), str(out))
    assert caught.value.code == "schema_differs" and "other.parquet" in caught.value.sentence


def test_two_runs_do_not_write_to_one_folder(tmp_path):
    source, out = files_in(tmp_path / "in", 1), tmp_path / "out"
    run(str(source), str(out))
    (folder,) = out.glob("verdicts-*")
    other = output.output_for(str(out), folder.name.removeprefix("verdicts-"))
    with other.alone(), pytest.raises(UserError, match="Another run"):
        run(str(source), str(out))


def test_the_command_says_what_is_wrong_and_ends_with_one(tmp_path, capsys):
    assert cli.main(["batch", str(tmp_path / "none"), "--out", str(tmp_path)]) == 1
    assert "[bad_listing]" in capsys.readouterr().err


# ------------------------------------------------------------------ Ray


@pytest.fixture(scope="module")
def cluster():
    """A cluster of this machine that has memory for two actors and a half."""
    ray = pytest.importorskip("ray", reason="Ray is an extra: pip install .[batch]")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")  # others wait for a test, too
        memory = int(2.5 * ACTOR_BYTES)
        ray.init(num_cpus=4, include_dashboard=False, object_store_memory=10**8, _memory=memory)
        yield
        ray.shutdown()


def test_ray_writes_the_same_rows(tmp_path, cluster):
    """One poison file among them; and the other engine finds nothing left to do."""
    source = files_in(tmp_path / "in", 20, "damaged.png", "poison.mp4")
    run(str(source), str(tmp_path / "here"))
    run(str(source), str(tmp_path / "there"), engine="ray", workers=2)
    here, there = rows_in(tmp_path / "here"), rows_in(tmp_path / "there")
    fixed = ("id", "uri", "level", "log_odds", "findings", "error", "sha256")
    assert [[row[c] for c in fixed] for row in there] == [[row[c] for c in fixed] for row in here]
    assert run(str(source), str(tmp_path / "there")).former == len(there)


def test_ray_puts_aside_the_memory_that_an_actor_needs(tmp_path, cluster):
    source = files_in(tmp_path / "in", 3)
    run(str(source), str(tmp_path / "out"), engine="ray", look=resources)
    assert {row["error"] for row in rows_in(tmp_path / "out")} == {str(ACTOR_BYTES)}


@pytest.mark.parametrize(("memory", "actors"), [(ACTOR_BYTES, 1), (2.9 * ACTOR_BYTES, 2)])
def test_a_cluster_gets_as_many_actors_as_its_memory_bears(memory, actors):
    assert _fitting({"memory": memory}) == actors


def test_a_cluster_without_memory_for_one_actor_is_told_before_the_first_file():
    with pytest.raises(UserError, match="2 GB of memory") as caught:
        _fitting({"memory": 0.9 * ACTOR_BYTES})
    assert caught.value.code == "cluster_failed"
