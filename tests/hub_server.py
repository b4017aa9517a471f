"""A Hub on loopback, which the real ``huggingface_hub`` client talks to.

Not a test. Speaks the parts of the Hub's protocol that this program uses: repo info, tree,
``resolve`` with redirects to a file store, ETags, ``X-Repo-Commit``, ranges, gated and private
repos, 429, cut connections, repo creation, preupload, LFS, commits, and the Spaces' runtime.
Standard library and pytest's monkeypatch only.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

GOOD_TOKEN = "hf_goodgoodgood"
"""May read and write everything."""
POOR_TOKEN = "hf_poorpoorpoor"
"""Is known, but has not accepted any terms."""
LFS_ENDINGS = (".safetensors", ".bin", ".pt", ".png")
JSON = "application/json"
XET = "/xet/token"
"""Where a client that transfers by Xet asks first; nothing is there."""


def git_oid(content: bytes) -> str:
    """Return git's name of a blob."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@dataclass
class Repo:
    """One repository: commits with their files, branches, and how access is granted."""

    kind: str
    name: str
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    gated: bool = False
    private: bool = False
    false_sizes: dict[str, int] = field(default_factory=dict)
    false_oids: dict[str, str] = field(default_factory=dict)
    stages: list[str] = field(default_factory=lambda: ["BUILDING", "APP_STARTING", "RUNNING"])
    hardware: str | None = None
    variables: dict[str, str] = field(default_factory=dict)
    sdk: str | None = None

    def commit(self, files: dict[str, bytes], branch: str = "main") -> str:
        """Add a commit and move a branch to it; return its full id."""
        digest = hashlib.sha1(f"{self.name}{len(self.commits)}{sorted(files)}".encode())
        for path in sorted(files):
            digest.update(files[path])
        commit = digest.hexdigest()
        self.commits[commit] = dict(files)
        self.refs[branch] = commit
        return commit

    def find(self, revision: str) -> str | None:
        """Return the full commit of a branch, tag or commit."""
        commit = self.refs.get(revision, revision)
        return commit if commit in self.commits else None


class HubServer:
    """Start with ``with HubServer() as hub``; ``hub.url`` goes into ``HF_ENDPOINT``.

    Large files are redirected to ``hub.store_url``: the same server under another host name, as
    the Hub's file store is. ``hub.seen`` lists ``(method, path, token)`` of every request.
    ``hub.cuts`` holds numbers of bytes: each download of a stored file takes one and is cut off
    after so many bytes. Only half of a stored file comes while ``hub.gate`` is not set;
    ``hub.half`` says that it has come. ``hub.failures`` maps a part of a path to
    ``(status, headers)``.
    """

    def __init__(self) -> None:
        self.repos: dict[tuple[str, str], Repo] = {}
        self.stored: dict[str, bytes] = {}
        self.seen: list[tuple[str, str, str]] = []
        self.cuts: list[int] = []
        self.gate, self.half = threading.Event(), threading.Event()
        self.gate.set()
        self.failures: dict[str, tuple[int, dict[str, str]]] = {}
        hub = self

        class Handler(_Handler):
            server_hub = hub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{port}"
        self.store_url = f"http://localhost:{port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> HubServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def add(self, name: str, source: Path | dict[str, bytes], kind: str = "model") -> Repo:
        """Publish a folder, or files by name, as a repo with one commit on ``main``."""
        if isinstance(source, Path):
            source = {
                str(path.relative_to(source)): path.read_bytes()
                for path in sorted(source.rglob("*"))
                if path.is_file()
            }
        repo = self.repos.setdefault((kind, name), Repo(kind, name))
        repo.commit(source)
        return repo

    def posted(self) -> list[str]:
        """Return the paths of every request that could have changed something."""
        return [path for method, path, _ in self.seen if method not in ("GET", "HEAD")]


HURRIED = SimpleNamespace(**{**vars(time), "sleep": lambda _: None})


