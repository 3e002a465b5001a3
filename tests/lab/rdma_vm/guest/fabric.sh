# fabric N: hosts h1..hN (10.0.0.1..N) with RDMA devices rxe1..rxeN, joined by a bridge in the namespace "switch".
#
# This kernel's soft-RoCE sends nothing from a device in another namespace, so all hosts are in the initial one, and rules
# keep what 10.0.0.1 sends to 10.0.0.2 on the wire, where the switch can mark, delay or drop it. Its ports are s1..sN.
fabric() {
    modprobe -a veth bridge rdma_rxe
    ip netns add switch
    ip -n switch link add br0 type bridge
    ip -n switch link set br0 mtu 9000 up
    sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
    sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
    sysctl -qw net.ipv4.conf.all.accept_local=1 net.ipv4.conf.default.accept_local=1
    sysctl -qw net.core.netdev_max_backlog=100000 # 1000 overflow at a large READ, and each drop costs a timeout
    for i in $(seq "$1"); do
        printf 'link add h%s mtu 9000 address 02:00:00:00:00:0%s type veth peer name s%s netns switch\n' "$i" "$i" "$i"
        echo "link set h$i up"
        echo "address add 10.0.0.$i/24 dev h$i"
        echo "rule add pref $((100 + i)) iif h$i lookup local"
        echo "rule add pref $((200 + i)) from 10.0.0.$i lookup $((1000 + i))"
        echo "rule add pref $((300 + i)) oif h$i lookup $((1000 + i))"
        echo "route add 10.0.0.0/24 dev h$i src 10.0.0.$i table $((1000 + i))"
        for j in $(seq "$1"); do # nothing to wait for, and no ARP that a lossy queue could eat
            [ "$i" = "$j" ] || echo "neighbour add 10.0.0.$j lladdr 02:00:00:00:00:0$j dev h$i nud permanent"
        done
    done | ip -batch -
    for i in $(seq "$1"); do echo "link set s$i mtu 9000 master br0 up"; done | ip -n switch -batch -
    ip rule add pref 1 to 127.0.0.0/8 lookup local
    ip rule del pref 0
    ip rule add pref 400 lookup local
    for i in $(seq "$1"); do
        sysctl -qw "net.ipv4.conf.h$i.arp_ignore=1" "net.ipv4.conf.h$i.arp_announce=2"
        rdma link add "rxe$i" type rxe netdev "h$i"
    done
    [ ! -e /dev/infiniband ] || chmod 0666 /dev/infiniband/uverbs*
}
