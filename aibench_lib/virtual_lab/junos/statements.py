"""The statements of the simulated Junos, in the order in which a configuration shows them.

Syntax as the vendor's CLI reference for QFX documents it. ``<kind>`` is a leaf's value, ``<+kind>`` one of several
values, ``<*kind>`` the key of a list. A kind is a range, a choice, or one of the patterns of the schema.
"""

_WATCHDOG = "class-of-service congestion-notification-profile <*word> pfc-watchdog"
_NOTIFICATION = "class-of-service congestion-notification-profile <*word>"
_SCHEDULER = "class-of-service schedulers <*word>"
_SHARED = "class-of-service shared-buffer"
_HASH = "forwarding-options enhanced-hash-key"
_GRPC = "system services extension-service request-response grpc"
_LEVELS = "low|medium-low|medium-high|high|any"

STATEMENTS = (
    "version <word>",
    "system host-name <word>",
    "system services ssh",
    f"{_GRPC} clear-text address <address>",
    f"{_GRPC} clear-text port <1..65535>",
    f"{_GRPC} ssl port <1..65535>",
    f"{_GRPC} ssl local-certificate <word>",
    f"{_GRPC} max-connections <1..100>",
    f"{_GRPC} skip-authentication",
    "system services extension-service notification allow-clients address <+address/length>",
    "chassis fpc <*0..7> traffic-manager buffer-monitor-enable",
    "interfaces <*interface> description <text>",
    "interfaces <*interface> disable",
    "interfaces <*interface> mtu <256..16000>",
    "interfaces <*interface> unit <*0..16385> description <text>",
    "interfaces <*interface> unit <*0..16385> family inet mtu <256..16000>",
    "interfaces <*interface> unit <*0..16385> family inet address <*address/length>",
    "forwarding-options hash-key family inet layer-3",
    f"{_HASH} ecmp-dlb assigned-flow",
    f"{_HASH} ecmp-dlb per-packet",
    f"{_HASH} ecmp-dlb flowlet inactivity-interval <16..32000>",
    f"{_HASH} ecmp-dlb flowlet flowset-table-size <256..32768>",
    f"{_HASH} ecmp-dlb ether-type <+ipv4|ipv6|mpls>",
    f"{_HASH} ecmp-resilient-hash",
    f"{_HASH} hash-mode layer2-header",
    f"{_HASH} hash-mode layer2-payload",
    f"{_HASH} family inet no-ipv4-destination-address",
    f"{_HASH} family inet no-ipv4-source-address",
    f"{_HASH} family inet no-l4-destination-port",
    f"{_HASH} family inet no-l4-source-port",
    f"{_HASH} family inet no-protocol",
    f"{_HASH} family inet vlan-id",
    "policy-options policy-statement <*word> then load-balance <per-packet|per-flow>",
    "policy-options policy-statement <*word> then accept",
    "policy-options policy-statement <*word> then reject",
    "class-of-service classifiers dscp <*word> import <word>",
    f"class-of-service classifiers dscp <*word> forwarding-class <*word> loss-priority <*{_LEVELS}>"
    " code-points <+code-point>",
    "class-of-service code-point-aliases dscp <*word> <bits6>",
    "class-of-service drop-profiles <*word> interpolate fill-level <+0..100>",
    "class-of-service drop-profiles <*word> interpolate drop-probability <+0..100>",
    f"{_SHARED} ingress percent <0..100>",
    *(
        f"{_SHARED} ingress buffer-partition <*lossless|lossless-headroom|lossy> {leaf}"
        for leaf in ("percent <0..100>", "dynamic-threshold <0..10>")
    ),
    f"{_SHARED} egress percent <0..100>",
    *(
        f"{_SHARED} egress buffer-partition <*lossless|lossy|multicast> {leaf}"
        for leaf in ("percent <0..100>", "dynamic-threshold <0..10>")
    ),
    "class-of-service forwarding-classes class <*word> queue-num <0..11>",
    "class-of-service forwarding-classes class <*word> no-loss",
    "class-of-service forwarding-classes class <*word> pfc-priority <0..7>",
    f"{_WATCHDOG} poll-interval <1..65535>",
    f"{_WATCHDOG} detection <1..65535>",
    f"{_WATCHDOG} recovery <1..65535>",
    f"{_WATCHDOG} watchdog-action <drop|forward>",
    _WATCHDOG,
    f"{_NOTIFICATION} input dscp code-point <*bits6> pfc",
    f"{_NOTIFICATION} input dscp code-point <*bits6> xon <0..100000>",
    f"{_NOTIFICATION} input ieee-802.1 code-point <*bits3> pfc",
    f"{_NOTIFICATION} input ieee-802.1 code-point <*bits3> xon <0..100000>",
    f"{_NOTIFICATION} input cable-length <1..4294967295>",
    f"{_NOTIFICATION} output ieee-802.1 code-point <*bits3> flow-control-queue <+0..11>",
    "class-of-service interfaces <*interfaces> scheduler-map <word>",
    "class-of-service interfaces <*interfaces> congestion-notification-profile <word>",
    "class-of-service interfaces <*interfaces> unit <*unit> classifiers dscp <word>",
    "class-of-service scheduler-maps <*word> forwarding-class <*word> scheduler <word>",
    f"{_SCHEDULER} transmit-rate percent <0..100>",
    f"{_SCHEDULER} buffer-size percent <0..100>",
    f"{_SCHEDULER} priority <low|strict-high>",
    f"{_SCHEDULER} drop-profile-map loss-priority <*{_LEVELS}> protocol <*any|tcp|non-tcp> drop-profile <word>",
    f"{_SCHEDULER} explicit-congestion-notification",
    f"{_SCHEDULER} buffer-dynamic-threshold <0..10>",
    "routing-options static route <*prefix> next-hop <+address>",
    "routing-options static route <*prefix> discard",
    "routing-options forwarding-table export <+word>",
    "protocols lldp interface <*word>",
)
