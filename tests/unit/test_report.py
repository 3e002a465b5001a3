"""The report of Test 8.1, and of any run; the results are made up in ``made_results``."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_results import write_results
from matplotlib.figure import Figure

from aibench_lib.errors import LabError, SpecError
from aibench_lib.report import kpi_table, write_report
from aibench_lib.report.figures.style import ticks
from aibench_lib.report.trials import completion_times_us, deepest_queue, read_trials

GOLDEN = Path(__file__).parents[1] / "golden" / "report.md"


class Page(HTMLParser):
    """What a browser would fetch, where ids stand, and which tags are open."""

    def __init__(self, text):
        super().__init__()
        self.references, self.ids, self.headings, self.captions, self.tables, self.drawings = [], [], [], 0, 0, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.references += [values[key] for key in ("src", "href", "xlink:href", "data", "action") if key in values]
        self.ids += [values["id"]] if "id" in values else []
        self.headings += [int(tag[1])] if re.fullmatch("h[1-6]", tag) else []
        self.tables += tag == "table"
        self.captions += tag == "caption"
        if values.get("role") == "img":
            self.drawings.append(values.get("aria-label", ""))


@pytest.fixture
def undrawn(monkeypatch):
    """Leave the figures out: they take most of a report's time."""
    monkeypatch.setattr("aibench_lib.report.figures.draw", lambda results, test: ())


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    path = write_results(tmp_path_factory.mktemp("run"), (100_000, 5_000_000), (2, 32), 2)
    assert write_report(path) == path / "report.html"
    return path


@pytest.fixture(scope="module")
def html(results):
    return (results / "report.html").read_text()


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def test_the_markdown_report_is_the_golden_one(results):
    assert (results / "report.md").read_text() == GOLDEN.read_text(), f"if this is meant, copy report.md to {GOLDEN}"


@pytest.mark.slow
def test_the_same_results_give_the_same_bytes(results, html):
    write_report(results)
    assert (results / "report.html").read_text() == html


def test_the_page_refers_to_nothing_outside_the_results_directory(html, page, results):
    for reference in page.references:
        assert reference.startswith("#") or (results / reference).exists(), reference
    assert all(target.startswith("#") for target in re.findall(r"url\(['\"]?([^)]*)", html))
    assert "@import" not in html
    assert "<script" not in html


def test_every_anchor_exists_once(page):
    assert len(page.ids) == len(set(page.ids))
    assert {reference[1:] for reference in page.references if reference.startswith("#")} <= set(page.ids)


def test_headings_descend_one_level_at_a_time(page):
    assert page.headings[0] == 1
    assert page.headings.count(1) == 1
    assert all(below <= above + 1 for above, below in zip(page.headings, page.headings[1:], strict=False))


def test_every_table_has_a_caption_and_every_figure_a_description(page):
    assert page.tables == page.captions
    assert len(page.drawings) == 3
    assert all(len(text) > 100 for text in page.drawings)


def test_an_undefined_value_is_printed_as_such_and_not_as_zero(results, html):
    row = next(line for line in (results / "report.md").read_text().splitlines() if line.startswith("| 5 MB | 2 |"))
    assert [cell.strip() for cell in row.split("|")][5:7] == ["n/a", "n/a"]
    assert html.count(">n/a<") == 2
    assert "n/a" in kpi_table(results)


def test_the_lab_is_named_at_every_number(results, html):
    sentence = "simulated: no hardware was measured"
    assert html.count(sentence) >= 3 + 2 * html.count("<figure>")
    assert all(sentence in svg for svg in re.findall(r"<svg.*?</svg>", html, re.DOTALL))
    assert sentence in (results / "report.md").read_text()
    assert kpi_table(results).startswith("Test 8.1 (simulated: ")


def test_no_verdict_is_given(results, html):
    words = re.compile(r"\b(pass|passed|fail|failed|verdict|target)\b", re.IGNORECASE)
    for text in (html, (results / "report.md").read_text(), kpi_table(results)):
        assert not words.search(text)


def test_a_health_indicator_without_data_says_why(html):
    assert html.count("not measured in this run: ") == 7


@pytest.mark.usefixtures("undrawn")
def test_a_measured_health_indicator_is_printed(tmp_path):
    path = write_results(tmp_path / "run", (100_000,), (2,), 1)
    text = (path / "kpis.csv").read_text()
    (path / "kpis.csv").write_text(text + "r,8.1,{},{},CRC Error Count,max,3,frames,,,1,dut_counter,simulated,packet\n")
    write_report(path)
    assert "| CRC Error Count | 3.000 frames (max, n=1, (b) DUT counter) |" in (path / "report.md").read_text()


