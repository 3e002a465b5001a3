"""The transport perftest without RDMA: what tools print, what is refused, and that no tool outlives a trial.

The golden files are what perftest 4.5-0.17 of Debian 12 printed on soft-RoCE.
"""

import json
import os
import socket
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibench_lib.units import MIB
from aibench_lib.worker.transports.perftest import commands, output, relay, transport
from aibench_lib.worker.transports.perftest.commands import Device, Measurement
from aibench_lib.worker.transports.perftest.transport import Perftest
from aibench_lib.worker.transports.rows import SAMPLE, STATUSES, Rows
from aibench_lib.worker.transports.transport import Loop, Message, Options, Sender, SendQueue, TransportError

GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "perftest"
SECOND = 1_000_000_000
LOOP = Loop(size_bytes=65536, depth=16, batch=4, offset_ns=0, duration_ns=3 * SECOND, rate_bps=0, echo=False)
BANDWIDTH = SendQueue(peer="h2", qp=1, priority=3, operation="write", loop=LOOP)
LATENCY = replace(BANDWIDTH, loop=replace(LOOP, size_bytes=8, depth=1, batch=1, echo=True))
OPTIONS = Options(host="h1", address="127.0.0.1")
DEVICE = Device(name="rxe1", port=1, gid_index=1, label="soft-roce")


def golden(name):
    return (GOLDEN / f"{name}.txt").read_text(), (GOLDEN / f"{name}.report").read_text()


# What tools print


def test_the_bandwidth_of_a_run_is_in_its_table_whatever_its_unit():
    text, report = golden("write_bw_duration")
    found = output.bandwidth(text)
    assert (found.size_bytes, found.operations, found.bytes_per_second) == (65536, 1568, 32.60 * MIB)
    assert output.bandwidth("", report) == found
    # In 3 s there were 1568 messages of 64 KiB: 1568 / 16 / 3 = 32.67 MiB/s; its "MB" are MiB
    assert found.operations * found.size_bytes / found.bytes_per_second == pytest.approx(3, rel=0.01)
    text, _ = golden("write_bw_gbits")
    assert output.bandwidth(text).bytes_per_second == 0.14e9 / 8
    assert output.bandwidth(golden("read_bw_duration")[0]).operations == 891
    assert output.bandwidth(golden("send_bw_duration")[0]).operations == 16


def test_a_run_without_result_has_no_bandwidth():
    assert output.bandwidth("Couldn't connect to 10.0.0.2:19000\n") is None
    assert output.bandwidth("", '{"results": {"MsgSize": "many"}}') is None
    assert output.bandwidth("---\n #bytes     #iterations    BW peak[MB/sec]    BW average[MB/sec]\n---\n") is None


def test_all_samples_of_a_latency_run_are_read_in_the_order_of_the_messages():
    samples = list(output.samples_us(golden("write_lat_samples")[0]))
    assert len(samples) == 49  # between 50 posts
    assert samples[:3] == [9462.12, 8432.14, 5997.13]
    assert samples[-1] == 5746.93
    assert len(list(output.samples_us(golden("send_lat_samples")[0]))) == 49
    assert len(list(output.samples_us(golden("read_lat_samples")[0]))) == 49
    assert list(output.samples_us("1, 1.5e+06\n2, 0.5\n")) == [1_500_000, 0.5]


def test_the_tools_own_maximum_is_not_the_largest_sample():
    text, report = golden("write_lat_samples")
    samples = sorted(output.samples_us(text))
    stated = output.json_report(report)["results"]["t_max"]
    assert stated == samples[-2] != samples[-1]


@pytest.mark.parametrize("name", [path.stem for path in sorted(GOLDEN.glob("*.report"))])
def test_a_report_that_is_no_json_is_read_like_one_that_is(name):
    text = golden(name)[1]
    with pytest.raises(ValueError):
        json.loads(text)
    found = output.json_report(text)
    assert found["test_info"]["Device"] == "rxe1"
    assert isinstance(found["results"]["n_iterations"], int)
    assert output.json_report(json.dumps(found)) == found


