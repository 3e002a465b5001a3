"""Polled documents: what `tc` and `ip` print, as the records of any other switch."""

import json

import pytest

from aibench_lib.errors import SpecError
from aibench_lib.platforms import load_platform
from aibench_lib.telemetry.documents import parse_document, records
from aibench_lib.telemetry.polled import poll_command
from aibench_lib.telemetry.progress import lines_of
from aibench_lib.telemetry.subscription import Subscription

POLLED = load_platform("frr_linux").polled[0]
LINK = {
    "ifname": "swp1",
    "operstate": "UP",
    "stats64": {
        "rx": {"bytes": 1 << 40, "packets": 7, "dropped": 1},
        "tx": {"bytes": 600, "packets": 6, "dropped": 2},
    },
}
LIMIT = {
    "kind": "tbf",
    "handle": "1ab:",
    "dev": "swp1",
    "root": True,
    "bytes": 600,
    "packets": 6,
    "drops": 2,
    "backlog": 90,
}
RED = {"kind": "red", "handle": "a1:", "dev": "swp1", "parent": "1ab:1", "bytes": 600, "packets": 6, "marked": 4}
DOCUMENT = {
    "time_ns": 1_795_533_261_816_761_196,
    "queues": [{"kind": "noqueue", "dev": "lo", "root": True}, LIMIT, RED],
    "links": [{"ifname": "mgmt"}, LINK],
}


def asked(number, **changed):
    sample = POLLED.samples[number]
    values = {
        "host": "leaf1",
        "address": "198.18.254.1",
        "port": 22,
        "username": "root",
        "password": "",
        "path": sample.list,
        "command": poll_command(POLLED.command, 200_000_000),
        "where": {**sample.where, sample.interface: ["swp1", "swp2"]},
        "mode": "sample",
        "interval_ns": 200_000_000,
        "measurement": sample.measurement,
        "tags": {"interface": sample.interface},
        "fixed": {"queue": "0"} if sample.measurement == "queue" else {},
        "leaves": sample.leaves,
        "true_when": sample.true_when,
    }
    return Subscription(**{**values, **changed})


def read(number, document=None):
    time_ns, parsed = parse_document(json.dumps(document or DOCUMENT) + "\n")
    return records(asked(number), time_ns, parsed)


def test_the_root_of_a_port_tells_of_its_queue():
    (record,) = read(0)
    assert record.time_ns == DOCUMENT["time_ns"]
    assert record.tags == {"switch": "leaf1", "interface": "swp1", "queue": "0"}
    assert record.fields == {"transmit_packets": 6, "transmit_bytes": 600, "dropped_packets": 2, "depth_bytes": 90}


def test_red_tells_of_marks_wherever_it_stands():
    (record,) = read(1)
    assert record.tags["interface"] == "swp1"
    assert record.fields == {"ecn_marked_packets": 4}


def test_a_link_tells_of_its_port_in_64_bits():
    (record,) = read(2)
    assert record.tags == {"switch": "leaf1", "interface": "swp1"}
    assert record.fields == {
        "in_bytes": 1 << 40,
        "out_bytes": 600,
        "in_packets": 7,
        "out_packets": 6,
        "in_discards": 1,
        "out_discards": 2,
        "oper_up": True,
    }


def test_a_port_whose_link_is_down_is_not_up():
    (record,) = read(2, {**DOCUMENT, "links": [{**LINK, "operstate": "LOWERLAYERDOWN"}]})
    assert record.fields["oper_up"] is False


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("Terminated", "Expecting value"),
        ("[]", "no JSON object"),
        ('{"queues": []}', "whole number, found None"),
        ('{"time_ns": 0}', "has no time_ns"),
    ],
)
def test_what_is_no_document_is_told(text, complaint):
    with pytest.raises(ValueError, match=complaint):
        parse_document(text)


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ({"time_ns": 1}, "has no list 'links'"),
        ({"time_ns": 1, "links": [{"ifname": "swp1"}]}, "an entry has no stats64/rx/bytes"),
        ({"time_ns": 1, "links": [{**LINK, "stats64": {**LINK["stats64"], "rx": {"bytes": "x"}}}]}, "in"),
    ],
)
def test_an_entry_that_cannot_be_read_is_told(document, complaint):
    with pytest.raises(ValueError, match=complaint):
        records(asked(2), 1, document)


def test_what_one_command_prints_is_one_stream_and_silence_of_two_intervals_is_a_gap():
    lines = lines_of([asked(number) for number in range(3)])
    assert [len(line.subscriptions) for line in lines] == [3]
    assert {one.longest_silence_ns for one in lines[0].subscriptions} == {400_000_000}
    assert all(one.is_expected for one in lines[0].subscriptions)


def test_a_command_without_a_place_for_the_interval_is_refused():
    with pytest.raises(SpecError, match=r"does not hold \{interval_seconds\}"):
        poll_command("date", 1)
    assert "sleep 0.200;" in poll_command(POLLED.command, 200_000_000)
