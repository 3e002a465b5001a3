from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DescribeRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Description(_message.Message):
    __slots__ = ("host", "version", "lab", "transport", "clock", "now_ns", "nic", "firmware", "clock_id", "probe_port", "probe_token", "transports")
    HOST_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    LAB_FIELD_NUMBER: _ClassVar[int]
    TRANSPORT_FIELD_NUMBER: _ClassVar[int]
    CLOCK_FIELD_NUMBER: _ClassVar[int]
    NOW_NS_FIELD_NUMBER: _ClassVar[int]
    NIC_FIELD_NUMBER: _ClassVar[int]
    FIRMWARE_FIELD_NUMBER: _ClassVar[int]
    CLOCK_ID_FIELD_NUMBER: _ClassVar[int]
    PROBE_PORT_FIELD_NUMBER: _ClassVar[int]
    PROBE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TRANSPORTS_FIELD_NUMBER: _ClassVar[int]
    host: str
    version: str
    lab: str
    transport: str
    clock: str
    now_ns: int
    nic: str
    firmware: str
    clock_id: str
    probe_port: int
    probe_token: bytes
    transports: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, host: _Optional[str] = ..., version: _Optional[str] = ..., lab: _Optional[str] = ..., transport: _Optional[str] = ..., clock: _Optional[str] = ..., now_ns: _Optional[int] = ..., nic: _Optional[str] = ..., firmware: _Optional[str] = ..., clock_id: _Optional[str] = ..., probe_port: _Optional[int] = ..., probe_token: _Optional[bytes] = ..., transports: _Optional[_Iterable[str]] = ...) -> None: ...

class Transfer(_message.Message):
    __slots__ = ("peer", "qp", "size_bytes", "offset_ns", "priority", "operation")
    PEER_FIELD_NUMBER: _ClassVar[int]
    QP_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    OFFSET_NS_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    peer: str
    qp: int
    size_bytes: int
    offset_ns: int
    priority: int
    operation: str
    def __init__(self, peer: _Optional[str] = ..., qp: _Optional[int] = ..., size_bytes: _Optional[int] = ..., offset_ns: _Optional[int] = ..., priority: _Optional[int] = ..., operation: _Optional[str] = ...) -> None: ...

class Stream(_message.Message):
    __slots__ = ("peer", "qp", "size_bytes", "depth", "batch", "offset_ns", "duration_ns", "priority", "operation", "rate_bps", "echo")
    PEER_FIELD_NUMBER: _ClassVar[int]
    QP_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    OFFSET_NS_FIELD_NUMBER: _ClassVar[int]
    DURATION_NS_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    RATE_BPS_FIELD_NUMBER: _ClassVar[int]
    ECHO_FIELD_NUMBER: _ClassVar[int]
    peer: str
    qp: int
    size_bytes: int
    depth: int
    batch: int
    offset_ns: int
    duration_ns: int
    priority: int
    operation: str
    rate_bps: int
    echo: bool
    def __init__(self, peer: _Optional[str] = ..., qp: _Optional[int] = ..., size_bytes: _Optional[int] = ..., depth: _Optional[int] = ..., batch: _Optional[int] = ..., offset_ns: _Optional[int] = ..., duration_ns: _Optional[int] = ..., priority: _Optional[int] = ..., operation: _Optional[str] = ..., rate_bps: _Optional[int] = ..., echo: _Optional[bool] = ...) -> None: ...

class PrepareRequest(_message.Message):
    __slots__ = ("trial", "transfers", "seed", "streams", "transport", "verify", "trigger")
    TRIAL_FIELD_NUMBER: _ClassVar[int]
    TRANSFERS_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    STREAMS_FIELD_NUMBER: _ClassVar[int]
    TRANSPORT_FIELD_NUMBER: _ClassVar[int]
    VERIFY_FIELD_NUMBER: _ClassVar[int]
    TRIGGER_FIELD_NUMBER: _ClassVar[int]
    trial: str
    transfers: _containers.RepeatedCompositeFieldContainer[Transfer]
    seed: int
    streams: _containers.RepeatedCompositeFieldContainer[Stream]
    transport: str
    verify: bool
    trigger: bool
    def __init__(self, trial: _Optional[str] = ..., transfers: _Optional[_Iterable[_Union[Transfer, _Mapping]]] = ..., seed: _Optional[int] = ..., streams: _Optional[_Iterable[_Union[Stream, _Mapping]]] = ..., transport: _Optional[str] = ..., verify: _Optional[bool] = ..., trigger: _Optional[bool] = ...) -> None: ...

