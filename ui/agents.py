"""What can an agent ask for over MCP?

Tools that return structured JSON with an output schema, the catalog and the model cards as
resources, and a prompt on how to report a finding without accusing anybody. Imports hub, report
and its neighbor api.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from mcp.server.fastmcp import Context, FastMCP
from mcp.server.fastmcp.exceptions import ToolError
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types import ToolAnnotations
from pydantic import BaseModel, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount

from detectors.registry import names, role_of
from errors import UserError
from hub.spacefile import read_spacefile
from report.schema import Report
from ui.api import analyzed, list_models, uploaded
from ui.jobs import is_hosted, stoppable
from ui.session import Step

PATH = "/gradio_api/mcp"
LEAST_STEP = 1e-6  # the protocol asks that progress grows with each message, as while one waits
CARDS = Path(__file__).resolve().parent.parent / "hub" / "defaults"
ABOUT = (
    "Looks for signs that a face or a voice in a video, an image or a recording was manipulated, "
    "and says why. "
    "A level is evidence for a person who checks, never proof; “No signs found” does not mean "
    "“genuine”. Never tell anybody that a person lied or that a file is fake on this ground alone."
)
READING = ToolAnnotations(readOnlyHint=True, destructiveHint=False, openWorldHint=False)


class Entry(BaseModel):
    """One checkpoint of the catalog."""

    name: str
    spec: str = Field(description="what to give as a checkpoint of the detector")
    detector: str
    architecture: str
    input: str = Field(description="what it is given at once")
    outputs: str = Field(description="what its outputs are called, by index")
    license: str
    usable: bool
    pinned: bool
    terms_to_accept: bool
    known: list[str] = Field(description="what is known for and against it")


File = Annotated[
    str,
    Field(
        description="The file: an absolute path on the machine where the server runs (only from "
        "that machine), the path that /gradio_api/upload answered, or a data URL "
        "(data:video/mp4;base64,…)."
    ),
]
Mode = Annotated[
    Literal["quick", "thorough"],
    Field(description="quick looks at up to four windows of 3 s; thorough looks at everything"),
]
Checkpoints = Annotated[
    dict[str, str] | None,
    Field(
        description="Detector to a Hub id owner/repo or owner/repo@commit; embedded ones where "
        "absent. Detectors: " + ", ".join(names()) + "."
    ),
]
References = Annotated[
    list[str] | None,
    Field(
        description="Up to five recordings known to be real, of the same person or camera, given "
        "as the file is; they tell the level of the numbers."
    ),
]
Labels = Annotated[
    dict[str, list[str]] | None,
    Field(
        description="Detector to the names of the outputs that mean fake, for checkpoints that do "
        "not say so themselves."
    ),
]


class Server(FastMCP):
    """An MCP server whose refusals are a code and a sentence, and nothing else."""

    async def call_tool(self, name: str, arguments: dict[str, Any]) -> Any:
        """Call a tool."""
        try:
            return await super().call_tool(name, arguments)
        except ToolError as error:
            if isinstance(error.__cause__, ValidationError):
                raise ToolError(_wrong(error.__cause__)) from error
            raise ToolError(str(error).removeprefix(f"Error executing tool {name}: ")) from error


def _wrong(error: ValidationError) -> str:
    """Which arguments are missing or of the wrong type."""
    names = dict.fromkeys(str(one["loc"][0]) for one in error.errors() if one["loc"])
    listed = ", ".join(names) or "an argument"
    return f"bad_arguments: Missing or of the wrong type: {listed}; see the tool's input schema."


def server() -> FastMCP:
    """The MCP server, with its tools, resources and prompt."""
    space = read_spacefile()
    made = Server(
        "Deepfake detector", instructions=ABOUT, streamable_http_path="/", stateless_http=True,
        max_request_body_size=space.max_upload_mb * 1_400_000, log_level="WARNING",
        transport_security=TransportSecuritySettings(
            enable_dns_rebinding_protection=not is_hosted(),
            allowed_hosts=["127.0.0.1:*", "localhost:*", "[::1]:*"],
            allowed_origins=["http://127.0.0.1:*", "http://localhost:*", "http://[::1]:*"],
        ),
    )  # fmt: skip
    made.add_tool(analyze_file, name="analyze_file", title="Analyze a file", annotations=READING)
    made.add_tool(models, name="list_checkpoints", title="Catalog", annotations=READING)
    made.resource("catalog://checkpoints", mime_type="application/json")(catalog)
    made.resource("card://{detector}", mime_type="text/markdown")(card)
    made.prompt("report_a_finding", title="Report a finding without accusing")(prompt)
    return made


async def analyze_file(
    file: File,
    context: Context,
    mode: Mode = "quick",
    checkpoints: Checkpoints = None,
    fake_labels: Labels = None,
    references: References = None,
) -> Report:
    """Look for signs that a face or a voice in a file was manipulated, and say why.

    The verdict is one of five levels with a calibrated probability; every detector gives a number
    or the reason why it cannot judge. A level is evidence for a person who checks, never proof;
    "No signs found" does not mean "genuine".
    """
    loop, last = asyncio.get_running_loop(), 0.0

    def tell(step: Step) -> None:
        nonlocal last
        last = max(step.fraction, last + LEAST_STEP)
        data = context.report_progress(round(last, 6), 1.0, step.text)
        asyncio.run_coroutine_threadsafe(data, loop)

    try:
        request = context.request_context.request
        path, known = given(file, request), [given(one, request) for one in references or []]
        work = partial(analyzed, path, mode, checkpoints, fake_labels, tell, known)
        return await stoppable(_named(work), lambda wait: tell(Step(0.0, str(wait))))()
    except UserError as error:
        raise ToolError(f"{error.code}: {error.sentence}") from error


def models(
    query: Annotated[str, Field(description="words that must all occur; empty for all")] = "",
    detector: Annotated[
        str | None, Field(description="only those of one detector: " + ", ".join(names()))
    ] = None,
) -> list[Entry]:
    """List the checkpoints of the catalog with what is known for and against each."""
    try:
        return [Entry(**entry) for entry in list_models(query, detector)]
    except UserError as error:
        raise ToolError(f"{error.code}: {error.sentence}") from error


def catalog() -> list[dict[str, Any]]:
    """Every checkpoint of the catalog, with what is known for and against it."""
    return list_models()


def card(detector: str) -> str:
    """The model card of the embedded checkpoint of a detector."""
    if detector not in names():
        raise ValueError(f"no_card: there is no detector “{detector}”.")
    if role_of(detector).empty:
        raise ValueError(f"no_checkpoint: {role_of(detector).empty}")
    return (CARDS / detector / "README.md").read_text("utf-8")


def prompt(
    level: Annotated[str, Field(description="the level of the verdict")],
    reason: Annotated[str, Field(description="the sentences of the explanation")] = "",
) -> str:
    """How to tell a person what was found, without accusing anybody."""
    return (
        f"A tool examined a file. Its level is “{level}”. Its reasons: {reason or '(none given)'}\n"
        "Tell the reader in at most five sentences: the level in exactly these words; the "
        "strongest reason and the seconds it belongs to; what speaks for the other side; what "
        "could not be judged; and what to check next (the source, an earlier copy, the person "
        "shown). Do not call the file fake or genuine, do not name a culprit or an intention, and "
        "say that this is evidence for a person who checks, not proof. Do not turn a probability "
        "into certainty."
    )


def given(file: str, request: Request | None) -> str:
    """The path of a file that an agent named.

    Raises:
        UserError: ``no_file`` for a path of this machine that comes from another one.
    """
    space = read_spacefile()
    if file.startswith("data:"):
        return uploaded(file, space)
    path = Path(file).expanduser()
    if _is_local(request) and path.is_absolute():
        if not path.is_file():
            raise UserError("no_file", f"There is no file “{path.name}”.")
        return str(path)
    return uploaded({"path": file}, space)


def _is_local(request: Request | None) -> bool:
    """The call comes from the machine where this server runs, and not by way of another one."""
    if is_hosted() or request is None or request.client is None:
        return False
    forwarded = {"x-forwarded-for", "forwarded", "x-real-ip"} & set(request.headers)
    return request.client.host in ("127.0.0.1", "::1") and not forwarded


def _named(work: partial) -> Callable[[], Any]:
    def analyze() -> Any:
        return work()

    return analyze


# ---------------------------------------------------------------- how it is served


def served() -> dict[str, Any]:
    """Arguments of the web application that add the MCP server at `PATH`."""
    made = server()
    inner = made.streamable_http_app()

    async def schema(request: Request) -> JSONResponse:
        tools = await made.list_tools()
        return JSONResponse([tool.model_dump(mode="json", exclude_none=True) for tool in tools])

    inner.add_route("/schema", schema, methods=["GET"])

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        async with made.session_manager.run():
            yield

    return {"routes": [Mount(PATH, app=inner)], "lifespan": lifespan}
