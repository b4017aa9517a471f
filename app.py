"""How does a person use it in a browser, and another program over the wire?

The page of ui/, the endpoints and the MCP server. Nothing happens at import; ``build()`` makes the
page and ``main()`` serves it.
"""

from __future__ import annotations

import atexit
import inspect
import os
import signal
import sys
import threading
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from errors import UserError, need_temporary_files

try:
    need_temporary_files()  # Gradio asks for a folder when it is imported
except UserError as error:
    sys.exit(error.sentence)

import gradio as gr
from gradio.http_server import INITIAL_PORT_VALUE as PORT
from gradio.themes import Base, Default
from starlette.middleware import Middleware

from detectors.pool import best_device
from hub.quiet import keep_quiet
from hub.spacefile import read_spacefile
from media.native_logs import silence_native_logs
from media.reader import prepare
from report.language import Language
from report.render import css, render
from stop import in_words
from threads import set_threads
from ui import ahead, keeping
from ui.agents import PATH as MCP_PATH
from ui.agents import served
from ui.api import Arguments, endpoints
from ui.headers import SecurityHeaders
from ui.jobs import LINE, is_hosted, limit_s, places_on
from ui.registry import TABS
from ui.session import QUIET, spaces
from ui.source import EXAMPLES
from ui.tab import Tab
from ui.texts import dictionary, label, written

HERE = Path(__file__).parent
MIDDLEWARE = (SecurityHeaders, Arguments)
MOST_SESSIONS = 300  # that Gradio remembers, the longest unused goes first; each costs 0.3 MB
MOST_EVENTS = 200  # of all kinds in Gradio's queue; analyses have a line of their own, ui.line
TITLE = "Deepfake detector"
SUBTITLE = "Does a face or a voice look manipulated? Evidence with reasons, never a bare score."
PRIVACY = (
    "Files stay on the machine that runs this page and are deleted within an hour. "
    "Nothing is sent anywhere else."
)


def build(tabs: Sequence[Tab] = TABS) -> gr.Blocks:
    """The whole page."""
    prepare()
    space = read_spacefile()
    keeping.begin()
    keep_quiet()
    with gr.Blocks(title=TITLE, analytics_enabled=False) as blocks:
        written(_head, elem_id="head")
        with gr.Tabs():
            for tab in tabs:
                with gr.Tab(label(tab.title)):
                    tab.build(space)
        written(_foot, elem_id="foot")
        endpoints()
        blocks.load(_load_ahead, queue=False, **QUIET)
    _remember_signatures(blocks)
    return blocks


def _load_ahead() -> None:
    ahead.begin()


def _remember_signatures(blocks: gr.Blocks) -> None:
    """Gradio reads those of all components in the event loop for each visitor: half of its work."""
    for kind in {type(block) for block in blocks.blocks.values()}:
        kind.__init__.__signature__ = inspect.signature(kind.__init__)  # type: ignore[attr-defined]


def _head(say: Language) -> str:
    return render("head", say, title=TITLE, text=SUBTITLE)


def _foot(say: Language) -> str:
    limit = say("An analysis is stopped after {limit}.", limit=say(in_words(limit_s())))
    return render("foot", say, text=f"{say(PRIVACY)} {limit}")


# ---------------------------------------------------------------- the server


def serve(blocks: gr.Blocks, port: int | None = None, wait: bool = True) -> str:
    """Launch the page and return its address."""
    space = read_spacefile()
    atexit.register(keeping.Sweeper().close)
    _, address, _ = blocks.queue(max_size=MOST_EVENTS, api_open=False).launch(
        server_name=server_name(),
        server_port=port,
        app_kwargs={**served(), "middleware": [Middleware(one) for one in MIDDLEWARE]},
        quiet=True,  # its lines offer to share the page with the world
        theme=theme(),
        css=css() + (HERE / "ui" / "page.css").read_text("utf-8"),
        head=f"<script>{(HERE / 'ui' / 'page.js').read_text('utf-8')}</script>",
        i18n=dictionary(),
        allowed_paths=[str(EXAMPLES), str(keeping.own_folder())],
        max_file_size=f"{space.max_upload_mb}mb",
        state_session_capacity=MOST_SESSIONS,
        footer_links=["api"],
        ssr_mode=False,
        prevent_thread_lock=True,
    )
    print(_address_line(address, port), flush=True)
    if wait:
        threading.Thread(target=_first_import, name="first import", daemon=True).start()
        blocks.block_thread()
    return address


def _first_import() -> None:
    """Import what the first visitor would wait for, and ask for a GPU.

    Gradio imports Matplotlib when an event begins, in the event loop: all others would wait.
    """
    import_module("matplotlib.pyplot")
    LINE.make_places(places_on(best_device()))


def server_name() -> str:
    """Where to listen: for this machine only, but for Spaces and those who ask for more."""
    return "0.0.0.0" if is_hosted() else os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1")


def _address_line(address: str, port: int | None) -> str:
    """Where the page is, and why it is not where it is expected."""
    taken = "" if port is not None or f":{PORT}" in address else f"Port {PORT} is in use. "
    agents = f"{address.rstrip('/')}{MCP_PATH}/"
    return f"{taken}The page is at {address}, for agents at {agents} (Ctrl+C stops it)."


def theme() -> Base:
    """Calm colors and fonts of the visitor's own machine: nothing is fetched."""
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
    set_threads()
    if sys.platform == "linux" and spaces is None:  # ZeroGPU's processes share their memory
        from confine import keep_to_itself

        keep_to_itself()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that uploads are deleted at the end
    if spaces is not None:  # ZeroGPU wants networks on the device before the first visitor
        ahead.load()
    try:
        serve(build())
    except UserError as error:  # a folder for temporary files that cannot be used
        sys.exit(error.sentence)


if __name__ == "__main__":
    main()
