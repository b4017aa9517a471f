"""Runs a command in a network of its own and says whom it and its children tried to reach.

``unshare -rn python -m tests.watch_network COMMAND ...``. In the new network every address
of the world leads to the loopback interface, where each packet is seen; nothing gets further.
Prints the strangers' names and addresses as JSON and ends with the command's exit code.
"""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time

ALL_PROTOCOLS = 3  # ETH_P_ALL
OWN_PROBE = ("203.0.113.9", 9)  # TEST-NET-3: a packet of the watcher's own, which must be seen
LAST_WORDS_S = 3.0  # reports are often sent once the work is done
DNS_PORT = 53  # a name server may be asked on loopback, too


def missing_programs() -> list[str]:
    """Those that a network of our own is made with, and that are not installed."""
    return [program for program in ("unshare", "ip") if shutil.which(program) is None]


def refusal() -> str:
    """Why the kernel lets this user make no network of their own; empty where it does."""
    return subprocess.run(["unshare", "-rn", "true"], capture_output=True, text=True).stderr.strip()


def watched(*command: str | os.PathLike[str], timeout_s: float) -> tuple[int, set[str], str]:
    """Exit code of a command, the strangers that its processes tried to reach, and its output."""
    program = ["unshare", "-rn", sys.executable, "-m", "tests.watch_network", *map(str, command)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=timeout_s)
    output, _, reached = done.stdout.strip().rpartition("\n")
    strangers = set(json.loads(reached))
    assert OWN_PROBE[0] in strangers, "the watcher is blind"
    return done.returncode, strangers - {OWN_PROBE[0]}, output + done.stderr


def _open_network() -> socket.socket:
    """All addresses lead to loopback; returns a socket that sees every packet there."""
    for setting in (
        "link set lo up",
        "route add local default dev lo",
        "-6 route add local default dev lo",
    ):
        subprocess.run(["ip", *setting.split()], check=True)
    sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ALL_PROTOCOLS))
    sniffer.bind(("lo", ALL_PROTOCOLS))
    return sniffer


def _destination(packet: bytes) -> tuple[str, int, bytes]:
    """Address and port that an IP packet goes to, and what it carries behind a UDP header."""
    start = 40 if packet[0] >> 4 == 6 else 4 * (packet[0] & 15)
    address = packet[24:40] if start == 40 else packet[16:20]
    port = int.from_bytes(packet[start + 2 : start + 4])
    return str(ipaddress.ip_address(address)), port, packet[start + 8 :]


def _asked_name(question: bytes) -> str:
    """The name in a DNS question, e.g. ``play.example.com``."""
    labels, at = [], 12
    while at < len(question) and question[at]:
        labels.append(question[at + 1 : at + 1 + question[at]].decode(errors="replace"))
        at += 1 + question[at]
    return ".".join(labels)


def _listen(sniffer: socket.socket, strangers: set[str]) -> None:
    while True:
        packet = sniffer.recv(65_535)
        if len(packet) < 28:
            continue
        address, port, content = _destination(packet)
        known = ipaddress.ip_address(address)
        if port == DNS_PORT:
            strangers.add(_asked_name(content))
        elif not (known.is_loopback or known.is_multicast):
            strangers.add(address)


def main(command: list[str]) -> int:
    """Run the command under watch."""
    strangers: set[str] = set()
    listener = threading.Thread(target=_listen, args=(_open_network(), strangers), daemon=True)
    listener.start()
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"seen?", OWN_PROBE)
    code = subprocess.run(command).returncode
    time.sleep(LAST_WORDS_S)
    print("\n" + json.dumps(sorted(strangers)), flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
