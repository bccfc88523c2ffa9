"""Running containers, through the Docker Engine API on its unix socket."""

import http.client
import json
import os
import socket
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from ...errors import TtraceError

Json = Any
"""What json.loads returns."""
DEFAULT_SOCKET = "/var/run/docker.sock"
_TIMEOUT_S = 2.0


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


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket instead of to a host."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def docker_socket() -> str:
    """Path of the daemon's socket, from DOCKER_HOST or the default. Raises TtraceError if the daemon isn't local."""
    host = os.environ.get("DOCKER_HOST") or f"unix://{DEFAULT_SOCKET}"
    if not host.startswith("unix://"):
        raise TtraceError(
            f"DOCKER_HOST is `{host}`: only a local daemon's containers can be captured",
            hint="unset DOCKER_HOST or set it to `unix:///path/to/docker.sock`",
        )
    return host.removeprefix("unix://")


def running_containers() -> list[Container]:
    """All running containers, by name. Raises TtraceError if the daemon can't be asked."""
    path = docker_socket()
    try:
        connection = _UnixConnection(path)
        try:
            listed = _get(connection, "/containers/json")
            details = [_get(connection, f"/containers/{quote(entry['Id'])}/json") for entry in listed]
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise TtraceError(
            f"cannot ask Docker at {path}: {error}", hint="is it running? DOCKER_HOST names another socket"
        ) from error
    found = [_container(detail) for detail in details if detail is not None]
    return sorted((container for container in found if container.pid > 0), key=lambda container: container.name)


def _get(connection: http.client.HTTPConnection, path: str) -> Json:
    """The JSON answer to a GET; None for 404 (a container that ended meanwhile). Raises HTTPException otherwise."""
    connection.request("GET", path)
    response = connection.getresponse()
    body = response.read()
    if response.status == HTTPStatus.NOT_FOUND:
        return None
    if response.status != HTTPStatus.OK:
        raise http.client.HTTPException(f"{path} answered {response.status} {response.reason}")
    return json.loads(body)


def _container(detail: dict[str, Json]) -> Container:
    settings = detail.get("NetworkSettings") or {}
    addresses = []
    for network in (settings.get("Networks") or {}).values():
        addresses += [network.get("IPAddress"), network.get("GlobalIPv6Address")]
    return Container(
        id=detail["Id"],
        name=detail["Name"].lstrip("/"),
        image=(detail.get("Config") or {}).get("Image") or "",
        pid=(detail.get("State") or {}).get("Pid") or 0,
        addresses=tuple(address for address in addresses if address),
        ports=settings.get("Ports"),
    )
