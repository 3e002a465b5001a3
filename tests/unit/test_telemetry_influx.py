"""The copy to InfluxDB: line protocol, and the v2 write API as its contract has it."""

import json
import os
import re
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from influxdb_client import Point

from aibench_lib.errors import SpecError
from aibench_lib.telemetry.config import Influx
from aibench_lib.telemetry.influx import InfluxWriter, escape_tag, lines
from aibench_lib.telemetry.measurements import schema

TIME_NS = 1_700_000_000_000_000_001


def queue_rows(count, first=0):
    return pa.Table.from_pylist(
        [
            {"time_ns": TIME_NS + n, "switch": "leaf1", "interface": "Ethernet33", "queue": "3", "transmit_bytes": n}
            for n in range(first, first + count)
        ],
        schema=schema("queue"),
    )


def test_rows_are_lines_with_integer_suffix_nanoseconds_and_without_nulls():
    row = {"switch": "leaf1", "interface": "Ethernet33", "queue": "3", "time_ns": TIME_NS}
    table = pa.Table.from_pylist(
        [{**row, "transmit_bytes": (1 << 63) - 1, "depth_bytes": 0}, {**row, "peak_bytes": 7}, row],
        schema=schema("queue"),
    )
    assert list(lines("queue", table)) == [
        f"queue,switch=leaf1,interface=Ethernet33,queue=3 transmit_bytes=9223372036854775807i,depth_bytes=0i {TIME_NS}",
        f"queue,switch=leaf1,interface=Ethernet33,queue=3 peak_bytes=7i {TIME_NS}",
    ]


def test_truth_values_are_words():
    row = {"switch": "spine 1", "interface": "ethernet-1/1", "time_ns": TIME_NS, "oper_up": False, "in_bytes": 5}
    table = pa.Table.from_pylist([row], schema=schema("interface"))
    assert list(lines("interface", table)) == [
        rf"interface,switch=spine\ 1,interface=ethernet-1/1 in_bytes=5i,oper_up=false {TIME_NS}"
    ]


TAG_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\n\r\t"), min_size=1)


@given(TAG_TEXT)
def test_an_escaped_tag_ends_at_no_separator_of_its_own_and_reads_back(value):
    line = f"queue,interface={escape_tag(value)},queue=3 depth_bytes=1i 1"
    head, _, _ = re.split(r"(?<!\\) ", line)
    _, interface, queue = re.split(r"(?<!\\),", head)
    key, text = re.split(r"(?<!\\)=", interface)
    assert (key, queue) == ("interface", "queue=3")
    read_back = re.sub(r"\\([,= ])", r"\1", text)
    assert read_back == value + (" " if value.endswith("\\") else "")


@given(st.text(min_size=1).filter(lambda text: not text.endswith("\\")))
def test_an_escaped_tag_equals_the_client_librarys(value):
    point = Point("queue").tag("interface", value).field("depth_bytes", 1).to_line_protocol()
    assert point == f"queue,interface={escape_tag(value)} depth_bytes=1i"


class Database(ThreadingHTTPServer):
    """Answers writes with the given statuses, then with 204."""

    def __init__(self, *answers):
        super().__init__(("127.0.0.1", 0), Writes)
        self.answers = list(answers)
        self.asked, self.accepted = [], []
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def end(self):
        self.shutdown()
        self.server_close()
        self.thread.join()


