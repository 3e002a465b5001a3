import dataclasses
import json
import subprocess
import sys

import pytest

from aibench_lib.catalogue import (
    benchmark,
    kpi,
    load_benchmarks,
    load_models,
    load_section,
    model,
    points,
    settings,
)
from aibench_lib.errors import SpecError

ENTRY = """
"8.1":
  title: A title
  dut: [DUT-S]
  procedure: incast
  setting: {threshold: [1, 2]}
  load: {workers: [3, 4], bytes: [5]}
  kpis: [ECN_marking_rate]
  figure: {kind: lines, x: workers, y: [ECN_marking_rate]}
"""


def section(tmp_path, text):
    path = tmp_path / "08_congestion.yml"
    path.write_text(text)
    return load_section(path)


def test_settings_and_points_are_combinations_in_the_order_of_the_file(tmp_path):
    test = section(tmp_path, ENTRY)["8.1"]
    assert settings(test) == [{"threshold": 1}, {"threshold": 2}]
    assert points(test) == [{"workers": 3, "bytes": 5}, {"workers": 4, "bytes": 5}]


def test_a_test_that_varies_nothing_has_one_empty_point():
    assert settings(benchmark("13.1")) == [{}]
    assert points(benchmark("13.1")) == [{}]


def test_an_unknown_test_is_refused_with_the_known_ones():
    with pytest.raises(SpecError, match=r"test '8.5': the draft has no such test; its tests are 5.1, 5.2"):
        benchmark("8.5")


@pytest.mark.parametrize(
    ("good", "bad", "message"),
    [
        ("dut:", "dutt:", r"08_congestion.yml: 8.1.dutt: unknown key; did you mean 'dut'\?"),
        ("  title: A title\n", "", r"08_congestion.yml: 8.1.title: missing"),
        ("x: workers", "xx: workers", r"08_congestion.yml: 8.1.figure.xx: unknown key"),
        ('"8.1"', "8.1", r"8.1: put the id in quotes"),
        ("[1, 2]", "1", r"8.1.setting.threshold: expected a list of values, found 1"),
        ("[1, 2]", "[]", r"8.1.setting.threshold: expected a list of values"),
        ("[1, 2]", "[1, 1e6]", r"8.1.setting.threshold: expected numbers only or names only, found \[1, '1e6'\]"),
        ("[1, 2]", "[[1]]", r"8.1.setting.threshold: expected numbers only"),
        ("{threshold: [1, 2]}", "[1, 2]", r"8.1.setting: expected parameters and their values"),
        ("[DUT-S]", "DUT-S", r"8.1.dut: expected a list of names"),
        ("kpis: [ECN_marking_rate]", "kpis: [1]", r"8.1.kpis: expected a list of names"),
        ("{kind: lines, x: workers, y: [ECN_marking_rate]}", "lines", r"8.1.figure: expected keys and values"),
        ("kpis:", "trials: many\n  kpis:", r"8.1.trials: expected a whole number above 0, found 'many'"),
        ("kpis:", "trials: 0\n  kpis:", r"8.1.trials: expected a whole number above 0"),
        ("kpis:", "trial_seconds: -1\n  kpis:", r"8.1.trial_seconds: expected whole seconds"),
        ("kpis:", "constants: 3\n  kpis:", r"8.1.constants: expected keys and values, found 3"),
    ],
)
def test_a_slip_is_refused_with_file_and_key(tmp_path, good, bad, message):
    assert good in ENTRY
    with pytest.raises(SpecError, match=message):
        section(tmp_path, ENTRY.replace(good, bad))


@pytest.mark.parametrize("text", ["- 1\n", '"8.1": text\n'])
def test_a_file_of_another_shape_is_refused(tmp_path, text):
    with pytest.raises(SpecError, match="expected"):
        section(tmp_path, text)


def test_a_test_can_be_copied_with_fewer_trials_and_written_as_json():
    quick = dataclasses.replace(benchmark("8.1"), trials=3)
    assert quick.trials == 3
    assert benchmark("8.1").trials == 20
    assert json.loads(json.dumps(dataclasses.asdict(quick)))["load"]["prefill_workers"] == [2, 4, 8, 16, 32]


def test_the_catalogue_cannot_be_changed_by_its_readers():
    with pytest.raises(TypeError):
        load_benchmarks()["8.1"] = benchmark("8.2")
    with pytest.raises(dataclasses.FrozenInstanceError):
        benchmark("8.1").trials = 1


def test_settings_are_fresh_each_time():
    settings(benchmark("8.1"))[0]["ecn_threshold_bytes"] = 1
    assert settings(benchmark("8.1"))[0] == {"ecn_threshold_bytes": 100_000}


def test_a_kpi_is_found_among_tables_and_derived_values():
    assert (kpi("Fabric_FCT").table, kpi("Fabric_FCT").unit) == (4, "us")
    assert (kpi("JFI").table, kpi("JFI").unit) == (None, "")
    with pytest.raises(SpecError, match="KPI 'Fabric_FTC'"):
        kpi("Fabric_FTC")


def test_a_testers_own_model_is_read_like_the_drafts():
    layers = {"layers": 2, "kv_heads": 1, "head_dimension": 8, "element_bytes": 1}
    own = model({"profile": "mine", "layer_groups": [layers, layers | {"window_tokens": 128}]}, "inventory: CFG-E")
    assert own.layer_groups[1].window_tokens == 128
    assert own.layer_groups[0].window_tokens is None
    with pytest.raises(SpecError, match=r"inventory: CFG-E.layer_groups\[0\].kv_head: unknown key"):
        model({"profile": "mine", "layer_groups": [{"kv_head": 1}]}, "inventory: CFG-E")
    with pytest.raises(SpecError, match=r"inventory: CFG-E.layer_groups: expected a list"):
        model({"profile": "mine", "layer_groups": 2}, "inventory: CFG-E")


def test_reading_is_done_once():
    assert load_models() is load_models()
    assert load_benchmarks() is load_benchmarks()


def test_importing_the_catalogue_reads_no_file():
    code = (
        "import sys; opened = []\n"
        "sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == 'open' else None)\n"
        "import aibench_lib.catalogue\n"
        "sys.exit(any(name.endswith('.yml') for name in opened))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
