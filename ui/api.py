"""What can another program ask for over HTTP?

Three endpoints: ``/analyze``, ``/models`` and ``/batch``. Every refusal is a code and a sentence,
of a wrong number of arguments too. Imports analysis, hub, report and its neighbors.
"""

from __future__ import annotations

import base64
import binascii
import inspect
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import unquote_to_bytes

import gradio as gr
from gradio.events import api as endpoint
from gradio.utils import get_upload_folder
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from analysis import Settings
from detectors.registry import names
from errors import UserError
from hub import catalog
from hub.spacefile import Space, read_spacefile
from media.mode import Mode
from report.export import to_report
from report.schema import Report
from ui.batch import MOST_FILES, MOST_HOSTED
from ui.jobs import LINE, give_way, is_hosted, stoppable
from ui.keeping import fresh_folder
from ui.session import Listener, check_limits, chosen_settings, examine, shown

DATA_URL = re.compile(r"data:[\w.+-]*/?[\w.+-]*((?:;[\w=.+-]+)*?)(;base64)?,", re.ASCII)
STATUS = {"no_endpoint": 404, "queue_full": 503}  # of HTTP
UNPROCESSABLE = 422  # where the arguments are wrong
CALL = re.compile(r"/gradio_api/call/(v2/)?([^/]+)/?")


def endpoints() -> None:
    """Declare the endpoints; call it inside of the page."""
    for function in ENDPOINTS.values():
        limit = "default" if function is list_models else None  # the others have ui.line
        endpoint(refusing(function), api_name=_name_of(function), concurrency_limit=limit)


def analyze_file(
    file: gr.FileData | None = None,
    mode: Literal["quick", "thorough"] = "quick",
    checkpoints: dict[str, str] | None = None,
    fake_labels: dict[str, list[str]] | None = None,
    references: list[gr.FileData] | None = None,
) -> dict[str, Any]:
    """Look for signs that a face or a voice in a file was manipulated, and say why.

    Returns one JSON object (report/schema.json): the file with its SHA-256, a verdict (level,
    calibrated probability, log-odds with the contribution of each detector), people, findings with
    a number or a reason for each detector, and an explanation in plain sentences. A level is
    evidence for a person who checks, never proof; "No signs found" does not mean "genuine".

    Args:
        file: the video, image or recording, uploaded, or as a data URL; required.
        mode: quick looks at up to four windows of 3 s; thorough looks at everything.
        checkpoints: detector to a Hub id owner/repo or owner/repo@commit; embedded ones where
            absent.
        fake_labels: detector to the names of the outputs that mean fake, for checkpoints that do
            not say so themselves.
        references: up to five recordings known to be real, of the same person or camera; they tell
            the level of the numbers.
    """
    space = read_spacefile()
    path, known = uploaded(file, space), uploaded_references(references, space)
    report = analyzed(path, mode, checkpoints, fake_labels, references=known)
    return report.model_dump(mode="json")


def list_models(query: str = "", detector: str | None = None) -> list[dict[str, Any]]:
    """List the checkpoints of the catalog with what is known for and against each.

    Args:
        query: words that must all occur; empty for all.
        detector: name of the detector whose checkpoints are listed; all when left out.
    """
    if not isinstance(query, str) or not isinstance(detector, str | None):
        raise UserError("bad_arguments", "query and detector must be texts.")
    if detector and detector not in names():
        raise UserError(
            "bad_arguments", f"There is no detector “{detector}”; there are {', '.join(names())}."
        )
    return [
        {
            "name": source.title, "spec": source.spec, "detector": source.detector,
            "architecture": source.architecture, "input": source.input, "outputs": source.outputs,
            "license": source.license, "usable": source.usable, "pinned": source.pinned,
            "terms_to_accept": source.gated, "known": [*source.bad, *source.notes],
        }
        for source in catalog.search(query, detector or None)
    ]  # fmt: skip


