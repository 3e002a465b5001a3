"""How many bytes a dispatch of expert parallelism moves: T_dispatch, T_egress and S_fabric.

They are expectations under uniform routing, so they need not be whole bytes.
"""

from fractions import Fraction

from aibench_lib.catalogue import MoeConfig
from aibench_lib.errors import SpecError


def dispatch_bytes(moe: MoeConfig, *, batch_tokens: int, ep_ranks: int) -> Fraction:
    """Return what one rank sends to one other rank in one dispatch (T_dispatch) [bytes].

    Draft: Section 7.1, Appendix D.

    Args:
        moe: Top-k, hidden dimension and precision.
        batch_tokens: Tokens of the batch at each rank.
        ep_ranks: Ranks of the EP group.

    Raises:
        SpecError: There is no rank.
    """
    if ep_ranks < 1:
        raise SpecError(f"an EP group has at least 1 rank, not {ep_ranks}")
    return Fraction(batch_tokens * moe.top_k * moe.hidden_dimension * moe.element_bytes, ep_ranks)


def egress_bytes(moe: MoeConfig, *, batch_tokens: int, ep_ranks: int) -> Fraction:
    """Return what one rank sends to all others in one dispatch (T_egress) [bytes].

    Draft: not in -01, which gives T_dispatch alone; T_egress is T_dispatch times the number of peers.

    Raises:
        SpecError: There is no rank.
    """
    return dispatch_bytes(moe, batch_tokens=batch_tokens, ep_ranks=ep_ranks) * (ep_ranks - 1)


def fabric_bytes(moe: MoeConfig, *, batch_tokens: int, ep_ranks: int, ranks_per_node: int) -> Fraction:
    """Return what all ranks together send to ranks of other nodes in one dispatch (S_fabric) [bytes].

    Draft: not in -01, whose Appendix D counts all pairs; only those between nodes cross the fabric.

    Args:
        moe: Top-k, hidden dimension and precision.
        batch_tokens: Tokens of the batch at each rank.
        ep_ranks: Ranks of the EP group, whole nodes of them, or all in one node.
        ranks_per_node: Ranks of one node.

    Raises:
        SpecError: The ranks do not fill whole nodes.
    """
    per_pair = dispatch_bytes(moe, batch_tokens=batch_tokens, ep_ranks=ep_ranks)
    if ranks_per_node < 1 or (ep_ranks > ranks_per_node and ep_ranks % ranks_per_node):
        raise SpecError(f"{ep_ranks} EP ranks do not fill whole nodes of {ranks_per_node}")
    return per_pair * ep_ranks * max(ep_ranks - ranks_per_node, 0)