class Writes(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.asked.append((self.path, self.headers["Authorization"], body.count("\n") + 1))
        answer = self.server.answers.pop(0) if self.server.answers else (204, {}, None)
        status, headers, message = answer(body) if callable(answer) else answer
        if status == 204:
            self.server.accepted += body.split("\n")
        content = json.dumps(message).encode() if message else b""
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def database():
    made = []

    def make(*answers):
        made.append(Database(*answers))
        return made[-1]

    yield make
    for server in made:
        server.end()


def write(database, *tables):
    writer = InfluxWriter(Influx(url=database.url, token="t0ken", organisation="lab", bucket="aibench"))
    for table in tables:
        writer.offer("queue", table)
    writer.close()
    return writer


def problem(code, message):
    return {"code": code, "message": message}


def test_a_write_goes_to_the_v2_api_with_token_organisation_bucket_and_precision(database):
    server = database()
    writer = write(server, queue_rows(2))
    ((path, authorization, count),) = server.asked
    parts = urllib.parse.urlsplit(path)
    assert parts.path == "/api/v2/write"
    assert dict(urllib.parse.parse_qsl(parts.query)) == {"org": "lab", "bucket": "aibench", "precision": "ns"}
    assert (authorization, count) == ("Token t0ken", 2)
    assert server.accepted == list(lines("queue", queue_rows(2)))
    assert (writer.written_lines, writer.warnings()) == (2, [])


def test_many_rows_go_in_batches(database):
    server = database()
    writer = write(server, queue_rows(12_000), queue_rows(1, first=12_000))
    assert [count for _, _, count in server.asked] == [5_000, 5_000, 2_000, 1]
    assert writer.written_lines == 12_001


@pytest.mark.parametrize(
    "answer", [(429, {"Retry-After": "0"}, None), (503, {}, None), (503, {"Retry-After": "Tue, 1 Jan"}, None)]
)
def test_a_busy_database_is_asked_again(database, answer):
    server = database(answer, answer)
    writer = write(server, queue_rows(3))
    assert len(server.asked) == 3
    assert (writer.written_lines, writer.warnings()) == (3, [])


def test_retry_after_is_waited_for(database):
    server = database((429, {"Retry-After": "0.3"}, None))
    writer = InfluxWriter(Influx(url=server.url, token="t0ken", organisation="lab", bucket="aibench"))
    begin = time.monotonic()
    writer.offer("queue", queue_rows(1))
    while writer.written_lines == 0:
        assert time.monotonic() < begin + 10
        time.sleep(0.01)
    assert time.monotonic() - begin >= 0.3
    writer.close()


def test_a_batch_that_is_too_large_is_halved(database):
    def too_large(body):
        return (413, {}, problem("request too large", "too large")) if body.count("\n") >= 3 else (204, {}, None)

    server = database(*[too_large] * 20)
    writer = write(server, queue_rows(10))
    assert sorted(server.accepted) == sorted(lines("queue", queue_rows(10)))
    assert (writer.written_lines, writer.warnings()) == (10, [])


@pytest.mark.parametrize(
    ("status", "message", "shown"),
    [
        (400, problem("invalid", "unable to parse 'x': bad"), "status 400: unable to parse 'x': bad"),
        (401, problem("unauthorized", "unauthorized access"), "status 401: unauthorized access"),
        (404, problem("not found", 'bucket "aibench" not found'), 'status 404: bucket "aibench" not found'),
    ],
)
def test_a_refusal_is_not_repeated_and_said_once(database, status, message, shown):
    answer = (status, {"Content-Type": "application/json"}, message)
    server = database(answer, answer)
    writer = write(server, queue_rows(3), queue_rows(4))
    assert len(server.asked) == 2
    assert writer.warnings() == [
        f"{server.url}: {shown}; 7 lines were not copied to InfluxDB (the run's telemetry folder has them)"
    ]


def test_a_database_that_stays_busy_is_given_up_after_some_attempts(database):
    server = database(*[(503, {}, None)] * 4)
    writer = write(server, queue_rows(3))
    assert len(server.asked) == 4
    assert "status 503" in writer.warnings()[0]


def test_a_dead_database_is_said_once_and_holds_nothing_up(database):
    server = database()
    server.end()
    writer = write(server, queue_rows(3), queue_rows(4))
    (warning,) = writer.warnings()
    assert "does not answer" in warning
    assert "7 lines were not copied" in warning


def test_an_address_that_is_none_is_refused():
    with pytest.raises(SpecError, match="influxdb_url: 'localhost:8086' is not an http"):
        Influx(url="localhost:8086", token="", organisation="", bucket="")


def test_the_token_is_not_printed():
    assert "t0ken" not in repr(Influx(url="http://localhost", token="t0ken", organisation="", bucket=""))


@pytest.fixture
def victoria(tmp_path):
    program = shutil.which("victoria-metrics")
    if program is None:
        pytest.skip("victoria-metrics is not installed (apt-get install victoria-metrics)")
    port = 20_000 + os.getpid() % 20_000
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen(
        [program, f"-httpListenAddr=127.0.0.1:{port}", f"-storageDataPath={tmp_path}", "-retentionPeriod=100y"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            wait_for_health(url, process)
            yield url
        finally:
            process.terminate()


def wait_for_health(url, process):
    last = time.monotonic() + 60
    while True:
        assert process.poll() is None, f"the database has ended with status {process.returncode}"
        try:
            urllib.request.urlopen(f"{url}/health").close()
        except urllib.error.URLError:
            assert time.monotonic() < last, f"the database does not answer at {url}"
            time.sleep(0.05)
        else:
            return


def test_a_real_database_takes_the_lines_and_gives_the_values_back(victoria):
    writer = InfluxWriter(Influx(url=victoria, token="any", organisation="lab", bucket="aibench"))
    now_ns = time.time_ns() // 1_000_000 * 1_000_000
    rows = [
        {
            "time_ns": now_ns + n * 1_000_000,
            "switch": "leaf1",
            "interface": "ethernet 1,1",
            "queue": "3",
            "depth_bytes": n,
        }
        for n in range(100)
    ]
    writer.offer("queue", pa.Table.from_pylist(rows, schema=schema("queue")))
    writer.close()
    assert (writer.written_lines, writer.warnings()) == (100, [])
    found = json.loads(exported(victoria, "queue_depth_bytes"))
    assert found["metric"]["interface"] == "ethernet 1,1"
    assert found["values"] == list(range(100))


def exported(url, metric):
    """Everything a database has of one metric, as soon as it can be read (its index is written with a delay)."""
    query = urllib.parse.urlencode({"match[]": metric, "end": "2100-01-01T00:00:00Z"})
    for _ in range(100):
        urllib.request.urlopen(f"{url}/internal/force_flush").close()
        with urllib.request.urlopen(f"{url}/api/v1/export?{query}") as reply:
            if text := reply.read():
                return text
        time.sleep(0.1)
    return pytest.fail(f"{url} shows nothing of {metric}")
