"""A virtual lab of the default inventory, and the clients that the tests of this folder speak to it with."""

import dataclasses
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import netmiko
from pygnmi.client import gNMIclient
from pygnmi.spec.v080 import gnmi_pb2, gnmi_pb2_grpc

from aibench_lib.model import Port
from aibench_lib.run.plan import Profile
from aibench_lib.run.subscriptions import subscriptions
from aibench_lib.telemetry.subscription import Subscription
from aibench_lib.virtual_lab.gnmi.paths import parse, to_proto
from aibench_lib.virtual_lab.inventory import load_lab
from aibench_lib.virtual_lab.lab import VirtualLab
from aibench_lib.worker.agents import Agent

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
from simulated_inventory import LAB

INVENTORY = Path(__file__).parents[2] / "inventory" / "simulated"
QUEUE = "/qos/interfaces/interface[interface-id={}]/output/queues/queue[name=3]/state"
COUNTERS = "/interfaces/interface[name={}]/state/counters"
LANZ = "/arista/lanz/congestion-record/state"


class Fabric:
    """A lab that is up, and how to reach it."""

    def __init__(self, lab: VirtualLab, state: Path) -> None:
        self.lab = lab
        self.state = state
        self.password = (state / "password").read_text()

    def cli(self, switch: str, **overrides):
        """Return the stock netmiko driver's connection to a switch, its host key checked."""
        options = {
            "device_type": "arista_eos",
            "host": self.lab.addresses[switch],
            "port": 2222,
            "username": "admin",
            "password": self.password,
            "ssh_strict": True,
            "system_host_keys": False,
            "alt_host_keys": True,
            "alt_key_file": str(self.state / "known_hosts"),
        }
        return netmiko.ConnectHandler(**{**options, **overrides})

    def gnmi(self, switch: str, port: int, **overrides):
        """Return pygnmi's client of a switch."""
        options = {"username": "admin", "password": self.password, "path_root": str(self.state / "ca.pem")}
        return gNMIclient(target=(self.lab.addresses[switch], port), no_qos_marking=True, **{**options, **overrides})

    @contextmanager
    def stub(self, switch: str, port: int):
        """Yield the bare gNMI stub of a switch."""
        credentials = grpc.ssl_channel_credentials((self.state / "ca.pem").read_bytes())
        with grpc.secure_channel(f"{self.lab.addresses[switch]}:{port}", credentials) as channel:
            yield gnmi_pb2_grpc.gNMIStub(channel)

    @property
    def metadata(self):
        """What every gNMI call must carry."""
        return [("username", "admin"), ("password", self.password)]

    def agents(self, *hosts: str) -> list[Agent]:
        """Return where hosts' agents are."""
        files = {"ca": self.state / "ca.pem", "cert": self.state / "client.pem", "key": self.state / "client.key"}
        return [Agent(host=host, address=self.lab.addresses[host], port=50051, **files) for host in hosts]

    def subscriptions(self, profile: Profile) -> list[Subscription]:
        """Return what a run subscribes to that observes one port of leaf1."""
        reached = {"username": "admin", "password": self.password, "ca": str(self.state / "ca.pem")}
        switches = {
            name: dataclasses.replace(target, address=self.lab.addresses[name], **reached)
            for name, target in LAB.switches.items()
        }
        return subscriptions(dataclasses.replace(LAB, switches=switches), [Port("leaf1", "Ethernet33")], profile)

    def configure(self, *lines: str, switch: str = "leaf1") -> None:
        """Enter configuration lines by the CLI."""
        with self.cli(switch) as session:
            session.enable()
            session.send_config_set(list(lines), error_pattern="% ")


def subscribe_request(*subscriptions, mode=gnmi_pb2.SubscriptionList.STREAM, encoding=gnmi_pb2.PROTO):
    """Return the first message of a Subscribe call."""
    wanted = gnmi_pb2.SubscriptionList(subscription=subscriptions, mode=mode, encoding=encoding)
    return gnmi_pb2.SubscribeRequest(subscribe=wanted)


def sample(path: str, interval_ns: int, **options):
    """Return one SAMPLE subscription."""
    return gnmi_pb2.Subscription(
        path=to_proto(parse(path)), mode=gnmi_pb2.SAMPLE, sample_interval=interval_ns, **options
    )


@contextmanager
def fabric(state: Path, network: str, **options) -> Iterator[Fabric]:
    """Bring a lab of the default inventory up and down."""
    lab = VirtualLab(load_lab(INVENTORY), network, state, **options)
    lab.start()
    try:
        yield Fabric(lab, state)
    finally:
        lab.stop()
