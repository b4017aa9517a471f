"""How are libraries kept from telling their makers who uses them?

Every such switch is here. Imports nothing.
"""

from __future__ import annotations

import os
import sys

SILENT = {
    "GRADIO_ANALYTICS_ENABLED": "False",  # starts, and a question for the newest version
    "HF_HUB_DISABLE_TELEMETRY": "1",  # also what Gradio sends, and facts in the User-Agent
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "DO_NOT_TRACK": "1",  # others who keep to donottrack.sh
}


def keep_quiet() -> None:
    """Set them for this process and its children, also where a library has read them already."""
    os.environ.update(SILENT)
    constants = sys.modules.get("huggingface_hub.constants")
    if constants is not None:
        for name in ("HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_UPDATE_CHECK"):
            setattr(constants, name, True)