def analyze_batch(
    files: list[gr.FileData] | None = None, mode: Literal["quick", "thorough"] = "quick"
) -> list[dict[str, Any]]:
    """Analyze several files; one entry each, in their order.

    An entry is ``{"name", "report", "error"}``: a report as of `/analyze`, or the code and the
    sentence of what was wrong with that file. One damaged file does not stop the others.

    Args:
        files: the videos, images and recordings, uploaded or as data URLs.
        mode: quick looks at up to four windows of 3 s of each; thorough looks at everything.
    """
    most = MOST_HOSTED if is_hosted() else MOST_FILES
    if not isinstance(files, list) or not files:
        raise UserError("no_file", "Give a list of files.")
    if len(files) > most:
        raise UserError("too_many_files", f"These are {len(files)} files; at most {most} at once.")
    space = read_spacefile()
    return [_entry(file, number, mode, space) for number, file in enumerate(files, 1)]


def _entry(file: Any, number: int, mode: str, space: Space) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": f"file {number}", "report": None, "error": None}
    try:
        give_way()
        path = uploaded(file, space)
        entry["name"] = Path(path).name
        entry["report"] = analyzed(path, mode).model_dump(mode="json")
    except UserError as error:
        if error.code in ("stopped", "took_too_long", "bad_settings"):
            raise
        entry["error"] = {"code": error.code, "sentence": error.sentence}
    return entry


ENDPOINTS: dict[str, Callable] = {
    "analyze": analyze_file,
    "models": list_models,
    "batch": analyze_batch,
}


def _name_of(function: Callable) -> str:
    return next(name for name, one in ENDPOINTS.items() if one is function)


def refusing(function: Callable) -> Callable:
    """Make a function an event whose refusals reach a program as ``code: sentence``."""

    def answered(*values: Any) -> Any:
        try:
            return function(*values)
        except UserError as error:
            raise gr.Error(f"{error.code}: {error.sentence}", print_exception=False) from error

    answered.__doc__, answered.__name__ = function.__doc__, function.__name__
    answered.__signature__ = inspect.signature(function, eval_str=True)  # type: ignore[attr-defined]
    answered.__annotations__ = dict(inspect.get_annotations(function, eval_str=True))
    return answered if function is list_models else stoppable(answered)


# ---------------------------------------------------------------- what is done


def analyzed(
    path: str,
    mode: str = "quick",
    checkpoints: Any = None,
    fake_labels: Any = None,
    tell: Listener = shown,
    references: Sequence[str] = (),
) -> Report:
    """The typed report of a file of this machine, with the checkpoints of this Space."""
    space = read_spacefile()
    settings = asked_settings(mode, checkpoints, fake_labels, space)
    check_limits(path, settings, space)
    return to_report(examine(path, settings, tell, references))


def asked_settings(mode: Any, checkpoints: Any, fake_labels: Any, space: Space) -> Settings:
    """Settings from arguments of any type.

    Raises:
        UserError: ``bad_settings`` when they are not of the type that was declared.
    """
    if mode not in tuple(Mode):
        raise UserError("bad_settings", f"mode must be quick or thorough, got “{mode}”.")
    specs, labels = checkpoints or {}, fake_labels or {}
    if not _is_mapping(specs, str):
        raise UserError("bad_settings", "checkpoints must be an object of texts by detector.")
    if not _is_mapping(labels, list):
        raise UserError("bad_settings", "fake_labels must be an object of lists by detector.")
    for name in (*specs, *labels):
        if name not in names():
            raise UserError(
                "bad_settings", f"There is no detector “{name}”; there are {', '.join(names())}."
            )
    words = {
        role: ",".join(str(one) for one in subset) or "none" for role, subset in labels.items()
    }
    return chosen_settings(mode, None, True, {**space.checkpoints, **specs}, words)


def _is_mapping(value: Any, kind: type) -> bool:
    return isinstance(value, dict) and all(isinstance(one, kind) for one in value.values())


# ---------------------------------------------------------------- how a file is given


def uploaded(file: Any, space: Space) -> str:
    """The path of an uploaded file, or of the content of a data URL; nothing else is read.

    Raises:
        UserError: ``no_file``, ``bad_data_url`` or ``too_large``.
    """
    address = file.get("url") if isinstance(file, dict) else file
    if isinstance(address, str) and address.startswith("data:"):
        return written(address, space)
    return str(_inside(str(file.get("path") or "") if isinstance(file, dict) else ""))


def uploaded_references(files: Any, space: Space) -> list[str]:
    """The paths of recordings that are given as real.

    Raises:
        UserError: ``bad_arguments`` when it is no list; what `uploaded` says of one of them.
    """
    if not isinstance(files or [], list):
        raise UserError("bad_arguments", "references must be a list of files.")
    return [uploaded(file, space) for file in files or []]


