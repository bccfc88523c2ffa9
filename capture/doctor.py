"""Can this machine be traced, and if not, why: checks that leave everything as it was."""

import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from ..errors import TtraceError
from ..pcapng.blocks import LinkType
from .machine.containers import running_containers
from .machine.journal import restore_stale
from .machine.libc import unshare_network
from .machine.links import kernel_name
from .machine.netns import own_netns
from .machine.programs import run_program
from .machine.rights import OTHER_NAMESPACES, WITHOUT_ROOT, missing_capabilities
from .options import CaptureOptions
from .rules.legacy import legacy_tables
from .rules.tracing_table import ask_nft, load_nftables
from .sockets.arena import Arena
from .sockets.bpf import accept_all, load_libpcap
from .sockets.ring import SMALLEST_UNITS, UNIT_BYTES, open_ring
from .sources import SOURCES, Source
from .targets import resolve_targets

_SIOCETHTOOL = 0x8946
_TRIED_SNAPLEN = 64
_PROGRAM_S = 10
_LISTED = 20
"""Names that are said one by one: a node may have thousands of interfaces."""
_ETHTOOL_GFEATURES = {"GSO": 0x23, "GRO": 0x2B, "TSO": 0x1E}  # ETHTOOL_GGSO, ETHTOOL_GGRO, ETHTOOL_GTSO