@contextmanager
def serving(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """Serve, and point the client, its cache and the user's own folder to this test's places."""
    with HubServer() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_HUB_CACHE", str(folder / "cache"))
        monkeypatch.setenv("DEEPFAKE_DETECTOR_HOME", str(folder / "user"))
        for name in ("HF_HUB_OFFLINE", "HF_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", False)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_PROGRESS_BARS", True)
        for module in ("file_download", "utils._http"):  # their own clock: others go on sleeping
            monkeypatch.setattr(f"huggingface_hub.{module}.time", HURRIED)
        yield hub


class _Handler(BaseHTTPRequestHandler):
    """Routes by the words of the path; each route answers through ``_answer``."""

    server_hub: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Stay silent."""

    def do_GET(self) -> None:
        self._route()

    def do_HEAD(self) -> None:
        self._route()

    def do_POST(self) -> None:
        self._route()

    def do_PUT(self) -> None:
        self._route()

    def _route(self) -> None:
        split = urlsplit(self.path)
        self.query = parse_qs(split.query)
        path = unquote(split.path)
        self.token = self.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        length = int(self.headers.get("Content-Length") or 0)
        if self.headers.get("Transfer-Encoding") == "chunked":
            self.body = self._read_chunks()
        else:
            self.body = self.rfile.read(length) if length else b""
        self.server_hub.seen.append((self.command, path, self.token))
        for part, (status, headers) in self.server_hub.failures.items():
            if part in path:
                return self._answer(status, {"error": "asked to fail"}, headers)
        words = path.strip("/").split("/")
        if words[0] == "stored":
            return self._store(words[-1])
        if words[0] == "api":
            return self._api(words[1:])
        if path.endswith(".git/info/lfs/objects/batch"):
            return self._lfs_batch()
        return self._file(words)

    def _read_chunks(self) -> bytes:
        data = b""
        while size := int(self.rfile.readline().strip() or b"0", 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def _answer(
        self, status: int, data: object = None, headers: dict[str, str] | None = None
    ) -> None:
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        if "Content-Type" not in (headers or {}):
            self.send_header("Content-Type", JSON)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _missing(self, code: str, status: int = 404) -> None:
        self._answer(status, {"error": code}, {"X-Error-Code": code, "X-Error-Message": code})

    # --- access

    def _repo(self, kind: str, name: str, for_files: bool = False) -> Repo | None:
        """Return a repo that this token may see, or answer as the Hub does and return None."""
        repo = self.server_hub.repos.get((kind, name))
        if repo is None or (repo.private and self.token != GOOD_TOKEN):
            self._missing("RepoNotFound", 404 if self.token else 401)
            return None
        if for_files and repo.gated and self.token != GOOD_TOKEN:
            self._missing("GatedRepo", 403 if self.token else 401)
            return None
        return repo

    # --- reading

    def _file(self, words: list[str]) -> None:
        kind = "space" if words[0] == "spaces" else "model"
        words = words[1:] if kind == "space" else words
        if len(words) < 5 or words[2] != "resolve":
            return self._missing("EntryNotFound")
        repo = self._repo(kind, "/".join(words[:2]), for_files=True)
        if repo is None:
            return None
        commit = repo.find(words[3])
        if commit is None:
            return self._missing("RevisionNotFound")
        path = "/".join(words[4:])
        content = repo.commits[commit].get(path)
        if content is None:
            return self._missing("EntryNotFound")
        if not path.endswith(LFS_ENDINGS):
            headers = {"ETag": f'"{git_oid(content)}"', "X-Repo-Commit": commit}
            return self._answer(200, content, {**headers, "Content-Type": "text/plain"})
        oid = hashlib.sha256(content).hexdigest()
        self.server_hub.stored[oid] = content
        headers = {
            "X-Repo-Commit": commit,
            "X-Linked-Etag": f'"{oid}"',
            "X-Linked-Size": str(len(content)),
            "X-Xet-Hash": oid,  # offered, as the Hub does; see XET
            "X-Xet-Refresh-Route": f"{self.server_hub.url}{XET}",
            "Location": f"{self.server_hub.store_url}/stored/{oid}",
        }
        return self._answer(302, b"", headers)

    def _store(self, oid: str) -> None:
        """Answer for the file store: whole files, ranges, cut connections and LFS uploads."""
        hub = self.server_hub
        if self.command == "PUT":
            hub.stored[hashlib.sha256(self.body).hexdigest()] = self.body
            return self._answer(200, b"")
        content = hub.stored.get(oid)
        if content is None:
            return self._missing("EntryNotFound")
        start = 0
        asked = self.headers.get("Range", "")
        if asked.startswith("bytes="):
            start = int(asked.removeprefix("bytes=").split("-")[0])
        part = content[start:]
        self.send_response(206 if start else 200)
        self.send_header("ETag", f'"{oid}"')
        self.send_header("Content-Length", str(len(part)))
        if start:
            last = len(content) - 1
            self.send_header("Content-Range", f"bytes {start}-{last}/{len(content)}")
        self.end_headers()
        if self.command == "HEAD":
            return None
        if hub.cuts:
            self.wfile.write(part[: hub.cuts.pop(0)])
            self.close_connection = True
            return None
        middle = len(part) // 2
        self.wfile.write(part[:middle])
        hub.half.set()
        hub.gate.wait(30)
        self.wfile.write(part[middle:])
        return None

    def _info(self, repo: Repo, revision: str) -> None:
        commit = repo.find(revision)
        if commit is None:
            return self._missing("RevisionNotFound")
        blobs = "blobs" in self.query
        data = {
            "id": repo.name,
            "modelId": repo.name,
            "sha": commit,
            "private": repo.private,
            "gated": "auto" if repo.gated else False,
            "tags": [],
            "siblings": [self._sibling(repo, commit, path, blobs) for path in repo.commits[commit]],
        }
        if repo.kind == "space":
            data |= {"sdk": repo.sdk, "runtime": self._runtime(repo)}
        return self._answer(200, data)

    def _sibling(self, repo: Repo, commit: str, path: str, blobs: bool) -> dict[str, object]:
        content = repo.commits[commit][path]
        if not blobs:
            return {"rfilename": path}
        size = repo.false_sizes.get(path, len(content))
        entry: dict[str, object] = {
            "rfilename": path,
            "size": size,
            "blobId": git_oid(content),
        }
        if path.endswith(LFS_ENDINGS):
            oid = repo.false_oids.get(path, hashlib.sha256(content).hexdigest())
            entry["lfs"] = {"sha256": oid, "size": size, "pointerSize": 134}
        return entry

    def _tree(self, repo: Repo, revision: str) -> None:
        commit = repo.find(revision)
        if commit is None:
            return self._missing("RevisionNotFound")
        files = repo.commits[commit].items()
        entries = [
            {"type": "file", "path": path, "size": len(content), "oid": git_oid(content)}
            for path, content in files
        ]
        return self._answer(200, entries)

    # --- writing

    def _api(self, words: list[str]) -> None:
        if words[0] == "validate-yaml":
            return self._answer(200, {"errors": [], "warnings": []})
        if words[0] == "whoami-v2":
            known = self.token in (GOOD_TOKEN, POOR_TOKEN)
            return self._answer(200 if known else 401, {"name": "tester", "type": "user"})
        if words == ["repos", "create"]:
            return self._create()
        kind, name, rest = words[0].removesuffix("s"), "/".join(words[1:3]), words[3:]
        repo = self._repo(kind, name)
        if repo is None:
            return None
        if not rest:
            return self._info(repo, "main")
        action, revision = rest[0], "/".join(rest[1:]) or "main"
        if self.command == "GET" and action in ("revision", "tree"):
            return (
                self._info(repo, revision) if action == "revision" else self._tree(repo, revision)
            )
        if self.command == "POST" and self.token != GOOD_TOKEN:
            return self._answer(403, {"error": "no right to write"})
        if action == "preupload":
            return self._preupload(repo)
        if action == "commit":
            return self._commit(repo, revision)
        if kind == "space":
            return self._space(repo, action)
        return self._missing("EntryNotFound")

    def _create(self) -> None:
        if self.token != GOOD_TOKEN:
            return self._answer(401 if not self.token else 403, {"error": "no right to create"})
        asked = json.loads(self.body)
        kind, name = asked.get("type", "model"), f"{asked['organization']}/{asked['name']}"
        url = f"{self.server_hub.url}/{'spaces/' if kind == 'space' else ''}{name}"
        if (kind, name) in self.server_hub.repos:
            return self._answer(409, {"error": "You already created this repo", "url": url})
        repo = self.server_hub.add(name, {".gitattributes": b""}, kind)
        repo.sdk, repo.hardware = asked.get("sdk"), asked.get("hardware")
        repo.private = asked.get("visibility") == "private"
        return self._answer(200, {"url": url, "name": name})

    def _preupload(self, repo: Repo) -> None:
        have = repo.commits[repo.refs["main"]]
        answer = [
            {
                "path": entry["path"],
                "uploadMode": "lfs" if entry["path"].endswith(LFS_ENDINGS) else "regular",
                "shouldIgnore": False,
                "oid": git_oid(have[entry["path"]]) if entry["path"] in have else None,
            }
            for entry in json.loads(self.body)["files"]
        ]
        self._answer(200, {"files": answer})

    def _lfs_batch(self) -> None:
        objects = []
        for entry in json.loads(self.body)["objects"]:
            answer = {"oid": entry["oid"], "size": entry["size"]}
            if entry["oid"] not in self.server_hub.stored:
                href = f"{self.server_hub.store_url}/stored/{entry['oid']}"
                answer["actions"] = {"upload": {"href": href}}
            objects.append(answer)
        self._answer(200, {"transfer": "basic", "objects": objects})

    def _commit(self, repo: Repo, branch: str) -> None:
        files = dict(repo.commits[repo.refs["main"]])
        for line in _json_lines(self.body):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.server_hub.stored[value["oid"]]
            elif line["key"] == "deletedFile":
                files.pop(value["path"], None)
        commit = repo.commit(files, branch)
        url = f"{self.server_hub.url}/{repo.name}/commit/{commit}"
        self._answer(200, {"success": True, "commitOid": commit, "commitUrl": url})

    # --- Spaces

    def _runtime(self, repo: Repo) -> dict[str, object]:
        stage = repo.stages[0]
        hardware = {"current": repo.hardware, "requested": repo.hardware}
        sha = repo.refs["main"]
        return {"stage": stage, "hardware": hardware, "gcTimeout": None, "sha": sha}

    def _space(self, repo: Repo, action: str) -> None:
        asked = json.loads(self.body) if self.body else {}
        if action == "runtime":
            answer = self._runtime(repo)
            if len(repo.stages) > 1:
                repo.stages.pop(0)
            return self._answer(200, answer)
        if action == "hardware":
            repo.hardware = asked["flavor"]
            return self._answer(200, self._runtime(repo))
        if action == "variables":
            if self.command == "POST":
                repo.variables[asked["key"]] = asked["value"]
            values = {key: {"value": value} for key, value in repo.variables.items()}
            return self._answer(200, values)
        return self._missing("EntryNotFound")


def _json_lines(body: bytes) -> Iterable[dict]:
    return (json.loads(line) for line in body.splitlines() if line.strip())
