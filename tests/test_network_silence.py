"""Does anything leave the machine while a file is analyzed? Every packet is watched."""

from __future__ import annotations

import sys

import pytest

from hub.quiet import SILENT
from tests import watch_network
from tests.conftest import ROOT, needed

PORTRAIT, CLIP = ROOT / "examples" / "portrait.jpg", ROOT / "examples" / "animated.mp4"
PATIENCE_S = 600.0
# The app as it is started by hand; only the client, which is not ours, is told to be silent.
SERVED = """
import os, subprocess, sys, time
prefixes = ("GRADIO_", "HF_")
plain = {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
server = subprocess.Popen([sys.executable, "app.py"], env=plain)
os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}
from gradio_client import Client, handle_file
try:
    for _ in range(300):
        try:
            client = Client("http://127.0.0.1:7860", verbose=False)
            break
        except Exception:
            time.sleep(1)
    report = client.predict(handle_file(sys.argv[1]), api_name="/analyze")
    assert report["verdict"]["level"], report
    time.sleep(3)  # reports are often sent once the work is done
finally:
    server.terminate()
    server.wait()
"""


@pytest.fixture(autouse=True)
def own_network():
    missing = watch_network.missing_programs()
    needed(not missing, f"{' and '.join(missing)} not installed, so no network can be watched")
    if refusal := watch_network.refusal():
        pytest.skip(f"this kernel allows no network namespace ({refusal})")


def test_ci_fails_where_a_machine_of_ones_own_skips(monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="nothing here"):
        needed(False, "nothing here")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="nothing here"):
        needed(False, "nothing here")


def test_the_watcher_sees_a_process_that_asks_for_a_name_or_an_address():
    ask = (
        "import socket\ntry: socket.create_connection(('198.51.100.7', 443), 1)\nexcept OSError: 0"
    )
    code, strangers, _ = watch_network.watched(sys.executable, "-c", ask, timeout_s=60)
    assert (code, strangers) == (0, {"198.51.100.7"})


def test_the_command_reaches_nobody(tmp_path):
    code, strangers, output = watch_network.watched(
        sys.executable, "cli.py", "analyze", PORTRAIT, "--out", tmp_path, timeout_s=PATIENCE_S
    )
    assert code == 0, output
    assert strangers == set()


def test_the_app_reaches_nobody():
    code, strangers, output = watch_network.watched(
        sys.executable, "-c", SERVED, CLIP, timeout_s=PATIENCE_S
    )
    assert code == 0, output
    assert strangers == set()


TELL = """
import huggingface_hub.constants  # has read its switches before ours are set
from hub.quiet import keep_quiet
keep_quiet()
from gradio import analytics
from huggingface_hub.utils import send_telemetry
send_telemetry("used")
if analytics.analytics_enabled():
    analytics.version_check()
"""


def test_libraries_tell_their_makers_nothing(monkeypatch):
    for name in SILENT:
        monkeypatch.delenv(name, raising=False)
    code, strangers, output = watch_network.watched(
        sys.executable, "-c", TELL, timeout_s=PATIENCE_S
    )
    assert code == 0, output
    assert strangers == set()
