"""How do files come from the Hub to this disk, and what is said when they do not?

Lists a repository before it downloads anything, takes only the files that are wanted, at one full
commit, into the ordinary Hub cache, and turns every failure into a sentence with a next step. Keeps
a ledger of what it fetched, so that emptying the cache takes nothing that other programs put there.
Imports errors, stop, hub.checks and hub.quiet.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from errors import UserError, reason
from hub.checks import SMALL_FILES, WEIGHTS, check_listing, refuse
from hub.quiet import keep_quiet
from stop import Stop, current_stop, left_alone

USER_FOLDER_VARIABLE = "DEEPFAKE_DETECTOR_HOME"
LIST_TIMEOUT_S = 20.0
COMMIT = re.compile(r"^[0-9a-f]{40}$")
_LEDGER = "fetched.json"
_ledger_lock = threading.Lock()


@dataclass(frozen=True)
class Fetched:
    """A verified snapshot in the cache.

    Attributes:
        folder: the snapshot's folder.
        commit: full commit, 40 hex digits.
        warning: a sentence when the Hub could not be asked, else None.
    """

    folder: Path
    commit: str
    warning: str | None = None


@dataclass(frozen=True)
class Listing:
    """What the Hub says of one repo at one commit.

    Attributes:
        commit: full commit, 40 hex digits.
        sizes: path in the repo → bytes.
        checksum: the stated sha256 of the weights, if any.
        public: everybody may read it: neither private nor gated.
    """

    commit: str
    sizes: dict[str, int]
    checksum: str | None
    public: bool


@dataclass(frozen=True)
class Cached:
    """One commit of one repo in the cache."""

    repo_id: str
    commit: str
    size_bytes: int
    folder: Path


def endpoint() -> str:
    """Return the Hub's address: ``HF_ENDPOINT`` as it is now, not as it was at import."""
    from huggingface_hub import constants

    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def is_offline() -> bool:
    """True when ``HF_HUB_OFFLINE`` forbids every request."""
    from huggingface_hub import constants

    words = os.environ.get("HF_HUB_OFFLINE", "").strip().lower()
    return words in ("1", "true", "yes", "on") or constants.is_offline_mode()


def cache_folder() -> Path:
    """Return the Hub cache: ``HF_HUB_CACHE`` as it is now, or the library's default."""
    from huggingface_hub import constants

    return Path(os.environ.get("HF_HUB_CACHE") or constants.HF_HUB_CACHE).expanduser()


