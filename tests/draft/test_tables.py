"""Tables 1 to 5, 7, 9, 10 and 12.  Tables 6 and 8 are in ``test_sizes.py``, with the formulas that belong to them."""

import inspect

import pytest

from aibench_lib import kpi as formulas
from aibench_lib.catalogue import (
    benchmark,
    kpi,
    load_dispatch_modes,
    load_duts,
    load_kpi_tests,
    load_kpis,
    load_report_contents,
    load_routing_modes,
)
from aibench_lib.model import ObservationPoint


def rows(table):
    return {name: entry for name, entry in load_kpis().items() if entry.table == table}


def test_table_1_has_five_configurations():
    """Section 3.3."""
    assert {id_: dut.description for id_, dut in load_duts().items()} == {
        "DUT-S": "Single switch",
        "DUT-F": "Complete fabric",
        "DUT-N": "NIC transport",
        "DUT-PD": "Prefill-decode path",
        "SUT-E": "End-to-end system",
    }


def test_table_2_has_five_latencies_in_milliseconds():
    """Section 4.1."""
    assert list(rows(2)) == ["TTFT", "ITL", "TTFT_fabric", "ITL_fabric", "E2E_latency"]
    assert {entry.unit for entry in rows(2).values()} == {"ms"}
    assert [entry.dut for entry in rows(2).values()] == [("SUT-E",), ("SUT-E",), ("DUT-PD",), ("DUT-F",), ("SUT-E",)]


def test_table_2_has_non_normative_targets():
    """Section 4.1: 500, 50, 300 and 5 ms at P99, none for E2E_latency."""
    targets = [entry.reference for entry in rows(2).values()]
    assert targets[:4] == ["< 500 ms P99", "< 50 ms P99", "< 300 ms P99", "< 5 ms P99"]
    assert "output" in targets[4]


def test_table_3_has_six_throughputs():
    """Section 4.2."""
    assert {name: (entry.unit, entry.dut) for name, entry in rows(3).items()} == {
        "TPS_input": ("tokens/s", ("SUT-E",)),
        "TPS_output": ("tokens/s", ("SUT-E",)),
        "TPS_per_GPU": ("tokens/s/GPU", ("SUT-E",)),
        "Goodput": ("GB/s or tokens/s", ("SUT-E",)),
        "KV_BW": ("GB/s", ("DUT-PD",)),
        "Request_Rate": ("req/s", ("SUT-E",)),
    }


def test_goodput_is_reported_under_two_names_with_a_unit_each():
    """Section 4.2: Inference_Goodput for token rates, Fabric_Goodput for byte rates."""
    assert kpi("Goodput").reported_as == ("Inference_Goodput", "Fabric_Goodput")
    assert [kpi(name).unit for name in kpi("Goodput").reported_as] == ["tokens/s", "GB/s"]


def test_table_4_has_ten_fabric_kpis():
    """Section 4.3."""
    assert {name: (entry.unit, *entry.dut) for name, entry in rows(4).items()} == {
        "KV_xfer_latency": ("us", "DUT-N"),
        "KV_xfer_bandwidth": ("GB/s", "DUT-N"),
        "EP_alltoall_latency": ("us", "DUT-F"),
        "EP_alltoall_bandwidth": ("GB/s", "DUT-F"),
        "Fabric_FCT": ("us", "DUT-F"),
        "Buffer_utilization": ("%", "DUT-S"),
        "ECN_marking_rate": ("%", "DUT-S"),
        "PFC_frame_count": ("frames", "DUT-S"),
        "Link_utilization": ("%", "DUT-F"),
        "Packet_drop_rate": ("ppm", "DUT-F"),
    }


def test_table_5_has_seven_health_indicators_with_their_thresholds_as_context():
    """Section 4.4."""
    assert {name: entry.reference for name, entry in rows(5).items()} == {
        "CPU Utilization (switch)": "< 30%",
        "Memory Usage (switch)": "< 70%",
        "FEC Error Rate": "< 1e-12 post-FEC BER",
        "CRC Error Count": "0",
        "BGP/OSPF Stability": "0 flaps",
        "NIC QP State": "100% active",
        "GPU-NIC PCIe BW": "> 90% of theoretical",
    }


