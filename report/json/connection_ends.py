"""Who the ends of connections are, and how these ended, as JSON text, from columns."""

import ipaddress
import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from ...correlate.protocols import TCP
from ...correlate.result.connection_ending import Endings, Form
from ...correlate.result.correlation import Correlation
from ...correlate.result.members import Members
from ...correlate.result.processes import known_processes, process_at
from ...correlate.result.show_connections import end_name, name_of
from ...correlate.result.words import endpoint
from .contract import process_object
from .infos import info_columns
from .path_slice import either_end, ends_of
from .pieces import Column, Numbers, Pool, only_at, texts
from .templates import Cut, Templates, laid_out


class EndTexts:
    """Writes clients and servers of one result."""

    def __init__(self, result: Correlation, pool: Pool) -> None:
        self._result, self._pool = result, pool
        self._names = Templates(pool)
        self._named = _lower_halves(result.topology.owners)
        namespaces = result.topology.namespaces
        self._known = np.array([known_processes(result, one) for one in range(len(namespaces))] or [False], np.bool_)
        self._local = _lower_halves(address for one in namespaces for address in one.addresses)

    def columns(self, members: Members) -> dict[str, list[Column]]:
        """The fields `client`, `client_name`, `client_process`, and those of the server."""
        ends = members.ends()
        of_client = self._end("client", ends.client, ends.client_is_source, server=False)
        return of_client | self._end("server", ends.server, ends.server_is_source, server=True)

    def _end(
        self, name: str, sighting: Numbers, is_source: npt.NDArray[np.bool_], *, server: bool
    ) -> dict[str, list[Column]]:
        seen = self._result.sightings.take(sighting)
        high, low = (
            np.where(is_source, seen[f"source_{half}"], seen[f"destination_{half}"]) for half in ("high", "low")
        )
        return {
            name: either_end(seen, is_source),
            f"{name}_name": self._name(seen, is_source, high, low),
            f"{name}_process": self._process(seen, is_source, low, server=server),
        }

    def _name(
        self,
        seen: npt.NDArray[np.void],
        is_source: npt.NDArray[np.bool_],
        high: npt.NDArray[np.uint64],
        low: npt.NDArray[np.uint64],
    ) -> list[Column]:
        """The container or node that has the address; most addresses are nobody's here, and not looked at one by
        one."""
        known = np.flatnonzero(np.isin(low, self._named))

        def name(row: int) -> object:
            at = known[row]
            return name_of(self._result, endpoint(seen[at], end_name(is_source[at])))

        columns = texts(self._names.around([high[known], low[known]], name)[0]) if known.size else texts(0)
        return only_at(known, seen.size, columns, self._pool.number("null"))

    def _process(
        self, seen: npt.NDArray[np.void], is_source: npt.NDArray[np.bool_], low: npt.NDArray[np.uint64], *, server: bool
    ) -> list[Column]:
        """Whose the socket is, where the capture recorded it."""
        found = np.full(seen.size, self._pool.number("null"))
        for row in np.flatnonzero(self._known[seen["namespace"]] & np.isin(low, self._local)).tolist():
            one = seen[row]
            process = process_at(
                self._result, one, end_name(is_source[row]), may_listen=server or one["protocol"] != TCP
            )
            if process is not None:
                found[row] = self._pool.number(json.dumps(process_object(process)))
        return texts(found)


def ending_columns(members: Members, endings: Endings, templates: Templates) -> list[Column]:
    """What became of each connection, as a text with the sender of an RST or an ICMP error in it."""
    senders = np.flatnonzero(endings.sender >= 0)
    seen = members.result.sightings.take(endings.sender[senders])
    is_error = endings.form == Form.ERROR
    infos: list[npt.NDArray[Any]] = []
    for column in info_columns(seen):
        of_error = np.zeros(is_error.size, column.dtype)
        of_error[senders] = column
        infos.append(np.where(is_error, of_error, 0))

    def ending(row: int) -> Cut:
        before, behind = endings.around(members, row)
        return Cut([json.dumps(before)[:-1], json.dumps(behind)[1:]])

    around = templates.around([endings.state, endings.form, endings.number, *infos], ending)
    return laid_out(around, only_at(senders, is_error.size, ends_of(seen, "source", quoted=False)))


def _lower_halves(addresses: Iterable[str]) -> npt.NDArray[np.uint64]:
    """The lower halves of addresses as columns have them: an address that has none of these is none of them."""
    found = []
    for text in addresses:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        number = int(address)
        found.append(number | 0xFFFF << 32 if address.version == 4 else number & (1 << 64) - 1)
    return np.unique(np.array(found, np.uint64))
