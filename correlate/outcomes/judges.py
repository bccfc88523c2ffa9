"""Who decides what became of each packet, in which order."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .by_acknowledgment import arrived_all_the_same
from .by_answer import came_in_unanswered, never_answered, refused_by_its_end
from .by_datagram import arrived_without_a_piece
from .by_equal_packet import seen_elsewhere
from .by_flow import compared_with_its_flow
from .by_hooks import died_inside_a_hook, dropped_by_a_chain, gone_behind_a_hook, taken_by_a_rule
from .by_icmp_error import given_up_with_an_icmp_error
from .by_kernel_drop import dropped_by_the_kernel, not_taken_by_a_socket
from .by_last_hop import (
    arrived_where_it_ends,
    gone_inside,
    gone_on_the_wire,
    out_of_time_to_live,
    passed_its_owner,
)
from .by_proxy import answered_by_a_proxy, rewritten_by_a_helper
from .by_segments import carried_on_in_other_segments
from .by_tunnel import never_left_its_tunnel
from .kinds import COLUMNS, Outcomes, Verdicts, is_one_value
from .tables import Tables

Judge = Callable[[Tables, Outcomes], Verdicts]
"""Looks at the tables and at what the judges before it said; changes neither."""

OF_ONE_PART: Final[tuple[Judge, ...]] = (
    dropped_by_a_chain,
    taken_by_a_rule,
    died_inside_a_hook,
    passed_its_owner,
    never_left_its_tunnel,
    arrived_where_it_ends,
    out_of_time_to_live,
    gone_behind_a_hook,
    gone_inside,
    gone_on_the_wire,
    dropped_by_the_kernel,
    came_in_unanswered,
)
"""What a part of the connections can say by itself. All but the last two speak only of what none before them spoke
of."""

OF_ALL_PARTS: Final[tuple[Judge, ...]] = (
    compared_with_its_flow,
    carried_on_in_other_segments,
    never_answered,
    seen_elsewhere,
    arrived_all_the_same,
    arrived_without_a_piece,
    answered_by_a_proxy,
    rewritten_by_a_helper,
    refused_by_its_end,
    given_up_with_an_icmp_error,
    not_taken_by_a_socket,
)
"""What follows once the passages of all parts are known."""


def decide(judges: Sequence[Judge], tables: Tables, before: Outcomes) -> Outcomes:
    """Ask them in turn: what one says of a path replaces what those before it said of that path.

    `before`: what has been decided already; it stays as it is.
    """
    own: dict[str, npt.NDArray[np.generic]] = {}
    so_far = before
    for judge in judges:
        verdicts = judge(tables, so_far)
        if verdicts.segments is not None:
            so_far = replace(so_far, segments=verdicts.segments)
        for name in COLUMNS if verdicts.paths.size else ():
            said, column = getattr(verdicts, name), getattr(so_far, name)
            if is_one_value(column) and np.ndim(said) == 0 and column[0] == said:
                continue
            if name not in own:
                own[name] = column.copy()
                shown: dict[str, Any] = {name: _read_only(own[name])}
                so_far = replace(so_far, **shown)
            own[name][verdicts.paths] = said
    return so_far


def _read_only(column: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    view = column.view()
    view.flags.writeable = False
    return view