@pytest.mark.usefixtures("undrawn")
def test_discarded_trials_and_anomalies_are_listed_with_their_reason(tmp_path):
    discarded = [{"trial": "8.1-100000-2-1", "reason": "gap of 40 us in <leaf1> | telemetry"}]
    anomalies = [{"text": "peak only once", "where": {"ecn_threshold_bytes": 100_000}}]
    path = write_results(tmp_path / "run", (100_000,), (2,), 1, discarded=discarded, anomalies=anomalies)
    html = write_report(path).read_text()
    assert "gap of 40 us in &lt;leaf1&gt; | telemetry" in html
    assert "ECN threshold 100 KB" in html
    assert "gap of 40 us in &lt;leaf1> \\| telemetry" in (path / "report.md").read_text()
    assert "1 was discarded" in html


def test_how_simultaneously_real_senders_began_is_told_by_test_and_method(tmp_path):
    start = {"median_skew_seconds": 3.2e-6, "worst_skew_seconds": 0.0125, "worst_uncertainty_seconds": 4e-6}
    starts = [{"test": "8.2", "method": "trigger", "trials": 20, **start}]
    path = write_results(tmp_path / "run", (100_000,), (2,), 1, starts=starts)
    write_report(path)
    assert "| 8.2 | a datagram through the fabric | 20 | 3.2 us | 12.5 ms | 4 us |" in (path / "report.md").read_text()
    assert "Start of the senders" in (path / "report.html").read_text()


def test_where_every_sender_begins_at_t0_by_definition_nothing_is_told_of_it(html):
    assert "Start of the senders" not in html


def test_no_discarded_trial_is_said_in_words(html):
    assert "None discarded." in html


def test_a_setting_the_device_rounded_is_shown_beside_the_requested_one(results):
    report = (results / "report.md").read_text()
    assert "| leaf1 | arista\\_eos | ECN | maximum | 100 KB | 100.16 KB | 1 | no |" in report
    assert "| leaf1 | arista\\_eos | ECN | minimum | 100 KB | 100 KB | 1 | yes |" in report
    assert "| ECN | leaf1 | 2 | 4 | 2 |" in report


@pytest.mark.usefixtures("undrawn")
def test_a_setting_of_every_port_is_one_row_however_often_it_is_made(tmp_path):
    ports = {f"ethernet-1/{port}": "rocev2" for port in (49, *range(1, 37))}
    change = {"host": "leaf3", "platform": "Nokia SR Linux", "feature": "ecn"}
    programmed = [{**change, "requested": {"bound": ports}, "programmed": {"bound": ports}}] * 2
    rendered = {f"leaf3 ecn kmin_bytes=1 bound={ports}": "2c26"}
    path = write_results(tmp_path / "run", (100_000,), (2,), 1, programmed=programmed, rendered_sha256=rendered)
    html, all_ports = write_report(path).read_text(), "rocev2, all 37 from ethernet-1/1 to ethernet-1/49"
    row = f"| leaf3 | Nokia SR Linux | ECN | bound | {all_ports} | {all_ports} | 2 | yes |"
    assert (path / "report.md").read_text().count(row) == 1
    assert "<summary>Switch settings (1 row)</summary>" in html
    assert "leaf3 ecn kmin_<wbr>bytes=1 bound of 37<" in html


@pytest.mark.usefixtures("undrawn")
def test_the_workload_is_told_a_test_at_a_time_in_words_and_units(tmp_path):
    workload = {"Test 8.1: message_bytes": "16000000", "Test 8.2: traffic": "kv_only, mixed", "Start": "at 0.5"}
    deviations = [{"subject": "Test 9.3: load_balancing=packet_spray", "draft": "to be measured", "here": "no"}]
    path = write_results(tmp_path / "run", (100_000,), (2,), 1, workload=workload, deviations=deviations)
    write_report(path)
    markdown = (path / "report.md").read_text()
    assert "| all | Start | at 0.5 |\n| 8.1 | message | 16 MB |\n| 8.2 | traffic | KV only, mixed |\n" in markdown
    assert "| Test 9.3: load balancing packet spray | to be measured | no |" in markdown


@pytest.mark.usefixtures("undrawn")
def test_a_value_that_stands_on_fewer_trials_than_its_row_says_so(tmp_path):
    path = write_results(tmp_path / "run", (100_000,), (2, 4), 3)
    text = (path / "kpis.csv").read_text()
    (path / "kpis.csv").write_text(re.sub(r"(marking_onset,.*),3,dut_counter", r"\1,2,dut_counter", text))
    write_report(path)
    row = next(
        line for line in (path / "report.md").read_text().splitlines() if line.startswith("| 100 KB | 2 | 3 / 6 |")
    )
    assert row.count("(n=") == 1
    assert row.split("|")[5].strip().endswith("(n=2)")


