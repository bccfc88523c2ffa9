"""Running containers, through the Docker Engine API on its unix socket.

The daemon may be any program, in any state: nothing it answers ends a capture. What of an answer is of another shape
is left out, with a warning.
"""

import os
import re
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

from ...errors import TtraceError
from .daemon import DaemonError, Json, StoppedError

if TYPE_CHECKING:
    from .local_http import Conversation

DEFAULT_SOCKET: Final = "/var/run/docker.sock"
_ID: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_SHORT_ID: Final = 12
"""Characters."""
_LONGEST_NAME: Final = 255
_LARGEST_PID: Final = (1 << 31) - 1
_HINT: Final = "is it running? DOCKER_HOST names another socket"


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One running container."""

    id: str
    name: str
    image: str
    pid: int
    """Its first process, in the process namespace of the Docker daemon."""
    addresses: tuple[str, ...]
    ports: Json
    """`NetworkSettings.Ports` as Docker's API gives it."""


class NoDaemonError(TtraceError):
    """There is no daemon to ask."""


def docker_socket() -> str:
    """Path of the daemon's socket, from DOCKER_HOST or the default. Raises TtraceError if the daemon isn't local."""
    host = os.environ.get("DOCKER_HOST") or f"unix://{DEFAULT_SOCKET}"
    if not host.startswith("unix://"):
        raise NoDaemonError(
            f"DOCKER_HOST is `{host}`: only a local daemon's containers can be captured",
            hint="unset DOCKER_HOST or set it to `unix:///path/to/docker.sock`",
        )
    return host.removeprefix("unix://")


def running_containers(warnings: list[str] | None = None, *, stop_fd: int = -1) -> list[Container]:
    """All running containers, by name; those that could not be made out become a line of `warnings`.

    Takes some seconds at most, and ends when `stop_fd` is readable. Raises TtraceError if the daemon can't be asked:
    NoDaemonError where there is none.
    """
    from .local_http import Conversation

    path = docker_socket()
    conversation = Conversation(path, stop_fd=stop_fd)
    try:
        conversation.connect()
        listed = conversation.ask("/containers/json")
        if not isinstance(listed, list):
            raise DaemonError("/containers/json answered no list")
        details, failures = _details(conversation, listed)
    except DaemonError as error:
        raise TtraceError(f"cannot ask Docker at {path}: {error}", hint=_HINT) from error
    except OSError as error:
        raise NoDaemonError(f"cannot ask Docker at {path}: {error}", hint=_HINT) from error
    finally:
        conversation.close()
    if failures and not details:
        raise TtraceError(f"cannot ask Docker at {path}: {failures[0]}", hint=_HINT)
    if failures and warnings is not None:
        warnings.append(f"{len(failures)} of {len(listed)} containers left out: {failures[0]}")
    containers = [container for container in map(_container, details) if container.pid > 0]
    return _named_apart(sorted(containers, key=lambda container: (container.name, container.id)))


def _details(conversation: "Conversation", listed: list[Json]) -> tuple[list[dict[str, Any]], list[str]]:
    """(What the daemon says of each container of its list, why others are left out)."""
    details, failures = [], []
    for number, entry in enumerate(listed):
        identity = _text(_part(entry, "Id"))
        if not _ID.fullmatch(identity):
            failures.append("/containers/json answered with a container without Id")
            continue
        try:
            detail = conversation.ask(f"/containers/{identity}/json")
        except StoppedError as error:
            failures += [str(error)] * (len(listed) - number)
            break
        except (DaemonError, OSError) as error:
            failures.append(str(error))
            continue
        if detail is None:  # it ended meanwhile
            continue
        if isinstance(_part(_part(detail, "State"), "Pid"), int):
            details.append(detail | {"Id": identity})
        else:
            failures.append(f"/containers/{short_id(identity)}/json answered without a process id")
    return details, failures


def short_id(identity: str) -> str:
    """Of an id what people are shown, as Docker does."""
    return identity[:_SHORT_ID]


def _container(detail: dict[str, Any]) -> Container:
    settings = _part(detail, "NetworkSettings")
    networks = _part(settings, "Networks")
    found = []
    for network in networks.values() if isinstance(networks, dict) else ():
        found += [_text(_part(network, "IPAddress")), _text(_part(network, "GlobalIPv6Address"))]
    pid = _part(_part(detail, "State"), "Pid")
    name = _text(_part(detail, "Name")).lstrip("/")
    return Container(
        id=detail["Id"],
        name=name if 0 < len(name) <= _LONGEST_NAME else short_id(detail["Id"]),
        image=_text(_part(_part(detail, "Config"), "Image"))[:_LONGEST_NAME],
        pid=pid if 0 < pid <= _LARGEST_PID else 0,
        addresses=tuple(address for address in found if _is_address(address)),
        ports=_ports(_part(settings, "Ports")),
    )


def _named_apart(containers: list[Container]) -> list[Container]:
    """No two of one name: a name stands for a namespace in the file."""
    counts: dict[str, int] = {}
    for container in containers:
        counts[container.name] = counts.get(container.name, 0) + 1
    return [replace(one, name=f"{one.name}@{short_id(one.id)}") if counts[one.name] > 1 else one for one in containers]


def _ports(ports: Json) -> Json:
    """Of `{"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "443/tcp": null}` what has this shape."""
    if not isinstance(ports, dict):
        return None
    return {
        _text(port): [{field: _text(_part(binding, field)) for field in ("HostIp", "HostPort")} for binding in bindings]
        if isinstance(bindings, list)
        else None
        for port, bindings in ports.items()
    }


def _part(value: Json, name: str) -> Json:
    return value.get(name) if isinstance(value, dict) else None


def _text(value: Json) -> str:
    """A text that can be encoded; empty for what is none. JSON may hold halves of characters."""
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else ""


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