def user_folder() -> Path:
    """Return the folder for what the user told us: answers, calibrations, the ledger."""
    chosen = os.environ.get(USER_FOLDER_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "deepfake-detector"


def client(token: str | bool | None = None) -> Any:
    """Return an ``HfApi`` for the present endpoint.

    It transfers by plain HTTP: hf_xet hands over no piece and waits for the end of a file, so that
    nobody could stop a transfer by Xet.
    """
    from huggingface_hub import HfApi, constants

    keep_quiet()
    constants.HF_HUB_DISABLE_XET = True
    return HfApi(endpoint=endpoint(), token=token)


def fetch(repo_id: str, revision: str | None, token: str | bool | None = None) -> Fetched:
    """List, judge and download one repo, or find it in the cache when the Hub is out of reach.

    A full commit that was fetched before is taken from the cache without a request.

    Args:
        repo_id: ``owner/repo``.
        revision: branch, tag or commit; None means ``main``.
        token: a token, None for the one of ``HF_TOKEN``, False for none.

    Raises:
        UserError: with one of the ``hub_…`` and ``weights_…`` codes; what `stop.current_stop` says.
            The transfer ends with its next piece, and what has come is kept.
    """
    if is_offline():
        return _from_cache(repo_id, revision, token, "HF_HUB_OFFLINE forbids any download")
    if token is None and _was_fetched(repo_id, revision):
        return Fetched(_snapshot(repo_id, str(revision)), str(revision))
    try:
        listing = left_alone(partial(_list, repo_id, revision, token))
    except UserError as error:
        if error.code != "hub_offline":
            raise
        return _from_cache(repo_id, revision, token, "the Hub could not be reached")
    if token is False and not listing.public:  # the cache would hand it out without asking
        raise _gated(repo_id)
    wanted = check_listing(repo_id, listing.sizes)
    folder = left_alone(partial(_download, repo_id, listing.commit, wanted, token))
    if listing.checksum is not None:
        _check_sum(repo_id, folder / WEIGHTS, listing.checksum)
    _remember(repo_id, revision, listing)
    return Fetched(folder, listing.commit)


def list_cache() -> list[Cached]:
    """Return what this program fetched and what is still there, by repo and commit."""
    result = []
    for repo_id, commits in sorted(_read_ledger().items()):
        for commit in commits:
            folder = _snapshot(repo_id, commit)
            if folder.is_dir():
                size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
                result.append(Cached(repo_id, commit, size, folder))
    return result


def empty_cache(repo_id: str | None = None) -> int:
    """Delete what this program fetched, all of it or one repo; return the bytes freed."""
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    ledger = _read_ledger()
    chosen = [name for name in ledger if repo_id is None or name == repo_id]
    commits = [commit for name in chosen for commit in ledger.pop(name)]
    freed = 0
    try:
        info = scan_cache_dir(cache_folder())
        known = {revision.commit_hash for repo in info.repos for revision in repo.revisions}
        plan = info.delete_revisions(*[commit for commit in commits if commit in known])
        freed = plan.expected_freed_size
        plan.execute()
    except CacheNotFound:
        pass
    _write_ledger(ledger)
    return freed


@contextmanager
def hub_errors(repo_id: str) -> Iterator[None]:
    """Turn what the Hub's client raises into a UserError with a next step."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    try:
        yield
    except UserError:
        raise
    except HFValidationError as error:
        sentence = f"{repo_id[:80]!r} is not a name like owner/repo."
        raise UserError("hub_missing", sentence) from error
    except HfHubHTTPError as error:
        raise _by_status(repo_id, error) from error
    except (OfflineModeIsEnabled, httpx2.ConnectError, httpx2.TimeoutException) as error:
        raise _unreachable(repo_id) from error
    except (httpx2.HTTPError, OSError, ValueError) as error:
        cause = error.__cause__
        if isinstance(cause, HfHubHTTPError):
            raise _by_status(repo_id, cause) from error
        if isinstance(cause, httpx2.ConnectError | httpx2.TimeoutException):
            raise _unreachable(repo_id) from error
        if isinstance(error, OSError) and error.errno and not isinstance(error, ConnectionError):
            sentence = f"The transfer of {repo_id} could not be written: {reason(error)}."
            raise UserError("cannot_write", sentence) from error
        raise UserError(
            "hub_interrupted",
            f"The transfer of {repo_id} was interrupted ({type(error).__name__}). Try again: files "
            "that are complete are kept.",
        ) from error


def _by_status(repo_id: str, error: Any) -> UserError:
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    status = error.response.status_code
    page = f"{endpoint()}/{repo_id}"
    if isinstance(error, GatedRepoError):
        return _gated(repo_id)
    if isinstance(error, RevisionNotFoundError):
        return UserError("hub_missing", f"{repo_id} has no such revision; see {page}/commits.")
    if isinstance(error, RepositoryNotFoundError) or status == 404:
        what = "file" if isinstance(error, EntryNotFoundError) else "repository"
        return UserError(
            "hub_missing",
            f"The Hub shows no {what} {repo_id}. Check the name; if it is private, set HF_TOKEN "
            "to a token that may read it.",
        )
    if status in (401, 403):
        return UserError(
            "hub_gated",
            f"The Hub refuses this access to {repo_id} ({status}). Check the token in HF_TOKEN and "
            f"the terms at {page}.",
        )
    if status == 402:
        return UserError(
            "hub_gated", f"The Hub wants a paid plan for this; see {endpoint()}/settings/billing."
        )
    if status == 429:
        wait = error.response.headers.get("Retry-After", "")
        when = f"in {wait} seconds" if wait.isdigit() else "in a few minutes"
        return UserError(
            "hub_rate_limited",
            f"The Hub asks us to slow down. Try again {when}, or set HF_TOKEN for a higher limit.",
        )
    if status >= 500:
        return UserError(
            "hub_offline", f"The Hub answers with an error of its own ({status}); try again later."
        )
    return UserError("hub_interrupted", f"The Hub refused a request for {repo_id} ({status}).")


def _gated(repo_id: str) -> UserError:
    page = f"{endpoint()}/{repo_id}"
    sentence = f"{repo_id} is gated: accept the terms at {page} and set HF_TOKEN, then try again."
    return UserError("hub_gated", sentence)


def _unreachable(repo_id: str) -> UserError:
    return UserError(
        "hub_offline",
        f"The Hub at {endpoint()} cannot be reached and {repo_id} is not in the cache. Go online "
        "once, or download the repository elsewhere and give its folder.",
    )


def _list(repo_id: str, revision: str | None, token: str | bool | None) -> Listing:
    """Ask the Hub what a repo holds."""
    with hub_errors(repo_id):
        info = client(token).model_info(
            repo_id, revision=revision, files_metadata=True, timeout=LIST_TIMEOUT_S
        )
    if not COMMIT.match(str(info.sha)):
        raise refuse(f"The Hub names no full commit for {repo_id}.")
    files = info.siblings or []
    sizes = {file.rfilename: int(file.size or 0) for file in files}
    stored = next((file.lfs for file in files if file.rfilename == WEIGHTS), None)
    checksum = stored.sha256 if stored is not None else None
    return Listing(str(info.sha), sizes, checksum, not info.private and not info.gated)


def _download(repo_id: str, commit: str, wanted: list[str], token: str | bool | None) -> Path:
    os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "1")
    api, bar, folder = client(token), _bar(current_stop()), None
    with hub_errors(repo_id):
        for filename in wanted:
            path = api.hf_hub_download(
                repo_id,
                filename,
                revision=commit,
                cache_dir=str(cache_folder()),
                tqdm_class=bar,
            )
            folder = Path(path).parent
    assert folder is not None, "check_listing always wants the weights"
    return folder


def _bar(stop: Stop) -> Any:
    """The client's progress bar, which hears Stop: it is told of each piece that has come."""
    from huggingface_hub.utils import tqdm

    class Bar(tqdm):
        def update(self, n: float | None = 1) -> bool | None:
            stop.check()
            return super().update(n)

    return Bar


def _check_sum(repo_id: str, path: Path, expected: str) -> None:
    from hub.checksums import sha256_of

    if sha256_of(path) != expected:
        path.resolve().unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        raise UserError(
            "hub_interrupted",
            f"The weights of {repo_id} arrived with another checksum than the Hub states, and were "
            "deleted. Try again.",
        )


def _from_cache(repo_id: str, revision: str | None, token: str | bool | None, why: str) -> Fetched:
    """Find a repo without the Hub; for a visitor only one that was public when we fetched it."""
    commit = revision or "main"
    if not COMMIT.match(commit):
        if not re.fullmatch(r"[A-Za-z0-9._/-]{1,200}", commit) or ".." in commit:
            raise UserError("hub_missing", f"{commit[:80]!r} is not the name of a revision.")
        ref = _repo_cache(repo_id) / "refs" / commit
        commit = ref.read_text().strip() if ref.is_file() else ""
    folder = _snapshot(repo_id, commit) if COMMIT.match(commit) else None
    may_read = token is not False or _read_ledger().get(repo_id, {}).get(commit, False)
    if (
        folder is None
        or not may_read
        or not all((folder / name).exists() for name in ("config.json", WEIGHTS))
    ):
        raise UserError(
            "hub_offline",
            f"{repo_id} is not in the cache, and {why}. Go online once, or download the repository "
            "elsewhere and give its folder.",
        )
    sizes = {path.name: path.stat().st_size for path in folder.iterdir() if path.is_file()}
    check_listing(repo_id, {name: sizes[name] for name in sizes if name in (*SMALL_FILES, WEIGHTS)})
    words = f"Taken from the cache, because {why}; a newer commit would not be noticed."
    return Fetched(folder, commit, words)


def _was_fetched(repo_id: str, revision: str | None) -> bool:
    """True for a full commit that we listed, judged and checked before, and still have.

    Asked only for our own token: another visitor's right to a private repo is the Hub's to judge.
    """
    if revision is None or revision not in _read_ledger().get(repo_id, {}):
        return False
    folder = _snapshot(repo_id, revision)
    return all((folder / name).is_file() for name in ("config.json", WEIGHTS))


def _repo_cache(repo_id: str) -> Path:
    from huggingface_hub.file_download import repo_folder_name

    return cache_folder() / repo_folder_name(repo_id=repo_id, repo_type="model")


def _snapshot(repo_id: str, commit: str) -> Path:
    return _repo_cache(repo_id) / "snapshots" / commit


def _remember(repo_id: str, revision: str | None, listing: Listing) -> None:
    """Write the ledger, and the cache's own note of which commit a branch pointed to."""
    if not COMMIT.match(revision or "main"):
        ref = _repo_cache(repo_id) / "refs" / (revision or "main")
        ref.parent.mkdir(parents=True, exist_ok=True)
        ref.write_text(listing.commit)
    with _ledger_lock:
        ledger = _read_ledger()
        if ledger.get(repo_id, {}).get(listing.commit) is not listing.public:
            ledger.setdefault(repo_id, {})[listing.commit] = listing.public
            _write_ledger(ledger)


def _read_ledger() -> dict[str, dict[str, bool]]:
    """Return repo → commit → whether everybody could read it; a broken file counts as none."""
    try:
        ledger = json.loads((user_folder() / _LEDGER).read_text(encoding="utf-8"))
        return {
            str(repo): {str(commit): public is True for commit, public in commits.items()}
            for repo, commits in ledger.items()
        }
    except (OSError, ValueError, AttributeError):
        return {}


def _write_ledger(ledger: dict[str, dict[str, bool]]) -> None:
    from hub.checksums import write_atomically

    write_atomically(user_folder() / _LEDGER, json.dumps(ledger, indent=2) + "\n")
