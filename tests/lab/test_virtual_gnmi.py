"""The virtual lab's switches as pygnmi and bare gNMI stubs see them."""

import grpc
import pytest
from pygnmi.client import gNMIException
from pygnmi.spec.v080 import gnmi_pb2
from virtual_fabric import COUNTERS, QUEUE, fabric, sample, subscribe_request

from aibench_lib.virtual_lab.gnmi.paths import from_proto, parse, text, to_proto

PROFILE = "/qos/buffer-management/queue-management-profile[name=rocev2]"
SLOPE = f"{PROFILE}/wred/wred-slope[traffic-type=all][drop-probability=all][enable-ecn=true]"
BINDING = "/qos/interfaces/interface[interface-id=ethernet-1/1]/output/queues/queue[queue-name=q3]"
STEP = {"min-threshold": 100_000, "max-threshold": 100_000, "max-drop-probability-percent": 100, "slope-enabled": True}


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with fabric(tmp_path_factory.mktemp("lab"), "127.102") as running:
        yield running


@pytest.fixture
def spine1(lab):
    with lab.gnmi("spine1", 57400) as client:
        yield client


def configured(client, path):
    [notification] = client.get(path=[path], encoding="json_ietf", datatype="config")["notification"]
    return {update["path"]: update["val"] for update in notification.get("update", [])}


def first_set(stub, lab, *subscriptions, **options):
    """Return the messages of a stream before its sync_response."""
    call = stub.Subscribe(iter([subscribe_request(*subscriptions, **options)]), metadata=lab.metadata)
    messages = []
    for message in call:
        if message.sync_response:
            call.cancel()
            break
        messages.append(message.update)
    return messages


def test_capabilities_name_models_and_encodings(spine1):
    capabilities = spine1.capabilities()
    assert "srl_nokia-qos" in [model["name"] for model in capabilities["supported_models"]]
    assert capabilities["supported_encodings"] == ["json", "proto", "json_ietf"]


def test_what_is_set_can_be_read_back_and_restored(spine1):
    before = configured(spine1, "/qos")
    spine1.set(update=[(SLOPE, STEP), (BINDING, {"queue-management-profile": "rocev2"})], encoding="json_ietf")
    [slope] = configured(spine1, SLOPE).values()
    assert slope.items() >= STEP.items()
    [bound] = configured(spine1, f"{BINDING}/queue-management-profile").values()
    assert bound == "rocev2"
    spine1.set(replace=[("/qos", before["qos"])], encoding="json_ietf")
    assert configured(spine1, "/qos") == before


def test_delete_removes_a_subtree_and_deleting_nothing_is_no_error(spine1):
    spine1.set(update=[(SLOPE, STEP)], encoding="json_ietf")
    spine1.set(delete=[f"{PROFILE}/wred"], encoding="json_ietf")
    assert configured(spine1, f"{PROFILE}/wred") == {}
    spine1.set(delete=[f"{PROFILE}/wred"], encoding="json_ietf")


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("/qos/quality", {}, "no element 'quality'"),
        (PROFILE, {"wred": {"slope": []}}, "no element 'slope'"),
        (SLOPE, {"min-threshold": "many"}, "expected a number"),
        (SLOPE, {"min-threshold": 1 << 64}, "expected a number in 0..18446744073709551615"),
        (SLOPE, {"max-drop-probability-percent": 101}, "expected a number in 0..100"),
        (SLOPE, {"min-threshold": 2, "max-threshold": 1}, "must not exceed"),
        (
            SLOPE,
            {"min-threshold": 2, "max-threshold-percent": 1},
            "percentage and absolute values cannot be configured together",
        ),
        (BINDING, {"queue-management-profile": "nobody"}, "no queue-management-profile with name 'nobody'"),
        (BINDING.replace("1/1", "1/9"), {}, "there is no interface 'ethernet-1/9'"),
    ],
)
def test_a_change_that_the_schema_forbids_is_refused_whole(spine1, path, value, reason):
    before = configured(spine1, "/")
    with pytest.raises(gNMIException, match=reason):
        spine1.set(update=[(PROFILE, {"weight-factor": 7}), (path, value)], encoding="json_ietf")
    assert configured(spine1, "/") == before


def test_sets_are_logged_accepted_or_not(lab, spine1):
    seen = len(lab.lab.writes)
    configured(spine1, "/qos")
    assert lab.lab.writes[seen:] == []
    with pytest.raises(gNMIException):
        spine1.set(update=[("/qos/quality", {})], encoding="json_ietf")
    assert lab.lab.writes[seen:] == [("spine1", "update /qos/quality")]


def test_a_wrong_password_is_unauthenticated(lab):
    with pytest.raises(gNMIException, match="wrong password"), lab.gnmi("spine1", 57400, password="guess"):
        pass