@given(st.text(max_size=300))
def test_no_text_breaks_the_reading_of_it(text):
    output.bandwidth(text, text)
    list(output.samples_us(text))
    assert output.complaint(text)


def test_a_failure_is_told_by_the_line_that_says_it():
    text = "-------\nDevice not recognized to implement inline feature. Disabling it\nCouldn't connect to 10.0.0.2:1\n"
    assert output.complaint(text) == "Couldn't connect to 10.0.0.2:1"
    assert output.complaint(" IB device rxe9 not found\n Unable to find the device\n") == "IB device rxe9 not found"
    assert output.complaint("") == "it said nothing"


# What is asked


def test_a_loop_is_a_bandwidth_run_and_one_with_answers_a_latency_run():
    test = commands.measurement_of(BANDWIDTH, OPTIONS)
    assert (test.tool, test.seconds, test.traffic_class) == ("ib_write_bw", 3, 26 << 2 | 2)
    assert commands.measurement_of(LATENCY, OPTIONS).tool == "ib_write_lat"
    single = replace(LATENCY, operation="read", loop=replace(LATENCY.loop, echo=False))
    assert commands.measurement_of(single, OPTIONS).tool == "ib_read_lat"
    assert commands.measurement_of(replace(BANDWIDTH, operation="send"), OPTIONS).tool == "ib_send_bw"


