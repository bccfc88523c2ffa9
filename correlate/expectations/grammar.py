"""Expectations as people write them: `PROTOCOL SOURCE -> DESTINATION WHAT` (docs/cli.md)."""

import ipaddress
import math
import re
from dataclasses import dataclass
from typing import Final

from ...errors import UsageError
from ..findings.kinds import Kind, Severity
from ..outcomes.kinds import OUTCOMES
from ..result.connection_state import COMPLETE, CUT, STATES_TO_TELL
from ..result.words import PROTOCOLS

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

WORDS: Final = frozenset({*OUTCOMES, *STATES_TO_TELL, COMPLETE, CUT, *Kind, *Severity})
"""What can be expected of a connection by name."""
_UNITS: Final = {"us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
_NUMBER: Final = r"([0-9]{1,9}(?:\.[0-9]{1,9})?)"
_MOST_PORT: Final = 65535
_HINT: Final = (
    "write 'PROTOCOL SOURCE -> DESTINATION WHAT', such as 'tcp 172.17.0.2 -> :8080 delivered'; "
    "docs/cli.md has all of it"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """One end of a connection; what is None may be anything."""

    network: Network | None = None
    name: str | None = None
    """Of a container, namespace or node."""
    port: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """One expectation."""

    text: str
    """As it was written."""
    negative: bool
    """Of `--expect-no`."""
    protocol: str | None
    source: End
    destination: End
    word: str | None = None
    """One of WORDS."""
    most_ns: int | None = None
    """`max N us|ms|s`: from the first frame of a packet to its last."""
    loss_percent: float | None = None
    """`loss < P %`."""

    @property
    def is_about_all(self) -> bool:
        """No connection is excepted."""
        return self.protocol is None and self.source == End() == self.destination


def read_expectation(text: str, *, negative: bool = False) -> Expectation:
    """An expectation as it was written. Raises UsageError for what is none."""
    words = text.replace("->", " -> ").split()
    if negative and len(words) == 1:
        lone = _word(text, words[0])
        return Expectation(text=text, negative=True, protocol=None, source=End(), destination=End(), word=lone)
    if words.count("->") != 1:
        raise _wrong(text, "there has to be one `->` between source and destination")
    if words.index("->") != 2:
        raise _wrong(text, "before `->` come the protocol (or `any`) and the source")
    if len(words) < 5:
        raise _wrong(text, "after `->` come the destination and what is expected")
    word, most_ns, loss = _what(text, words[4:])
    return Expectation(
        text=text, negative=negative, protocol=_protocol(text, words[0]), source=_end(text, words[1]),
        destination=_end(text, words[3]), word=word, most_ns=most_ns, loss_percent=loss,
    )  # fmt: skip


def _wrong(text: str, what: str) -> UsageError:
    return UsageError(f"cannot read the expectation `{text}`: {what}", _HINT)


def _protocol(text: str, word: str) -> str | None:
    if word == "any":
        return None
    if word not in PROTOCOLS.values():
        raise _wrong(text, f"`{word}` is no protocol: any, {', '.join(PROTOCOLS.values())}")
    return word


def _what(text: str, words: list[str]) -> tuple[str | None, int | None, float | None]:
    if words[0] == "max":
        match = re.fullmatch(_NUMBER + " ?(us|ms|s)", " ".join(words[1:]))
        if not match:
            raise _wrong(text, "`max` takes a number and us, ms or s: `max 500 us`")
        return None, math.floor(float(match[1]) * _UNITS[match[2]]), None
    if words[0].startswith("loss"):
        match = re.fullmatch("loss<" + _NUMBER + "%", "".join(words))
        if not match or not 0 < float(match[1]) <= 100:
            raise _wrong(text, "`loss` takes `<` and a share: `loss < 1 %`")
        return None, None, float(match[1])
    if len(words) > 1:
        raise _wrong(text, f"`{words[1]}` does not belong there")
    return _word(text, words[0]), None, None


def _word(text: str, word: str) -> str:
    if word not in WORDS:
        states = ", ".join((*STATES_TO_TELL, COMPLETE, CUT))
        what = f"`{word}` is no outcome ({', '.join(OUTCOMES)}), no state ({states}), no kind or severity of findings"
        raise _wrong(text, f"{what} (docs/findings.md)")
    return word


def _end(text: str, word: str) -> End:
    if word == "any":
        return End()
    if (network := _network(word)) is not None:
        return End(network=network)
    if "/" in word:
        raise _wrong(text, f"`{word}` is no network")
    host, colon, port = word.rpartition(":")
    if not colon:
        host, port = word, ""
    elif not re.fullmatch("[0-9]{1,5}", port) or int(port) > _MOST_PORT:
        raise _wrong(text, f"`{port}` is no port")
    number = int(port) if colon else None
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if _network(host) is None:
            raise _wrong(text, f"`{host}` is no address")
    if host in ("", "any"):
        return End(port=number)
    if (network := _network(host)) is not None:
        return End(network=network, port=number)
    if re.fullmatch(r"[0-9.]+", host) or ":" in host:
        raise _wrong(text, f"`{host}` is no address")
    return End(name=host, port=number)


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