class State(str, Enum):
    """How a check came out. (Python 3.10, which the agent runs with, has no StrEnum; so in `report.Form`.)"""

    __str__ = str.__str__

    OK = "ok"
    WARNING = "warning"
    """Works, with a limit worth knowing."""
    MISSING = "missing"
    """A capture, or a part of it, will not work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """One thing that was looked at."""

    name: str
    state: State
    text: str
    """What was found."""
    hint: str | None = None
    """What to do about it."""


def examine() -> list[Diagnosis]:
    """Check everything a capture needs; puts back settings that a killed capture left. Raises nothing."""
    diagnoses: list[Diagnosis] = []
    checks: list[Callable[[], Iterator[Diagnosis]]] = [
        _rights, _stale_settings, _libraries, _kernel, _interfaces, _settings, _firewall, _docker,
    ]  # fmt: skip
    for check in checks:
        try:
            diagnoses += check()
        except TtraceError as error:
            name = check.__name__.strip("_").replace("_", " ")
            diagnoses.append(Diagnosis(name=name, state=State.MISSING, text=error.message, hint=error.hint))
    return diagnoses


def _ok(name: str, text: str) -> Diagnosis:
    return Diagnosis(name=name, state=State.OK, text=text)


def _rights() -> Iterator[Diagnosis]:
    absent = missing_capabilities()
    if absent == [OTHER_NAMESPACES]:
        yield Diagnosis(
            name="rights", state=State.WARNING,
            text="CAP_NET_ADMIN and CAP_NET_RAW: enough for this namespace; `--netns` and `--containers` need root",
        )  # fmt: skip
    elif absent:
        text = f"without {', '.join(absent)}"
        hint = f"capture needs root: `sudo ttrace capture`; {WITHOUT_ROOT}"
        yield Diagnosis(name="rights", state=State.MISSING, text=text, hint=hint)
    else:
        less = "for this namespace alone CAP_NET_ADMIN and CAP_NET_RAW are enough (docs/cli.md)"
        yield _ok("rights", f"root, or all that is needed of it; {less}")


def _stale_settings() -> Iterator[Diagnosis]:
    for line in restore_stale():
        yield Diagnosis(name="stale settings", state=State.WARNING, text=f"left by a killed capture: {line}")


def _libraries() -> Iterator[Diagnosis]:
    for name, load in (("libpcap", load_libpcap), ("libnftables", load_nftables)):
        try:
            load()
            yield _ok(name, "installed")
        except TtraceError as error:
            yield Diagnosis(name=name, state=State.MISSING, text=error.message, hint=error.hint)


def _kernel() -> Iterator[Diagnosis]:
    """Try the kernel features in a child process, inside a network namespace of its own that goes away with it."""
    yield _ok("kernel", f"Linux {os.uname().release}")
    is_root = OTHER_NAMESPACES not in missing_capabilities()
    # First what is begun last, and needs most.
    yield from (_source(source, is_root=is_root) for source in reversed(SOURCES) if source.name)
    needs = "needs CONFIG_PACKET with TPACKET_V3 and CONFIG_PACKET_MMAP"
    if not is_root:
        yield _not_tried("packet rings")
    elif missing := _in_child(_ring_can_run):
        yield Diagnosis(name="packet rings", state=State.MISSING, text=missing, hint=needs)
    else:
        yield _ok("packet rings", "works")
    if not Path("/proc/sys/net/netfilter/nf_conntrack_max").exists():
        yield Diagnosis(
            name="conntrack", state=State.WARNING, text="not loaded: no NAT on this node, or not yet",
            hint="`modprobe nf_conntrack`",
        )  # fmt: skip
    else:
        yield _ok("conntrack", "loaded")


def _source(source: type[Source], *, is_root: bool) -> Diagnosis:
    """One kind of kernel message."""
    if source.in_namespace and not is_root:
        return _not_tried(source.name)
    missing = _in_child(source.can_run, in_new_netns=source.in_namespace)
    if missing is None:
        return _ok(source.name, source.works)
    instead = _in_child(source.instead, in_new_netns=source.in_namespace)
    text = f"{missing}; {instead}" if instead else missing
    state = State.MISSING if is_root and not instead else State.WARNING
    return Diagnosis(name=source.name, state=state, text=text, hint=source.needs)


def _not_tried(name: str) -> Diagnosis:
    return Diagnosis(name=name, state=State.WARNING, text=f"not tried, as that needs root ({OTHER_NAMESPACES})")


def _in_child(ask: Callable[[], str | None], *, in_new_netns: bool = True) -> str | None:
    """What is answered in a child, in a fresh namespace unless that needs none."""
    read_fd, write_fd = os.pipe()
    child = os.fork()
    if child == 0:
        answered = None
        try:
            if in_new_netns:
                unshare_network()
            answered = ask()
        except OSError as error:
            answered = str(error)
        finally:
            os.write(write_fd, (answered or "").encode() + b"\0")
            # Not sys.exit: the parent's exit handlers and buffers are not the child's business.
            os._exit(0)
    os.close(write_fd)
    with os.fdopen(read_fd, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    if not answer.endswith(b"\0"):
        return "the check crashed"
    return answer[:-1].decode(errors="replace") or None


def _ring_can_run() -> str | None:
    """What is missing for packet rings, in the namespace of the thread."""
    try:
        open_ring(
            Arena(slots=1, slot_bytes=SMALLEST_UNITS * UNIT_BYTES),
            own_netns(),
            interface="lo",
            index=1,
            link_type=LinkType.ETHERNET,
            mac=b"",
            program=accept_all(_TRIED_SNAPLEN),
            units=SMALLEST_UNITS,
            packet_bytes=_TRIED_SNAPLEN,
        )
    except TtraceError as error:
        return str(error)
    return None


def _interfaces() -> Iterator[Diagnosis]:
    targets = resolve_targets(CaptureOptions())
    try:
        chosen = targets.targets[0].chosen
        yield _ok("interfaces", "a capture without `--iface` takes " + _listed([link.name for link in chosen]))
        merged = _listed([link.name for link in chosen if _offloads(link.index)])
        if merged:
            yield _ok(
                "offloads",
                f"packets are seen merged (GSO, GRO) on {merged}: fewer and longer than on a wire",
            )
    finally:
        targets.close()


def _listed(names: list[str]) -> str:
    """The first of the names, and how many more there are."""
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")


def _offloads(index: int) -> list[str]:
    """Which of GSO, GRO and TSO an interface has on (ethtool ioctls, linux/ethtool.h)."""
    name = os.fsencode(kernel_name(index) or "")
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as query:
        for feature, command in _ETHTOOL_GFEATURES.items():
            value = ctypes.create_string_buffer(struct.pack("=II", command, 0), 8)
            # struct ifreq: 16 bytes of name, then the pointer to struct ethtool_value.
            request = struct.pack("@16sP16x", name, ctypes.addressof(value))
            try:
                fcntl.ioctl(query, _SIOCETHTOOL, request)
            except OSError:
                continue
            if struct.unpack_from("=I", value, 4)[0]:
                found.append(feature)
    return found


def _settings() -> Iterator[Diagnosis]:
    bridge = _read("net/bridge/bridge-nf-call-iptables")
    if bridge == "0":
        yield Diagnosis(
            name="bridge-nf-call-iptables", state=State.WARNING,
            text="0: packets between containers of one bridge pass no IP rules, so their path has interfaces only",
        )  # fmt: skip
    elif bridge is not None:
        yield _ok("bridge-nf-call-iptables", f"{bridge}: bridged packets pass the IP rules")
    for name in ("nf_conntrack_timestamp", "nf_conntrack_acct"):
        value = _read(f"net/netfilter/{name}")
        if value is not None:
            yield _ok(name, "on" if value == "1" else "off; a capture can switch it on for its time")
    for family in ("2", "10"):
        value = _read(f"net/netfilter/nf_log/{family}")
        if value is not None:
            yield _ok(f"nf_log/{family}", value)


def _read(name: str) -> str | None:
    try:
        return Path("/proc/sys", name).read_text().strip()
    except OSError:
        return None


def _firewall() -> Iterator[Diagnosis]:
    version = run_program(["iptables", "-V"], timeout_s=_PROGRAM_S)
    if version is None:
        yield Diagnosis(
            name="iptables", state=State.WARNING, text="not installed: iptables rules are named by nft's text",
            hint="`apt install iptables`",
        )  # fmt: skip
    else:
        yield _ok("iptables", version.stdout.decode(errors="replace").strip())
    legacy = legacy_tables("ip") + legacy_tables("ip6")
    if legacy:
        yield _ok("iptables-legacy", f"in use (tables {', '.join(sorted(set(legacy)))}): traced through NFLOG")
    _, text, _, _ = ask_nft(load_nftables(), "list tables")
    if "table ip docker-bridges" in text:
        yield _ok("docker firewall", "nftables (table docker-bridges)")
    if "table inet ttrace" in text:
        yield Diagnosis(
            name="tracing", state=State.WARNING, text="another ttrace capture is tracing here",
            hint="a second one can run with `--no-trace`",
        )  # fmt: skip


def _docker() -> Iterator[Diagnosis]:
    left_out: list[str] = []
    try:
        containers = running_containers(left_out)
    except TtraceError as error:
        yield Diagnosis(
            name="docker", state=State.WARNING, text=error.message, hint="without it, containers have no names"
        )
    else:
        yield _ok("docker", f"{len(containers)} running containers")
    for line in left_out:
        yield Diagnosis(name="docker", state=State.WARNING, text=line)
