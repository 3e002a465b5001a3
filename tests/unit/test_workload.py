from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibench_lib.catalogue import LayerGroup, Model, MoeConfig
from aibench_lib.errors import SpecError
from aibench_lib.workload import dispatch_bytes, egress_bytes, fabric_bytes, kv_cache_bytes, s_kv_unit

FULL = LayerGroup(layers=4, kv_heads=2, head_dimension=64, element_bytes=2)
SLIDING = LayerGroup(layers=20, kv_heads=2, head_dimension=64, element_bytes=2, window_tokens=1024)
TINY_MOE = MoeConfig(experts=8, top_k=2, hidden_dimension=100)


def test_a_layer_caches_a_key_and_a_value_for_each_token():
    # 2 tensors x 2 heads x 64 dimensions x 2 bytes.
    assert s_kv_unit(FULL) == 512


def test_a_uniform_model_caches_all_tokens_in_all_layers():
    assert kv_cache_bytes(Model(profile="uniform", layer_groups=(FULL,)), 3000) == 512 * 4 * 3000


def test_a_hybrid_model_is_summed_layer_by_layer_and_windows_stop_growing():
    hybrid = Model(profile="hybrid", layer_groups=(FULL, SLIDING))
    assert kv_cache_bytes(hybrid, 1000) == 512 * (4 + 20) * 1000
    assert kv_cache_bytes(hybrid, 8192) == 512 * (4 * 8192 + 20 * 1024)


def test_layers_may_differ_in_heads_and_precision():
    quantised = LayerGroup(layers=2, kv_heads=8, head_dimension=128, element_bytes=1)
    mixed = Model(profile="mixed", layer_groups=(FULL, quantised))
    # 4 layers x 512 + 2 layers x (2 x 8 x 128 x 1 = 2048) bytes a token.
    assert kv_cache_bytes(mixed, 10) == (4 * 512 + 2 * 2048) * 10


def test_an_empty_context_caches_nothing_and_a_negative_one_is_refused():
    model = Model(profile="uniform", layer_groups=(FULL,))
    assert kv_cache_bytes(model, 0) == 0
    with pytest.raises(SpecError, match="-1"):
        kv_cache_bytes(model, -1)


def test_a_pair_carries_its_share_of_the_batch():
    # 6 tokens x 2 experts x 100 dimensions x 2 bytes = 2400 bytes over 4 ranks.
    assert dispatch_bytes(TINY_MOE, batch_tokens=6, ep_ranks=4) == 600


def test_a_rank_sends_to_every_other_rank():
    assert egress_bytes(TINY_MOE, batch_tokens=6, ep_ranks=4) == 3 * 600


def test_only_pairs_between_nodes_cross_the_fabric():
    # 4 ranks on 2 nodes: each has 2 of its 3 peers on the other node, so 8 of 12 pairs.
    assert fabric_bytes(TINY_MOE, batch_tokens=6, ep_ranks=4, ranks_per_node=2) == 8 * 600


def test_a_group_within_one_node_puts_nothing_on_the_fabric():
    assert fabric_bytes(TINY_MOE, batch_tokens=6, ep_ranks=4, ranks_per_node=4) == 0
    assert fabric_bytes(TINY_MOE, batch_tokens=6, ep_ranks=4, ranks_per_node=8) == 0


@pytest.mark.parametrize("ranks_per_node", [0, 3])
def test_ranks_that_do_not_fill_nodes_are_refused(ranks_per_node):
    with pytest.raises(SpecError, match="whole nodes"):
        fabric_bytes(TINY_MOE, batch_tokens=6, ep_ranks=4, ranks_per_node=ranks_per_node)


def test_a_group_without_ranks_is_refused():
    with pytest.raises(SpecError, match="at least 1 rank"):
        dispatch_bytes(TINY_MOE, batch_tokens=6, ep_ranks=0)


@given(st.integers(0, 4096), st.integers(1, 128))
def test_what_a_rank_sends_and_keeps_is_its_whole_batch(batch_tokens, ep_ranks):
    whole = Fraction(batch_tokens * TINY_MOE.top_k * TINY_MOE.hidden_dimension * TINY_MOE.element_bytes)
    own = dispatch_bytes(TINY_MOE, batch_tokens=batch_tokens, ep_ranks=ep_ranks)
    assert egress_bytes(TINY_MOE, batch_tokens=batch_tokens, ep_ranks=ep_ranks) + own == whole


@given(st.integers(1, 16), st.integers(1, 8))
def test_the_fabric_never_carries_more_than_the_ranks_send(nodes, ranks_per_node):
    size = {"batch_tokens": 8, "ep_ranks": nodes * ranks_per_node}
    sent = egress_bytes(TINY_MOE, **size) * nodes * ranks_per_node
    assert fabric_bytes(TINY_MOE, **size, ranks_per_node=ranks_per_node) <= sent