def test_an_eos_switch_refuses_set(lab):
    with lab.stub("leaf1", 6030) as stub, pytest.raises(grpc.RpcError) as error:
        stub.Set(gnmi_pb2.SetRequest(delete=[to_proto(parse("/qos"))]), metadata=lab.metadata)
    assert error.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert lab.lab.writes[-1] == ("leaf1", "delete /qos")


@pytest.mark.parametrize(("encoding", "kind"), [(gnmi_pb2.PROTO, "uint_val"), (gnmi_pb2.JSON_IETF, "json_ietf_val")])
def test_once_sends_every_leaf_of_every_entry_and_ends(lab, encoding, kind):
    request = subscribe_request(sample(QUEUE.format("*"), 0), mode=gnmi_pb2.SubscriptionList.ONCE, encoding=encoding)
    with lab.stub("leaf1", 6030) as stub:
        *updates, sync = stub.Subscribe(iter([request]), metadata=lab.metadata)
    assert sync.sync_response
    assert len(updates) == 35
    assert {text(from_proto(message.update.prefix)) for message in updates} >= {QUEUE.format("Ethernet33")}
    leaves = [update.path.elem[0].name for update in updates[0].update.update]
    assert leaves == ["transmit-pkts", "transmit-octets", "dropped-pkts", "dropped-octets", "ecn-marked-pkts"]
    assert {update.val.WhichOneof("value") for update in updates[0].update.update} == {kind}


def test_state_can_be_got(lab):
    with lab.gnmi("leaf1", 6030) as client:
        path = COUNTERS.format("Ethernet33")
        [notification] = client.get(path=[path], encoding="json_ietf", datatype="state")["notification"][1:]
    assert {update["path"].rpartition("/")[2] for update in notification["update"]} == {
        "in-octets", "out-octets", "in-pkts", "out-pkts", "in-discards", "out-discards",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("subscription", "options", "code"),
    [
        (sample("/qos/quality", 1_000_000), {}, grpc.StatusCode.INVALID_ARGUMENT),
        (sample(COUNTERS.format("*"), 1_500), {}, grpc.StatusCode.INVALID_ARGUMENT),
        (
            sample(COUNTERS.format("*"), 0),
            {"mode": gnmi_pb2.SubscriptionList.POLL},
            grpc.StatusCode.UNIMPLEMENTED,
        ),
        (sample(COUNTERS.format("*"), 0), {"encoding": gnmi_pb2.ASCII}, grpc.StatusCode.UNIMPLEMENTED),
        (
            gnmi_pb2.Subscription(path=to_proto(parse(COUNTERS.format("*"))), mode=gnmi_pb2.ON_CHANGE),
            {},
            grpc.StatusCode.INVALID_ARGUMENT,
        ),
    ],
)
def test_a_subscription_that_cannot_be_served_is_refused(lab, subscription, options, code):
    with lab.stub("leaf1", 6030) as stub, pytest.raises(grpc.RpcError) as error:
        first_set(stub, lab, subscription, **options)
    assert error.value.code() == code


def test_queues_of_eos_have_no_length_leaves(lab):
    with lab.stub("leaf1", 6030) as stub, pytest.raises(grpc.RpcError) as error:
        first_set(stub, lab, sample(f"{QUEUE.format('*')}/max-queue-len", 1_000_000))
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_a_shut_interface_is_told_at_both_ends_of_its_link(lab):
    wanted = gnmi_pb2.Subscription(
        path=to_proto(parse("/interface[name=ethernet-1/1]/oper-state")), mode=gnmi_pb2.ON_CHANGE
    )
    with lab.stub("spine1", 57400) as stub:
        call = stub.Subscribe(iter([subscribe_request(wanted)]), metadata=lab.metadata)
        states = (message.update.update[0].val.string_val for message in call if not message.sync_response)
        assert next(states) == "up"
        lab.configure("interface Ethernet49", "shutdown")
        assert next(states) == "down"
        lab.configure("interface Ethernet49", "no shutdown")
        assert next(states) == "up"
        call.cancel()


def test_all_of_an_interface_can_be_got_configuration_and_state(spine1):
    notifications = spine1.get(path=["/interface[name=ethernet-1/1]"], encoding="json_ietf")["notification"]
    values = {update["path"]: update["val"] for part in notifications for update in part.get("update", [])}
    assert values["interface[name=ethernet-1/1]"]["admin-state"] == "enable"
    assert values["interface[name=ethernet-1/1]/oper-state"] == "up"
    assert values["interface[name=ethernet-1/1]/statistics/in-octets"] == "0", "64 bits travel as a string"


def test_a_path_that_the_switch_does_not_have_cannot_be_got(spine1):
    with pytest.raises(gNMIException, match="not in the schema"):
        spine1.get(path=["/qos/quality"], encoding="json_ietf")
