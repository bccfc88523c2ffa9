"""Labs by their prefix, from whatever process: what `ttrace lab up|status|down` calls."""

from ..errors import TtraceError
from .base import Lab, NodeStatus
from .docker import DockerLab
from .light import LightLab
from .state import LabState
from .teardown import take_down

KINDS: dict[str, type[DockerLab] | type[LightLab]] = {lab.kind: lab for lab in (DockerLab, LightLab)}


def up(prefix: str = "ttlab") -> DockerLab:
    """Bring a Docker lab up that stays when this process ends."""
    return DockerLab(prefix).up()


def down(prefix: str = "ttlab") -> None:
    """Take the lab down, of either kind and whoever made it; fine when there is none."""
    take_down(prefix)


def status(prefix: str = "ttlab") -> list[NodeStatus]:
    """The state of each node of the lab; an empty list when there is none."""
    lab = _find(prefix)
    return lab.status() if lab is not None else []


def attach(prefix: str = "ttlab") -> Lab:
    """The lab that another process brought up; TtraceError when it is not up."""
    lab = _find(prefix)
    state = LabState.load(prefix)
    if lab is None or state is None or not state.ready:
        raise TtraceError(f"the lab `{prefix}` is not up", f"`ttrace lab up --prefix {prefix}` brings it up")
    return lab


def _find(prefix: str) -> Lab | None:
    state = LabState.load(prefix)
    if state is None:
        return None
    lab = KINDS[state.kind](prefix, **state.options)
    lab.containers = state.containers
    return lab