class Endpoint(_message.Message):
    __slots__ = ("peer", "qp", "address")
    PEER_FIELD_NUMBER: _ClassVar[int]
    QP_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    peer: str
    qp: int
    address: bytes
    def __init__(self, peer: _Optional[str] = ..., qp: _Optional[int] = ..., address: _Optional[bytes] = ...) -> None: ...

class Prepared(_message.Message):
    __slots__ = ("endpoints", "now_ns", "trigger_address")
    ENDPOINTS_FIELD_NUMBER: _ClassVar[int]
    NOW_NS_FIELD_NUMBER: _ClassVar[int]
    TRIGGER_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    endpoints: _containers.RepeatedCompositeFieldContainer[Endpoint]
    now_ns: int
    trigger_address: str
    def __init__(self, endpoints: _Optional[_Iterable[_Union[Endpoint, _Mapping]]] = ..., now_ns: _Optional[int] = ..., trigger_address: _Optional[str] = ...) -> None: ...

class ConnectRequest(_message.Message):
    __slots__ = ("trial", "senders")
    TRIAL_FIELD_NUMBER: _ClassVar[int]
    SENDERS_FIELD_NUMBER: _ClassVar[int]
    trial: str
    senders: _containers.RepeatedCompositeFieldContainer[Endpoint]
    def __init__(self, trial: _Optional[str] = ..., senders: _Optional[_Iterable[_Union[Endpoint, _Mapping]]] = ...) -> None: ...

class Connected(_message.Message):
    __slots__ = ("now_ns", "endpoints")
    NOW_NS_FIELD_NUMBER: _ClassVar[int]
    ENDPOINTS_FIELD_NUMBER: _ClassVar[int]
    now_ns: int
    endpoints: _containers.RepeatedCompositeFieldContainer[Endpoint]
    def __init__(self, now_ns: _Optional[int] = ..., endpoints: _Optional[_Iterable[_Union[Endpoint, _Mapping]]] = ...) -> None: ...

class JoinRequest(_message.Message):
    __slots__ = ("trial", "receivers")
    TRIAL_FIELD_NUMBER: _ClassVar[int]
    RECEIVERS_FIELD_NUMBER: _ClassVar[int]
    trial: str
    receivers: _containers.RepeatedCompositeFieldContainer[Endpoint]
    def __init__(self, trial: _Optional[str] = ..., receivers: _Optional[_Iterable[_Union[Endpoint, _Mapping]]] = ...) -> None: ...

class Joined(_message.Message):
    __slots__ = ("now_ns",)
    NOW_NS_FIELD_NUMBER: _ClassVar[int]
    now_ns: int
    def __init__(self, now_ns: _Optional[int] = ...) -> None: ...

class RunRequest(_message.Message):
    __slots__ = ("trial", "t0_ns", "participants", "timeout_ns", "trigger_to", "await_trigger", "trigger_token")
    TRIAL_FIELD_NUMBER: _ClassVar[int]
    T0_NS_FIELD_NUMBER: _ClassVar[int]
    PARTICIPANTS_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_NS_FIELD_NUMBER: _ClassVar[int]
    TRIGGER_TO_FIELD_NUMBER: _ClassVar[int]
    AWAIT_TRIGGER_FIELD_NUMBER: _ClassVar[int]
    TRIGGER_TOKEN_FIELD_NUMBER: _ClassVar[int]
    trial: str
    t0_ns: int
    participants: int
    timeout_ns: int
    trigger_to: _containers.RepeatedScalarFieldContainer[str]
    await_trigger: bool
    trigger_token: bytes
    def __init__(self, trial: _Optional[str] = ..., t0_ns: _Optional[int] = ..., participants: _Optional[int] = ..., timeout_ns: _Optional[int] = ..., trigger_to: _Optional[_Iterable[str]] = ..., await_trigger: _Optional[bool] = ..., trigger_token: _Optional[bytes] = ...) -> None: ...

