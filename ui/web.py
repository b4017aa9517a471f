"""How is a file fetched that a visitor names by its address, without reaching into this network?

Public http and https only. A name is resolved once, every address is checked, and the connection
goes to exactly the address that was checked, so that a name that changes its mind cannot lead
inside; each redirect is checked in the same way. Nothing is asked of proxies, cookies or stored
passwords. Imports errors, hub.spacefile and media.sniff.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import time
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from errors import UserError
from hub.spacefile import Space
from media.sniff import sniff
from ui.jobs import is_hosted

PORTS = {"http": 80, "https": 443}
MOST_REDIRECTS = 5
CONNECT_S, READ_S, WHOLE_S = 10.0, 20.0, 300.0  # to connect, between two pieces, for all of it
PIECE_BYTES = 64 * 1024
MOST_CHARACTERS = 2_000
MEDIA_TYPES = ("video/", "image/", "audio/")
VAGUE_TYPES = ("", "application/octet-stream", "binary/octet-stream", "application/mp4")
REDIRECTS = (301, 302, 303, 307, 308)
TRANSLATED = (  # hold an IPv4 address that a gateway unpacks: RFC 6052, RFC 3056, RFC 4380
    ipaddress.ip_network("64:ff9b::/96"),
    ipaddress.ip_network("64:ff9b:1::/48"),
    ipaddress.ip_network("2002::/16"),
    ipaddress.ip_network("2001::/32"),
)
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class Fetched:
    """A file that was fetched.

    Attributes:
        path: where it lies, under the name that its address gives it.
        address: where it came from in the end.
    """

    path: Path
    address: str


def allowed(space: Space) -> bool:
    """May visitors name files by their address here? On a Space its owner decides."""
    return space.urls or not is_hosted()


def is_public(text: str) -> bool:
    """Is this the address of a machine on the public internet?

    Private, loopback, link-local (with the metadata services of clouds), shared, multicast and
    reserved ranges are not, nor what hides an IPv4 address in an IPv6 one.
    """
    address: Address = ipaddress.ip_address(text.split("%")[0])
    inner = getattr(address, "ipv4_mapped", None)
    if inner is not None:
        address = inner
    if any(address.version == n.version and address in n for n in TRANSLATED):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def fetch(url: str, space: Space, folder: Path) -> Fetched:
    """Fetch a video, image or audio file.

    Args:
        url: what the visitor typed.
        space: says how large a file may be.
        folder: where the file goes.

    Raises:
        UserError: ``bad_url``, ``url_refused`` for machines of this network, ``url_failed``,
            ``too_large``, or what `sniff` says of the content.
    """
    end_s = time.monotonic() + WHOLE_S
    address = url.strip()
    for _ in range(MOST_REDIRECTS + 1):
        parts = _checked(address)
        connection = _connected(parts)
        try:
            answer = _asked(connection, parts)
            if answer.status in REDIRECTS:
                address = urljoin(address, answer.getheader("Location") or "")
                continue
            _check_answer(answer, space)
            target = folder / _name(parts)
            _save(answer, target, space, end_s)
        except (OSError, http.client.HTTPException) as error:
            raise UserError("url_failed", f"The address did not answer: {_why(error)}.") from error
        finally:
            connection.close()
        sniff(target)
        return Fetched(target, address)
    raise UserError("url_failed", "The address leads from one address to the next without end.")


def _checked(address: str) -> SplitResult:
    """The parts of an address that may be asked."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in PORTS or not parts.hostname or len(address) > MOST_CHARACTERS:
        raise UserError(
            "bad_url", "This is no address of a file: it begins with https:// or http://."
        )
    if port not in (None, PORTS[parts.scheme]) or parts.username is not None:
        raise UserError(
            "url_refused", "Only addresses without a port, a name and a password are fetched."
        )
    return parts


def resolved(host: str, port: int) -> list[str]:
    """The addresses of a name, all of them public.

    Raises:
        UserError: ``url_failed`` for an unknown name, ``url_refused`` when one address is not.
    """
    try:
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UserError("url_failed", "Nobody knows the name in this address.") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in entries))
    if not addresses or not all(is_public(one) for one in addresses):
        raise UserError(
            "url_refused", "This address leads to a machine that is not on the public internet."
        )
    return addresses


def _connected(parts: SplitResult) -> http.client.HTTPConnection:
    """A connection to an address that was checked, and to no other one."""
    host, port = str(parts.hostname), PORTS[parts.scheme]
    failure: OSError | None = None
    for address in resolved(host, port):
        try:
            line = socket.create_connection((address, port), CONNECT_S)
        except OSError as error:
            failure = error
            continue
        try:
            if not is_public(line.getpeername()[0]):
                raise UserError("url_refused", "The connection ended in this network.")
            line.settimeout(READ_S)
            if parts.scheme == "https":
                line = ssl.create_default_context().wrap_socket(line, server_hostname=host)
        except OSError as error:
            line.close()
            failure = error
            continue
        connection = http.client.HTTPConnection(host, port)
        connection.sock = line
        return connection
    raise UserError("url_failed", f"The address did not answer: {_why(failure)}.") from failure


def _asked(connection: http.client.HTTPConnection, parts: SplitResult) -> http.client.HTTPResponse:
    """Ask for the file; nothing is told but the address."""
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {"Accept": "video/*, image/*, audio/*", "Accept-Encoding": "identity"}
    connection.request("GET", path, headers={**headers, "Connection": "close"})
    return connection.getresponse()


def _check_answer(answer: http.client.HTTPResponse, space: Space) -> None:
    """Refuse by the head of an answer what would be refused later."""
    if answer.status != http.client.OK:
        raise UserError("url_failed", f"The address answers with an error ({answer.status}).")
    kind = (answer.getheader("Content-Type") or "").split(";")[0].strip().lower()
    if not kind.startswith(MEDIA_TYPES) and kind not in VAGUE_TYPES:
        what = "a web page" if kind == "text/html" else f"“{kind[:60]}”"
        raise UserError(
            "url_refused", f"The address leads to {what}, not to a video, an image or a recording."
        )
    length = answer.getheader("Content-Length") or ""
    if length.isdigit() and int(length) > space.max_upload_mb * 1_000_000:
        raise _too_large(space)


def _save(answer: http.client.HTTPResponse, target: Path, space: Space, end_s: float) -> None:
    """Write the content, up to the limits of size and time."""
    size = 0
    with target.open("wb") as file:
        while piece := answer.read(PIECE_BYTES):
            size += len(piece)
            if size > space.max_upload_mb * 1_000_000:
                raise _too_large(space)
            if time.monotonic() > end_s:
                raise UserError("url_failed", "The address sends the file too slowly.")
            file.write(piece)


def _too_large(space: Space) -> UserError:
    return UserError(
        "too_large", f"The file is larger than {space.max_upload_mb} MB, which is the limit."
    )


def _name(parts: SplitResult) -> str:
    """The file name that an address ends with, for this machine."""
    name = PurePosixPath(unquote(parts.path)).name.replace("\\", "_").strip(". \x00")
    return "".join(c for c in name if c.isprintable())[-100:] or "file"


def _why(error: Exception | None) -> str:
    """The reason in a few words."""
    if isinstance(error, ssl.SSLError):
        return "its certificate does not hold"
    if isinstance(error, TimeoutError):
        return "it took too long"
    return str(error or "no connection").rstrip(".")[:120]