def written(address: str, space: Space) -> str:
    """Write the content of a data URL into a file."""
    head = DATA_URL.match(address)
    if head is None:
        raise UserError("bad_data_url", "This data URL is not complete: data:TYPE;base64,CONTENT.")
    if len(address) > space.max_upload_mb * 1_400_000:
        raise UserError("too_large", f"The file is larger than {space.max_upload_mb} MB.")
    text = address[head.end() :]
    try:
        content = base64.b64decode(text, validate=True) if head[2] else unquote_to_bytes(text)
    except (binascii.Error, ValueError) as error:
        raise UserError("bad_data_url", "The content of this data URL is not base64.") from error
    target = fresh_folder() / "file"
    target.write_bytes(content)
    return str(target)


def _check_paths(values: Any) -> None:
    """Refuse paths outside of the uploads before anything opens them."""
    if isinstance(values, list):
        for value in values:
            _check_paths(value)
    elif isinstance(values, dict) and isinstance(values.get("path"), str):
        _inside(values["path"])


def _inside(name: str) -> Path:
    """The path of an upload.

    Raises:
        UserError: ``no_file`` when it is none.
    """
    path = Path(name.replace("\0", "") or "/").resolve()
    if not path.is_relative_to(Path(get_upload_folder()).resolve()) or not path.is_file():
        raise UserError(
            "no_file",
            "Upload a file first, or give a data URL; other paths and addresses are not read.",
        )
    return path


# ---------------------------------------------------------------- wrong arguments


class Arguments:
    """ASGI middleware: calls with wrong arguments are refused with a code and a sentence.

    Gradio answers them with an error of the server, or with none. Too few positional values are
    filled up with the defaults.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check the body of a call, then pass it on."""
        call = CALL.fullmatch(scope.get("path", "")) if scope["type"] == "http" else None
        if call is None or scope["method"] != "POST":
            return await self._app(scope, receive, send)
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        try:
            checked = json.dumps(check_call(call[2], bool(call[1]), body)).encode()
            if ENDPOINTS[call[2]] is not list_models:
                LINE.check()
        except UserError as error:
            return await refusal(error)(scope, receive, send)
        headers = [(k, v) for k, v in scope["headers"] if k.lower() != b"content-length"]
        headers.append((b"content-length", str(len(checked)).encode()))
        answered = False

        async def again() -> Message:
            nonlocal answered
            if answered:
                return await receive()
            answered = True
            return {"type": "http.request", "body": checked, "more_body": False}

        return await self._app({**scope, "headers": headers}, again, send)


def refusal(error: UserError) -> JSONResponse:
    """The answer to a call that is not taken."""
    answer = {"error": {"code": error.code, "sentence": error.sentence}}
    headers = {}
    if error.code == "queue_full":
        headers["Retry-After"] = str(LINE.try_again_s())
    return JSONResponse(answer, STATUS.get(error.code, UNPROCESSABLE), headers)


def check_call(name: str, by_name: bool, body: bytes) -> dict[str, Any]:
    """The body of a call, complete.

    Args:
        name: of the endpoint.
        by_name: arguments by name (``/call/v2/``), or a list in ``data``.
        body: JSON.

    Raises:
        UserError: ``no_endpoint`` or ``bad_arguments``.
    """
    if name not in ENDPOINTS:
        raise UserError("no_endpoint", f"There is no endpoint “{name[:60]}”.")
    known = list(inspect.signature(ENDPOINTS[name]).parameters.values())
    try:
        given = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise UserError("bad_arguments", "The body of the call is not JSON.") from error
    if not isinstance(given, dict):
        raise UserError("bad_arguments", "The body of the call must be a JSON object.")
    names = ", ".join(p.name for p in known)
    if by_name:
        for argument in given:
            if argument not in [p.name for p in known]:
                raise UserError(
                    "bad_arguments", f"Unknown argument “{argument[:60]}”; use {names}."
                )
        _check_paths(list(given.values()))
        return {p.name: given.get(p.name, p.default) for p in known}
    values = cast(Sequence[Any], given.get("data"))
    if not isinstance(values, list) or len(values) > len(known):
        raise UserError("bad_arguments", f"data must be a list of: {names}.")
    _check_paths(values)
    return {**given, "data": [*values, *(p.default for p in known[len(values) :])]}