def test_a_run_without_samples_and_telemetry_has_the_figures_its_values_allow(tmp_path):
    path = write_results(tmp_path / "run", (100_000,), (2, 4), 1)
    for file in (*path.glob("samples/*"), *path.glob("telemetry/*")):
        file.unlink()
    assert len(Page(write_report(path).read_text()).drawings) == 1


def test_queue_depth_is_that_of_the_deepest_queue_within_the_trial(results):
    trial = read_trials(results, "8.1")[-1]
    depth = deepest_queue(results, trial)
    assert (trial.setting, trial.point["prefill_workers"]) == ({"ecn_threshold_bytes": 5_000_000}, 32)
    assert str(depth) == "leaf1 Ethernet33 queue 3"
    assert depth.time_us[0] == 0
    assert depth.time_us[-1] <= (trial.t_end_ns - trial.t0_ns) / 1000
    assert depth.depth_bytes.argmax() == 6


def test_a_transfer_that_did_not_complete_has_no_completion_time(tmp_path):
    path = write_results(tmp_path / "run", (100_000,), (4,), 1)
    file = next(path.glob("samples/*"))
    table = pq.read_table(file)
    pq.write_table(table.set_column(3, "status", [["ok", "timeout", "ok", "ok"]]), file)
    assert len(completion_times_us("8.1", read_trials(path, "8.1"))) == 3


def test_a_sample_file_that_names_no_trial_is_one_clear_line(tmp_path):
    path = write_results(tmp_path / "run", (100_000,), (2,), 1)
    pq.write_table(pa.table({"host": ["prefill01"]}), path / "samples" / "a.parquet")
    with pytest.raises(SpecError, match=r"a\.parquet: the file's metadata lacks 'trial'"):
        write_report(path)


def test_powers_of_two_are_evenly_spaced_and_other_values_as_the_catalogue_says():
    axes = Figure().subplots()
    assert ticks(axes, [0.25, 2, 32], "linear") == "logarithmic to base 2"
    assert [text.get_text() for text in axes.get_xticklabels()] == ["0.25", "2", "32"]
    assert ticks(Figure().subplots(), [0, 0.3, 0.5], "linear") == "linear"
    assert ticks(Figure().subplots(), [10_000, 1_000_000], "log") == "logarithmic"


def test_the_terminal_table_fits_110_columns_of_ascii(tmp_path):
    table = kpi_table(write_results(tmp_path / "run", trials=1))
    assert table.isascii()
    assert max(map(len, table.splitlines())) <= 110
    assert len(table.splitlines()) == 26


@pytest.mark.parametrize("name", ["kpis.csv", "run.json"])
def test_a_missing_file_is_one_clear_line(tmp_path, name):
    path = write_results(tmp_path / "run", (100_000,), (2,), 1)
    (path / name).unlink()
    with pytest.raises(SpecError, match=f"^{path / name}: no such file; [^\n]*$"):
        write_report(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"lab": "imagined"}, "run.json: lab: 'imagined' is none of simulated"), ({}, "run.json: run: missing")],
)
def test_a_wrong_run_file_is_one_clear_line(tmp_path, change, message):
    path = write_results(tmp_path / "run", (100_000,), (2,), 1, **change)
    if not change:
        (path / "run.json").write_text("{}")
    with pytest.raises(SpecError, match=message):
        kpi_table(path)


def test_a_value_that_is_no_number_names_its_line(tmp_path):
    path = write_results(tmp_path / "run", (100_000,), (2,), 1)
    lines = (path / "kpis.csv").read_text().splitlines()
    lines[3] = lines[3].replace("dut_counter", "somewhere")
    (path / "kpis.csv").write_text("\n".join(lines))
    with pytest.raises(SpecError, match=r"kpis\.csv: line 4: .*somewhere"):
        kpi_table(path)


@pytest.mark.usefixtures("undrawn")
def test_a_report_that_cannot_be_written_leaves_no_part_of_it(tmp_path):
    path = write_results(tmp_path / "run", (100_000,), (2,), 1)
    (path / "report.md").mkdir()
    with pytest.raises(LabError, match=r"cannot write .*report\.md: "):
        write_report(path)
    assert not list(path.glob(".report*"))


def test_importing_the_report_does_not_import_matplotlib():
    code = "import aibench_lib.report, sys; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