@pytest.mark.parametrize(
    ("queue", "options", "why"),
    [
        (replace(BANDWIDTH, loop=None, messages=(Message(size_bytes=1, offset_ns=0),)), OPTIONS, "by schedule"),
        (BANDWIDTH, replace(OPTIONS, verify=True), "no payload"),
        (replace(BANDWIDTH, loop=replace(LOOP, rate_bps=10**9)), OPTIONS, "bursts"),
        (replace(BANDWIDTH, loop=replace(LOOP, echo=True)), OPTIONS, "one message at a time"),
        (replace(LATENCY, operation="read"), OPTIONS, "no answer to a READ"),
        (replace(BANDWIDTH, loop=replace(LOOP, duration_ns=SECOND // 2)), OPTIONS, "whole seconds"),
    ],
)
def test_what_perftest_cannot_do_is_refused_with_the_queue_pair_and_the_way_out(queue, options, why):
    with pytest.raises(TransportError, match=why) as refused:
        commands.measurement_of(queue, options)
    assert "queue pair 1 to h2" in str(refused.value)
    assert "another transport" in str(refused.value)


def test_both_ends_call_the_tool_with_the_same_run():
    test = commands.measurement_of(BANDWIDTH, OPTIONS)
    assert Measurement.from_bytes(test.to_bytes()) == test
    line = commands.server(test, DEVICE, 19000, 0)
    assert line[:10] == ["ib_write_bw", "-d", "rxe1", "-i", "1", "-x", "1", "-F", "-p", "19000"]
    assert "--tclass=106" in line
    assert line[-8:] == ["-D", "3", "-f", "0", "-t", "16", "-Q", "4"]
    assert commands.client(test, DEVICE, 19000, 0, "r.json")[-3:] == [
        "--out_json",
        "--out_json_file=r.json",
        "127.0.0.1",
    ]
    assert line[line.index("-u") + 1] == "18"  # soft-RoCE is late on a busy host
    assert "-u" not in commands.server(test, replace(DEVICE, label="real-rdma"), 19000, 0)
    latency = commands.measurement_of(LATENCY, OPTIONS)
    assert commands.client(latency, DEVICE, 1, 500, "")[-4:] == ["-n", "500", "-U", "127.0.0.1"]


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"operation": "rm"}'])
def test_a_sending_end_that_describes_no_run_is_refused(text):
    with pytest.raises(TransportError, match="describes no perftest run"):
        Measurement.from_bytes(text)


def test_an_operation_or_a_tool_that_is_not_there_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TransportError, match="ib_write_bw is not on this host"):
        commands.check_tool(commands.measurement_of(BANDWIDTH, OPTIONS))
    _tool(tmp_path, "ib_write_bw", "echo 'Usage: --tclass'")
    commands.check_tool(commands.measurement_of(BANDWIDTH, OPTIONS))
    with pytest.raises(TransportError, match="no --write_with_imm; ask for the operation write"):
        commands.check_tool(commands.measurement_of(replace(BANDWIDTH, operation="write_with_imm"), OPTIONS))
    _tool(tmp_path, "ib_write_bw", "echo '  --write_with_imm   use write-with-immediate'")
    commands.check_tool(commands.measurement_of(replace(BANDWIDTH, operation="write_with_imm"), OPTIONS))


def test_an_address_of_no_rdma_device_is_refused():
    with pytest.raises(TransportError, match=r"no RDMA device has the address 127\.0\.0\.1"):
        Perftest(OPTIONS).prepare([BANDWIDTH])


# When it was


def test_a_run_began_with_the_last_word_before_a_silence_as_long_as_it_measured():
    words = [0, 900, 950, 1000, 2010, 2020]  # set up until 1000, 1000 of measuring, farewell
    assert relay.began_ns(words, 1000) == 1000
    assert relay.began_ns(words, 1050) == 1000  # the tool rounds what it prints
    assert relay.began_ns(words, 5000) == 2020 - 5000  # no such silence: it ended with the last word
    assert relay.began_ns([], 10) <= time.time_ns()


def test_bytes_are_carried_both_ways_until_somebody_hangs_up():
    tool, near = socket.socketpair()
    far, other = socket.socketpair()
    carried = []
    thread = threading.Thread(target=lambda: carried.extend(relay.carry(near, far, lambda: False)))
    thread.start()
    tool.sendall(b"ping")
    assert other.recv(10) == b"ping"
    other.sendall(b"pong")
    assert tool.recv(10) == b"pong"
    other.close()
    thread.join(5)
    assert len(carried) == 3  # two words, and the end
    for end in (tool, near, far):
        end.close()


# Processes

_SERVER = """
import socket, sys, time
with socket.create_server(("", int(sys.argv[sys.argv.index("-p") + 1]))) as listener:
    one, _ = listener.accept()
    with one:
        one.sendall(one.recv(100))
        one.recv(100)
"""
_CLIENT = """
import socket, sys, time
one = socket.create_connection(("127.0.0.1", int(sys.argv[sys.argv.index("-p") + 1])))
one.sendall(b"ready")
one.recv(100)
time.sleep({seconds})
if "-U" in sys.argv:
    print("#, usec")
    for number in range(1, int(sys.argv[sys.argv.index("-n") + 1])):
        print(f"{{number}}, {{1000 + number}}")
else:
    print(open("{table}").read())
{more}
"""


def _tool(folder, name, script):
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """Make stand-ins for the tools, which meet as those do and print what those have printed."""
    made = tmp_path / "tools"
    made.mkdir()

    def make(seconds, more=""):
        (made / "server.py").write_text(_SERVER)
        table = GOLDEN / "write_bw_duration.txt"
        (made / "client.py").write_text(_CLIENT.format(seconds=seconds, table=table, more=more))
        choose = f'case "$*" in *127.0.0.1*) end=client;; *) end=server;; esac; exec python3 {made}/$end.py "$@"'
        for name in ("ib_write_bw", "ib_write_lat"):
            _tool(made, name, choose)

    monkeypatch.setenv("PATH", f"{made}:{os.environ['PATH']}")
    monkeypatch.setattr(transport, "device_of", lambda options: DEVICE)
    return make


def _trial(queues, seconds):
    """Run both ends in this process; return the rows, what failed, and both ends' transports."""
    blocks, failures = [], []
    sending, receiving = Perftest(OPTIONS), Perftest(replace(OPTIONS, host="h2"))
    addresses = sending.prepare(queues)
    receiving.prepare([])
    accepted = receiving.accept([Sender(host="h1", qp=qp, address=address) for qp, address in addresses.items()])
    sending.join({qp: address for (_, qp), address in accepted.items()})
    t0_ns = time.time_ns()
    rows = Rows(lambda kind, block: blocks.append(block))

    def run(one, own):
        try:
            one.run(t0_ns, t0_ns + int(seconds * SECOND), own)
        except TransportError as error:
            failures.append(str(error))

    other = threading.Thread(target=run, args=(receiving, Rows(lambda kind, block: None)))
    other.start()
    run(sending, rows)
    rows.close()
    other.join(seconds + 10)
    assert not other.is_alive()
    for one in (sending, receiving):
        one.close()
        one.close()
    return t0_ns, [row for block in blocks for row in SAMPLE.iter_unpack(block)], failures


def _tools_running(folder):
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and str(folder) in (process / "cmdline").read_text():
                found.append(process.name)
        except OSError:
            continue
    return found


def test_a_bandwidth_run_is_one_row_with_all_that_was_sent(tools, tmp_path):
    tools(3.0)
    t0_ns, rows, failures = _trial([BANDWIDTH], 20)
    assert not failures
    ((place, operations, size, intended, posted, completed, _, _, status, _),) = rows
    assert (place, operations, size, STATUSES[status]) == (0, 1568, 1568 * 65536, "ok")
    assert intended == t0_ns
    assert posted > t0_ns
    assert (completed - posted) / SECOND == pytest.approx(1568 * 65536 / (32.60 * MIB))
    assert not _tools_running(tmp_path)


def test_a_latency_run_gives_a_row_a_message_with_whole_round_trips(tools):
    tools(0.25)
    queue = replace(LATENCY, loop=replace(LATENCY.loop, duration_ns=4 * SECOND))
    _, rows, failures = _trial([queue], 30)
    assert not failures
    # perftest says half: 1001 us is a round trip of 2002 us; each message is posted when the one before is back
    assert rows[0][5] - rows[0][4] == rows[0][7] - rows[0][4] == 2_002_000
    assert rows[1][4] == rows[0][5]
    assert len(rows) >= 99


def test_a_loop_that_is_over_before_the_tool_is_ready_is_no_result(tools):
    tools(0.3)  # longer than the samples it prints took, so that it is known when it began
    _, rows, failures = _trial([replace(LATENCY, loop=replace(LATENCY.loop, duration_ns=1_000_000))], 5)
    assert rows == []
    assert "ib_write_lat to h2, queue pair 1, was not ready before its time was up; give it more time" in failures


def test_a_tool_that_fails_says_why_and_to_whom(tools):
    tools(0.0, more='print("Failed to create QP"); sys.exit(1)')
    _, rows, failures = _trial([BANDWIDTH], 5)
    assert "ib_write_bw to h2, queue pair 1, failed: Failed to create QP" in failures
    assert rows == []


def test_a_tool_that_does_not_end_is_killed_at_the_deadline_and_its_row_says_so(tools, tmp_path):
    tools(60)
    began = time.monotonic()
    t0_ns, rows, failures = _trial([BANDWIDTH, replace(BANDWIDTH, qp=2)], 2)
    assert time.monotonic() - began < 10
    assert not failures
    assert [(row[0], STATUSES[row[8]], row[3]) for row in rows] == [(0, "timeout", t0_ns), (1, "timeout", t0_ns)]
    assert not _tools_running(tmp_path)


def test_who_has_no_token_starts_no_tool(tools, tmp_path):
    tools(60)
    receiving = Perftest(OPTIONS)
    receiving.prepare([])
    place = json.loads(
        receiving.accept([Sender(host="h1", qp=1, address=commands.measurement_of(BANDWIDTH, OPTIONS).to_bytes())])[
            "h1", 1
        ]
    )
    now_ns = time.time_ns()
    thread = threading.Thread(target=receiving.run, args=(now_ns, now_ns + SECOND, Rows(lambda kind, block: None)))
    thread.start()
    with socket.create_connection((place["address"], place["port"]), timeout=5) as stranger:
        stranger.sendall(relay.HELLO.pack(b"x" * 16, 0))
        assert stranger.recv(1) == b""
        assert not _tools_running(tmp_path)
    thread.join(10)
    assert not thread.is_alive()
    receiving.close()
