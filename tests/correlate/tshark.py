"""What tshark makes of frames, layer by layer: the yardstick of the dissectors.

Its XML keeps what its tables of fields lose: which header a value is of. The packet that an ICMP error carries stands
within the error there, the packet in a tunnel behind it.
"""

import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ttrace.pcapng.write import enhanced_packet, interface_description, section_header

OPTIONS = ("ip.defragment:FALSE", "ipv6.defragment:FALSE", "tcp.desegment_tcp_streams:FALSE")
NO_LAYERS = ("geninfo", "frame", "fake-field-wrapper")


@dataclass(frozen=True)
class Layer:
    """One protocol layer of a frame."""

    name: str
    fields: dict[str, str]
    """Field to its first value, as tshark shows it; extension headers are part of their ipv6."""
    inside: "list[Layer]"
    """What an ICMP error carries."""

    def number(self, field: str) -> int:
        text = self.fields[field]
        return {"True": 1, "False": 0}.get(text) if text in ("True", "False") else int(text, 0)


def write(path: Path, frames: Sequence[bytes], link_type: int) -> Path:
    """A capture of the frames, a nanosecond apart."""
    path.write_bytes(
        section_header(node="n", system="", application="")
        + interface_description(link_type=link_type, name="x", description="", facts={})
        + b"".join(enhanced_packet(interface=0, time_ns=i, data=frame) for i, frame in enumerate(frames))
    )
    return path


def layers(path: Path, extra: Iterable[str] = ()) -> list[list[Layer]]:
    """The layers of each frame of a capture file."""
    options = [word for option in OPTIONS for word in ("-o", option)]
    argv = ["tshark", "-r", str(path), *options, *extra, "-T", "pdml"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return [_layers(packet, "") for packet in ET.fromstring(done.stdout)]


def _layers(element: ET.Element, around: str) -> list[Layer]:
    found = []
    for proto in element:
        name = proto.get("name") or ""
        if proto.tag == "proto" and name not in NO_LAYERS and not (around and name.startswith(f"{around}.")):
            fields: dict[str, str] = {}
            _collect(proto, name, fields)
            found.append(Layer(name, fields, _layers(proto, name)))
    return found


def _collect(element: ET.Element, layer: str, fields: dict[str, str]) -> None:
    for child in element:
        name = child.get("name") or ""
        if child.tag == "field":
            fields.setdefault(name, child.get("show") or "")
        if child.tag == "field" or name.startswith(f"{layer}."):
            _collect(child, layer, fields)
