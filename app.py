"""How does a person use it in a browser, and another program over the wire?

The page of ui/ and the endpoint `/analyze`. Nothing happens at import; ``build()`` makes the page
and ``main()`` serves it.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
from pathlib import Path
from typing import Any, Literal

import gradio as gr
from gradio.events import api as endpoint
from gradio.http_server import INITIAL_PORT_VALUE as PORT
from gradio.themes import Base, Default
from gradio.utils import get_upload_folder
from starlette.middleware import Middleware

from analysis import Settings, load_detector
from errors import UserError
from hub.spacefile import read_spacefile
from media.native_logs import silence_native_logs
from report import cards, export
from stop import in_words
from ui import keeping
from ui.about import about_tab
from ui.analyze import analyze_tab
from ui.compare import compare_tab
from ui.headers import SecurityHeaders
from ui.jobs import is_hosted, limit_s, stoppable
from ui.models import models_tab
from ui.session import (
    QUEUE,
    ROLES,
    check_limits,
    chosen_settings,
    examine,
    spaces,
)

MOST_WAITING = 20  # visitors in the queue
PRIVACY = (
    "Files stay on the machine that runs this page and are deleted within an hour. "
    "Nothing is sent anywhere else. One analysis may take {limit}."
)
CSS = """
.gradio-container { width: 100% !important; max-width: 1280px !important; min-width: 0 !important;
  margin: 0 auto !important; }
#head h1 { font-size: 1.6rem; margin: 0; } #head p { margin: .2rem 0; }
#left { position: sticky; top: 12px; align-self: flex-start; }
#timeline img { cursor: pointer; } #verdict { padding: 0 !important; }
#pictures .grid-wrap { max-height: none !important; height: auto !important; }
.empty { border: 1px dashed var(--border-color-primary); border-radius: 8px; padding: 1.5rem; }
.ev .empty h2 { font-size: 1.2rem; }
:focus-visible { outline: 3px solid #0072b2 !important; outline-offset: 2px; }
@media (max-width: 900px) { #left { position: static; } }
@media (max-width: 640px) { .grid-container { grid-template-columns: 1fr 1fr !important; }
  #timeline { overflow-x: auto !important; } #timeline * { overflow: visible !important; }
  #timeline :has(> img) { justify-content: flex-start !important; }
  #timeline img { width: 640px !important; max-width: none !important; margin: 0 !important; } }
"""


def build() -> gr.Blocks:
    """The whole page."""
    space, promise = read_spacefile(), PRIVACY.format(limit=in_words(limit_s()))
    keeping.begin()
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    with gr.Blocks(title="Deepfake detector", analytics_enabled=False) as blocks:
        gr.HTML(
            "<h1>Deepfake detector</h1><p>Does a face in this video or picture look manipulated? "
            f"Evidence with reasons, never a bare score.</p><p><small>{promise}</small></p>",
            elem_id="head",
        )
        with gr.Tabs():
            with gr.Tab("Analyse"):
                analyze_tab(space)
            with gr.Tab("Compare checkpoints"):
                compare_tab()
            with gr.Tab("Models"):
                models_tab()
            with gr.Tab("About"):
                about_tab()
        endpoint(
            stoppable(analyze_file),
            api_name="analyze",
            concurrency_limit=1,
            concurrency_id=QUEUE,
        )
    return blocks


# ---------------------------------------------------------------- for programs


def analyze_file(
    file: gr.FileData,
    mode: Literal["quick", "thorough"] = "quick",
    checkpoints: dict[str, str] | None = None,
    fake_labels: dict[str, list[str]] | None = None,
) -> dict[str, Any]:
    """Look for signs that a face in a video or picture was manipulated, and say why.

    Returns one JSON object (report/schema.json): the file with its SHA-256, a verdict (level,
    calibrated probability, log-odds with the contribution of each detector), people, findings with
    a number or a reason for each detector, and an explanation in plain sentences. A level is
    evidence for a person who checks, never proof; "No signs found" does not mean "genuine".

    Args:
        file: the video or picture (MP4, MOV, MKV, WebM, AVI, MPEG, GIF, JPEG, PNG, WebP).
        mode: quick looks at up to four windows of 3 s; thorough looks at everything.
        checkpoints: detector (spatial, temporal, frequency, sync, landmarks) to a Hub id
            owner/repo or owner/repo@commit; embedded ones where absent.
        fake_labels: detector to the names of the outputs that mean fake, for checkpoints that do
            not say so themselves.
    """
    try:
        path = uploaded(file)
        said = {role: ",".join(labels) or "none" for role, labels in (fake_labels or {}).items()}
        space = read_spacefile()
        chosen = {**space.checkpoints, **(checkpoints or {})}
        settings = chosen_settings(mode, None, True, chosen, said)
        check_limits(path, settings, space)
        return export.to_json(examine(path, settings))
    except UserError as error:
        raise gr.Error(f"{error.code}: {error.sentence}", print_exception=False) from error


def uploaded(file: Any) -> str:
    """The path of an uploaded file; nothing else on this machine can be named."""
    path = Path(str((file or {}).get("path", ""))).resolve()
    if not path.is_relative_to(Path(get_upload_folder()).resolve()) or not path.is_file():
        raise UserError("no_file", "Upload a file first; paths of this machine are not read.")
    return str(path)


# ---------------------------------------------------------------- the server


def serve(blocks: gr.Blocks, port: int | None = None, wait: bool = True) -> str:
    """Launch the page and return its address."""
    space = read_spacefile()
    atexit.register(keeping.Sweeper().close)
    _, address, _ = blocks.queue(max_size=MOST_WAITING).launch(
        server_name=server_name(),
        server_port=port,
        mcp_server=True,
        app_kwargs={"middleware": [Middleware(SecurityHeaders)]},
        theme=theme(),
        css=cards.CSS.read_text("utf-8") + CSS,
        max_file_size=f"{space.max_upload_mb}mb",
        footer_links=["api"],
        ssr_mode=False,
        quiet=True,  # its lines offer to share the page with the world
        prevent_thread_lock=True,
    )
    print(_address_line(address, port), flush=True)
    if wait:
        blocks.block_thread()
    return address


def server_name() -> str:
    """Where to listen: for this machine only, but for Spaces and those who ask for more."""
    return "0.0.0.0" if is_hosted() else os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1")


def _address_line(address: str, port: int | None) -> str:
    """Where the page is, and why it is not where it is expected."""
    taken = "" if port is not None or f":{PORT}" in address else f"Port {PORT} is in use. "
    return f"{taken}The page is at {address} (Ctrl+C stops it)."


def theme() -> Base:
    """Calm colours and fonts of the visitor's own machine: nothing is fetched."""
    return Default(
        primary_hue="blue",
        neutral_hue="slate",
        font=("system-ui", "Segoe UI", "Liberation Sans", "sans-serif"),
        font_mono=("ui-monospace", "DejaVu Sans Mono", "monospace"),
    ).set(  # contrast of at least 4.5 to 1
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        color_accent="*primary_700",
        body_text_color_subdued="*neutral_600",
        block_info_text_color="*neutral_600",
        input_placeholder_color="*neutral_500",
    )


def main() -> None:
    """Serve the page until it is stopped."""
    silence_native_logs()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that uploads are deleted at the end
    if spaces is not None:  # ZeroGPU wants networks on the device before the first visitor
        for role in ROLES:
            load_detector(role, Settings())
    serve(build())


if __name__ == "__main__":
    main()
