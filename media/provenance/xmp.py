"""What does an XMP packet say, field by field?

A small reader instead of a library: only fields of known namespaces, by exact name, from a packet
of bounded size and depth. Declarations of types and entities are refused, so nothing expands and
nothing is fetched. Standard: ISO 16684-1. Imports nothing of ours.
"""

from __future__ import annotations

from xml.parsers import expat

MOST_BYTES = 2_000_000
DEEPEST = 64  # elements inside each other
MOST_FIELDS = 2000
NAMESPACES = {
    "http://iptc.org/std/Iptc4xmpExt/2008-02-29/": "Iptc4xmpExt",
    "http://www.tc260.org.cn/ns/AIGC/1.0/": "TC260",
    "http://ns.adobe.com/photoshop/1.0/": "photoshop",
    "http://ns.adobe.com/xap/1.0/": "xmp",
    "http://ns.adobe.com/xap/1.0/mm/": "xmpMM",
    "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#": "stEvt",
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://ns.adobe.com/exif/1.0/": "exif",
    "http://ns.adobe.com/tiff/1.0/": "tiff",
}
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"


class BadPacketError(ValueError):
    """The packet is too large, too deep, damaged, or declares entities."""


def read_xmp(packet: bytes) -> list[tuple[str, str]]:
    """Fields of a packet as (prefix:name, text), in their order.

    A value stands as an attribute, as the text of an element, as its ``rdf:resource``, or in the
    items of a list inside it; all are read alike.

    Raises:
        BadPacketError: see there.
    """
    if len(packet) > MOST_BYTES:
        raise BadPacketError(f"an XMP packet of {len(packet)} bytes")
    reader = _Reader()
    try:
        reader.parser.Parse(packet.strip(b"\x00 \r\n\t"), True)
    except expat.ExpatError as error:
        raise BadPacketError("a damaged XMP packet") from error
    return reader.fields


class _Reader:
    """Collects fields while expat walks through a packet."""

    def __init__(self) -> None:
        self.fields: list[tuple[str, str]] = []
        self._path: list[tuple[str, list[str]]] = []  # open elements: known name or "", text
        self.parser = expat.ParserCreate(namespace_separator="\n")
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.EntityDeclHandler = self._refuse

    def _refuse(self, *declared: object) -> None:
        raise BadPacketError("an XMP packet that declares entities")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._path) >= DEEPEST:
            raise BadPacketError("an XMP packet with too many levels")
        known = _known(name)
        self._path.append((known, []))
        for key, value in attributes.items():
            self._add(known if key == f"{RDF}\nresource" else _known(key), value)

    def _text(self, text: str) -> None:
        # the text of rdf:Alt, rdf:Seq and rdf:li belongs to the field around them
        for name, parts in reversed(self._path):
            if name:
                parts.append(text)
                return

    def _end(self, name: str) -> None:
        known, parts = self._path.pop()
        self._add(known, "".join(parts))

    def _add(self, name: str, value: str) -> None:
        if name and value.strip():
            if len(self.fields) >= MOST_FIELDS:
                raise BadPacketError("an XMP packet with too many fields")
            self.fields.append((name, value.strip()))


def _known(name: str) -> str:
    """``prefix:name`` of a known namespace, or an empty text."""
    namespace, _, local = name.rpartition("\n")
    prefix = NAMESPACES.get(namespace)
    return f"{prefix}:{local}" if prefix and _ else ""