class SampleBatch(_message.Message):
    __slots__ = ("arrow", "finished_ns", "nic_growth", "method", "simulated_ns", "skipped_ns", "started_ns", "started_last_ns", "receipts", "told_ns", "qp_states")
    class NicGrowthEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class QpStatesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ARROW_FIELD_NUMBER: _ClassVar[int]
    FINISHED_NS_FIELD_NUMBER: _ClassVar[int]
    NIC_GROWTH_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    SIMULATED_NS_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_NS_FIELD_NUMBER: _ClassVar[int]
    STARTED_NS_FIELD_NUMBER: _ClassVar[int]
    STARTED_LAST_NS_FIELD_NUMBER: _ClassVar[int]
    RECEIPTS_FIELD_NUMBER: _ClassVar[int]
    TOLD_NS_FIELD_NUMBER: _ClassVar[int]
    QP_STATES_FIELD_NUMBER: _ClassVar[int]
    arrow: bytes
    finished_ns: int
    nic_growth: _containers.ScalarMap[str, int]
    method: str
    simulated_ns: int
    skipped_ns: int
    started_ns: int
    started_last_ns: int
    receipts: bytes
    told_ns: int
    qp_states: _containers.ScalarMap[str, str]
    def __init__(self, arrow: _Optional[bytes] = ..., finished_ns: _Optional[int] = ..., nic_growth: _Optional[_Mapping[str, int]] = ..., method: _Optional[str] = ..., simulated_ns: _Optional[int] = ..., skipped_ns: _Optional[int] = ..., started_ns: _Optional[int] = ..., started_last_ns: _Optional[int] = ..., receipts: _Optional[bytes] = ..., told_ns: _Optional[int] = ..., qp_states: _Optional[_Mapping[str, str]] = ...) -> None: ...

class InspectRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Inspection(_message.Message):
    __slots__ = ("facts",)
    class FactsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    FACTS_FIELD_NUMBER: _ClassVar[int]
    facts: _containers.ScalarMap[str, str]
    def __init__(self, facts: _Optional[_Mapping[str, str]] = ...) -> None: ...

class HoldRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Held(_message.Message):
    __slots__ = ("lease_ns",)
    LEASE_NS_FIELD_NUMBER: _ClassVar[int]
    lease_ns: int
    def __init__(self, lease_ns: _Optional[int] = ...) -> None: ...

class CountersRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CounterValues(_message.Message):
    __slots__ = ("values", "time_ns")
    class ValuesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    VALUES_FIELD_NUMBER: _ClassVar[int]
    TIME_NS_FIELD_NUMBER: _ClassVar[int]
    values: _containers.ScalarMap[str, int]
    time_ns: int
    def __init__(self, values: _Optional[_Mapping[str, int]] = ..., time_ns: _Optional[int] = ...) -> None: ...

class StopRequest(_message.Message):
    __slots__ = ("trial",)
    TRIAL_FIELD_NUMBER: _ClassVar[int]
    trial: str
    def __init__(self, trial: _Optional[str] = ...) -> None: ...

class Stopped(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StormRequest(_message.Message):
    __slots__ = ("host", "act", "priority", "duration_ns")
    HOST_FIELD_NUMBER: _ClassVar[int]
    ACT_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    DURATION_NS_FIELD_NUMBER: _ClassVar[int]
    host: str
    act: str
    priority: int
    duration_ns: int
    def __init__(self, host: _Optional[str] = ..., act: _Optional[str] = ..., priority: _Optional[int] = ..., duration_ns: _Optional[int] = ...) -> None: ...

class StormState(_message.Message):
    __slots__ = ("active", "until_ns", "now_ns")
    ACTIVE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_NS_FIELD_NUMBER: _ClassVar[int]
    NOW_NS_FIELD_NUMBER: _ClassVar[int]
    active: bool
    until_ns: int
    now_ns: int
    def __init__(self, active: _Optional[bool] = ..., until_ns: _Optional[int] = ..., now_ns: _Optional[int] = ...) -> None: ...
