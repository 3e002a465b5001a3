"""Sizes: S_KV (Section 2, Table 8, Appendix E) and the dispatch volumes (Section 7.1, Table 6, Appendix D)."""

import pytest

from aibench_lib.catalogue import LayerGroup, load_models, load_moe_configs
from aibench_lib.workload import dispatch_bytes, fabric_bytes, kv_cache_bytes, s_kv_unit

KIB = 1024


def test_the_sample_calculation_gives_1_342_177_280_bytes():
    """Appendix E: 80 layers, 8 KV heads, 128 dimensions, 4096 tokens, 2 bytes; CFG-B has these."""
    assert kv_cache_bytes(load_models()["CFG-B"], 4096) == 1_342_177_280


def test_a_70b_model_at_4k_context_caches_about_1_34_gb():
    """Section 2, KV Cache: decimal gigabytes, binary context."""
    assert kv_cache_bytes(load_models()["CFG-B"], 4 * KIB) / 1e9 == pytest.approx(1.34, abs=0.005)


def test_a_layer_caches_key_and_value_of_every_head():
    """Section 2, S_KV: 2 x H_kv x D x P_bytes for a layer and a token, and S_KV is that times L times C."""
    group = LayerGroup(layers=80, kv_heads=8, head_dimension=128, element_bytes=2)
    assert s_kv_unit(group) == 2 * 8 * 128 * 2 == 4096
    assert kv_cache_bytes(load_models()["CFG-B"], 1000) == 4096 * 80 * 1000


def test_table_8_has_these_models():
    """Section 10.1: L, H_kv, D and bytes an element; CFG-E is the tester's."""
    found = {
        name: [(g.layers, g.kv_heads, g.head_dimension, g.element_bytes) for g in model.layer_groups]
        for name, model in load_models().items()
    }
    assert found == {
        "CFG-A": [(32, 8, 128, 2)],
        "CFG-B": [(80, 8, 128, 2)],
        "CFG-C": [(96, 64, 128, 2)],
        "CFG-D": [(80, 8, 128, 1)],
    }


@pytest.mark.parametrize(
    ("name", "gigabytes"),
    [
        ("CFG-A", (0.537, 4.295, 17.18)),
        ("CFG-B", (1.342, 10.737, 42.95)),
        ("CFG-C", (12.885, 103.08, 412.3)),
        ("CFG-D", (0.671, 5.369, 21.47)),
    ],
)
def test_the_formula_gives_these_sizes_for_table_8(name, gigabytes):
    """Section 10.1, at 4, 32 and 128 x 1024 tokens; the formula holds where the table differs."""
    sizes = [kv_cache_bytes(load_models()[name], context * KIB) / 1e9 for context in (4, 32, 128)]
    assert sizes == [pytest.approx(expected, rel=1e-3) for expected in gigabytes]


@pytest.mark.parametrize(("name", "printed"), [("CFG-B", (1.3, 10.5, 42.0)), ("CFG-D", (0.67, 5.4, 21.5))])
def test_table_8_agrees_with_the_formula_for_the_mid_models(name, printed):
    """Section 10.1: to within 3.5 %."""
    sizes = [kv_cache_bytes(load_models()[name], context * KIB) / 1e9 for context in (4, 32, 128)]
    assert sizes == [pytest.approx(expected, rel=0.035) for expected in printed]


def test_table_8_contradicts_the_formula_for_the_small_model():
    """Section 10.1: the printed 0.25, 2.0 and 8.0 GB are less than half of what the formula gives."""
    sizes = [kv_cache_bytes(load_models()["CFG-A"], context * KIB) / 1e9 for context in (4, 32, 128)]
    assert [size / printed for size, printed in zip(sizes, (0.25, 2.0, 8.0), strict=True)] == [
        pytest.approx(2.147, abs=0.001)
    ] * 3


def test_table_6_has_these_configurations():
    """Section 7.1: experts, top-k, hidden dimension, BF16."""
    assert {name: (m.experts, m.top_k, m.hidden_dimension) for name, m in load_moe_configs().items()} == {
        "M1": (8, 2, 4096),
        "M2": (64, 4, 7168),
        "M3": (256, 2, 7168),
        "M4": (256, 8, 7168),
    }
    assert {m.element_bytes for m in load_moe_configs().values()} == {2}


@pytest.mark.parametrize(
    ("name", "kilobytes", "printed_megabytes"),
    [("M1", 21.845, 2.1), ("M2", 76.459, 29), ("M3", 38.229, 14), ("M4", 152.917, 58)],
)
def test_the_formula_contradicts_the_volumes_of_table_6(name, kilobytes, printed_megabytes):
    """Section 7.1: B x k x H x P / N with 128 tokens and 96 ranks; the table prints 96 to 380 times it."""
    volume = float(dispatch_bytes(load_moe_configs()[name], batch_tokens=128, ep_ranks=96))
    assert volume / 1e3 == pytest.approx(kilobytes, abs=0.001)
    assert 95 < printed_megabytes * 1e6 / volume < 385


@pytest.mark.parametrize(("batch", "pair_kb", "printed"), [(256, 76.459, 76), (8, 2.389, 2.4)])
def test_appendix_d_agrees_with_the_formula_for_a_pair(batch, pair_kb, printed):
    """Appendix D: M3 on 96 ranks, 256 and 8 tokens, about 76 KB and 2.4 KB a pair."""
    volume = float(dispatch_bytes(load_moe_configs()["M3"], batch_tokens=batch, ep_ranks=96)) / 1e3
    assert volume == pytest.approx(pair_kb, abs=0.001)
    assert volume == pytest.approx(printed, rel=0.01)


@pytest.mark.parametrize(
    ("batch", "all_pairs_mb", "between_nodes_mb", "printed"), [(256, 697.3, 645.9, 870), (8, 21.79, 20.19, 27)]
)
def test_appendix_d_overstates_the_aggregate(batch, all_pairs_mb, between_nodes_mb, printed):
    """Appendix D: 96 x 95 pairs give 697 and 21.8 MB, 96 x 88 between nodes 646 and 20.2 MB, not 870 and 27."""
    moe = load_moe_configs()["M3"]
    pair = dispatch_bytes(moe, batch_tokens=batch, ep_ranks=96)
    between = fabric_bytes(moe, batch_tokens=batch, ep_ranks=96, ranks_per_node=8)
    assert float(pair * 96 * 95) / 1e6 == pytest.approx(all_pairs_mb, rel=1e-3)
    assert float(between) / 1e6 == pytest.approx(between_nodes_mb, rel=1e-3)
    assert float(pair * 96 * 95) / 1e6 < 0.82 * printed


def test_61_layers_in_30_ms_are_about_2000_dispatches_a_second():
    """Appendix D: 61 / 30 ms; with 21.8 MB each that is 44 GB/s, not 54."""
    a_second = 61 / 0.030
    assert a_second == pytest.approx(2033, abs=1)
    each = float(dispatch_bytes(load_moe_configs()["M3"], batch_tokens=8, ep_ranks=96) * 96 * 95)
    assert a_second * each / 1e9 == pytest.approx(44.3, abs=0.05)