def test_what_a_switch_counts_is_observed_at_its_counters():
    """Section 4.3: what is measured on DUT-S comes from the switch."""
    of_switches = [entry for entry in load_kpis().values() if entry.dut == ("DUT-S",)]
    assert {entry.observation_point for entry in of_switches} == {ObservationPoint.DUT_COUNTER}


@pytest.mark.parametrize(
    "name", ["Fabric_FCT", "Buffer_utilization", "ECN_marking_rate", "Link_utilization", "Packet_drop_rate"]
)
def test_a_kpi_has_a_function_of_its_name(name):
    assert inspect.isfunction(getattr(formulas, load_kpis()[name].name.lower()))


def test_table_7_has_four_routing_modes():
    """Section 7.2."""
    assert list(load_routing_modes()) == [
        "standard_top_k",
        "expert_choice",
        "top_k_token_drop",
        "auxiliary_loss_top_k",
    ]


def test_table_9_requires_four_elements_of_a_report():
    """Section 14."""
    requirements = {name: element.requirement for name, element in load_report_contents().elements.items()}
    assert requirements == {
        "System Configuration": "required",
        "Workload Parameters": "required",
        "KPI Summary Table": "required",
        "Latency Distribution Plots": "recommended",
        "Throughput vs. Scale Graphs": "recommended",
        "Fabric Health Indicators": "required",
        "Raw Data Appendix": "optional",
    }


def test_a_report_says_what_section_14_lists():
    """Section 14: system, workload, and five things for each test."""
    contents = load_report_contents()
    assert {"xPyD ratio", "fabric topology", "link speeds"} <= set(contents.system_configuration)
    assert len(contents.system_configuration) == 12
    assert "prefix sharing percentage" in contents.workload_characterization
    assert len(contents.workload_characterization) == 5
    assert "number of trials" in contents.for_each_test
    assert len(contents.for_each_test) == 5


def test_table_10_maps_18_kpis_to_tests():
    """Appendix A."""
    assert {name: " ".join(row.tests) for name, row in load_kpi_tests().items()} == {
        "TTFT": "6.1 6.2 10.1 10.3",
        "ITL": "10.2 10.3 10.4",
        "TPS_output": "6.2 11.1 11.2 11.3",
        "TPS_input": "11.1",
        "Goodput": "11.1 11.3",
        "KV_xfer_latency": "5.2 5.3 6.1 6.4",
        "KV_xfer_bandwidth": "5.1 5.3 5.4",
        "EP_alltoall_latency": "7.1 7.2 7.3 7.4",
        "EP_alltoall_bandwidth": "7.1 7.3",
        "Fabric_FCT": "5.2 5.3",
        "Buffer_utilization": "8.1 8.2",
        "ECN_marking_rate": "8.1 8.3",
        "PFC_frame_count": "8.2 8.4",
        "Link_utilization": "5.3 9.3 12.1",
        "Packet_drop_rate": "8.1 8.2 12.3",
        "Request_Rate": "11.1",
        "prefix_cache_hit_rate": "9.2",
        "JFI": "9.4",
    }


@pytest.mark.parametrize("name", list(load_kpi_tests()))
def test_every_test_of_table_10_reports_its_kpi(name):
    """Appendix A."""
    names = {name, *kpi(name).reported_as}
    for id_ in load_kpi_tests()[name].tests:
        assert names & {*benchmark(id_).kpis, *benchmark(id_).derived}, id_


def test_table_12_tells_the_dispatch_modes_apart():
    """Appendix D: batch, queue pairs a connection and volume of a dispatch, from and to."""
    normal, low_latency = load_dispatch_modes().values()
    assert (normal.batch_tokens, normal.queue_pairs, normal.dispatch_bytes) == (
        (128, 512),
        (24, 24),
        (1_000_000, 10_000_000),
    )
    assert (low_latency.batch_tokens, low_latency.queue_pairs, low_latency.dispatch_bytes) == (
        (1, 16),
        (8, 16),
        (10_000, 1_000_000),
    )
    assert (normal.reference, low_latency.reference) == ("< 1 ms per dispatch", "< 200 us per dispatch")
