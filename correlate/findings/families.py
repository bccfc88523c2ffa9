"""The families, in the order in which they look: causes before symptoms."""

from collections.abc import Callable, Iterator
from typing import Final

from .by_backlog import not_taken
from .by_bridge import bridged_through_rules
from .by_capture import lost_by_the_capture
from .by_checksum import checksum_wrong
from .by_conntrack import bound_to_nobody, wanted_by_two
from .by_fragments import fragment_missing
from .by_hairpin import kept_from_its_port
from .by_icmp_errors import told_by_icmp_errors
from .by_invalid import conntrack_invalid, reply_not_translated
from .by_kernel import dropped_by_the_kernel, given_up_by_its_end
from .by_loop import redirect_loop
from .by_neighbours import neighbour_unresolved
from .by_proxy import proxied
from .by_queues import dropped_by_queues, taken_before_netfilter
from .by_return import asymmetric_return
from .by_routing import given_up_by_routing
from .by_rules import handed_to_programs, killed_by_rules
from .by_source import wrong_reply_source
from .by_state import half_open, lost_on_the_way, refused, unanswered
from .by_time import slow
from .facts import Facts
from .seen import Seen

FAMILIES: Final[tuple[Callable[[Facts], Iterator[Seen]], ...]] = (
    checksum_wrong,
    conntrack_invalid,
    killed_by_rules,
    bridged_through_rules,
    kept_from_its_port,
    given_up_by_routing,
    wanted_by_two,
    bound_to_nobody,
    reply_not_translated,
    redirect_loop,
    neighbour_unresolved,
    dropped_by_the_kernel,
    told_by_icmp_errors,
    handed_to_programs,
    fragment_missing,
    wrong_reply_source,
    asymmetric_return,
    dropped_by_queues,
    taken_before_netfilter,
    lost_on_the_way,
    not_taken,
    refused,
    given_up_by_its_end,
    half_open,
    unanswered,
    proxied,
    slow,
    lost_by_the_capture,
)
