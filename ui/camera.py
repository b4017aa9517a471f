"""What a visitor films or photographs: a path, as from the drop zone.

Gradio would open and rewrite it in the server's own process, with every decoder that it knows, and
a program that names its own file instead of the camera's reaches them. Imports gradio and texts.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from ui.texts import label

AS_SEEN = gr.WebcamOptions(mirror=False)  # a mirrored copy is a file that no camera made


def film() -> gr.Video:
    """A film of one's own, with sound."""
    name = label("Film yourself")
    return _unopened(
        gr.Video(sources=["webcam"], include_audio=True, webcam_options=AS_SEEN, label=name)
    )


def still() -> gr.Image:
    """An image of one's own."""
    name = label("Take a picture")
    return _unopened(
        gr.Image(sources=["webcam"], type="filepath", webcam_options=AS_SEEN, label=name)
    )


def _unopened(component: Any) -> Any:
    """The component, which now gives the path of what was sent, or None without one.

    Not a class of its own: Gradio writes a ``.pyi`` file beside each class of a component.
    """
    component.preprocess = lambda sent: sent.path if sent is not None else None
    return component
