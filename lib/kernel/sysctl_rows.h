/* SPDX-License-Identifier: MIT */

/* The sysctls, a row for each: its id and the members of struct sysctl. The includer defines SYSCTL(ID, ...): sysctl.h
 * for the ids, sysctl.c for the table.
 *
 * A TIME_WAIT socket takes 256 bytes (slab tw_sock_TCP). An orphan is counted as 4,096 bytes: its socket and some of
 * its data; tcp_mem limits the data of all orphans (net/ipv4/tcp.c:tcp_check_oom). */

/* clang-format off */
#define IPV4(name) "net.ipv4." name

SYSCTL(TCP_TW_REUSE, IPV4("tcp_tw_reuse"), 1, {0, 2},
       .help = "lets connect() take the port of a TIME_WAIT socket whose peer uses timestamps; 2: on loopback only")
SYSCTL(TCP_TW_REUSE_DELAY, IPV4("tcp_tw_reuse_delay"), 1, {250, 60000}, SYSCTL_LESS,
       .below = "a reuse before the peer's minimum RTO of 200 ms costs resets on lossy paths",
       .help = "ms in TIME_WAIT before tcp_tw_reuse applies (Linux 6.14)")
SYSCTL(IP_LOCAL_PORT_RANGE, IPV4("ip_local_port_range"), 2, {1024, 65535}, SYSCTL_WIDEN,
       .below = "ports below 1024 are those of services",
       .help = "the ephemeral ports; connect() has that many per destination")
SYSCTL(IP_LOCAL_RESERVED_PORTS, IPV4("ip_local_reserved_ports"), 0,
       .never = "the ports that the administrator reserved stay reserved", .help = "ports that connect() leaves out")
SYSCTL(IP_UNPRIVILEGED_PORT_START, IPV4("ip_unprivileged_port_start"), 1,
       .never = "it decides who may bind to a port, which has nothing to do with load",
       .help = "the first port that needs no privilege to bind to")
SYSCTL(TCP_MAX_TW_BUCKETS, IPV4("tcp_max_tw_buckets"), 1, {65536, 16777216}, SYSCTL_RAISE, 256,
       .below = "a small table throws TIME_WAIT away, and with it the protection from old segments",
       .help = "how many TIME_WAIT sockets may be kept")
SYSCTL(TCP_FIN_TIMEOUT, IPV4("tcp_fin_timeout"), 1, {10, 120}, SYSCTL_LESS,
       .below = "peers that close a little late would be reset",
       .help = "seconds in FIN_WAIT_2 without an owner; it does nothing to TIME_WAIT (60 s, fixed)")
SYSCTL(TCP_KEEPALIVE_TIME, IPV4("tcp_keepalive_time"), 1, {60, 86400}, SYSCTL_LESS,
       .below = "probes would keep idle peers and radios awake",
       .help = "idle seconds before the first probe, for sockets with SO_KEEPALIVE")
SYSCTL(TCP_KEEPALIVE_INTVL, IPV4("tcp_keepalive_intvl"), 1, {5, 3600}, SYSCTL_LESS,
       .below = "a short outage would end idle connections", .help = "seconds between two unanswered probes")
SYSCTL(TCP_KEEPALIVE_PROBES, IPV4("tcp_keepalive_probes"), 1, {3, 20}, SYSCTL_LESS,
       .below = "one or two lost packets would end a healthy connection",
       .help = "unanswered probes before the connection is given up")
SYSCTL(TCP_SYNCOOKIES, IPV4("tcp_syncookies"), 1, {1, 1},
       .below = "a host without SYN cookies can be shut off by a SYN flood",
       .help = "SYN cookies when a SYN queue overflows")
SYSCTL(TCP_MAX_SYN_BACKLOG, IPV4("tcp_max_syn_backlog"), 1, {128, 1048576}, SYSCTL_RAISE,
       .help = "SYN queue of a listener; ignored unless tcp_syncookies is 0")
SYSCTL(SOMAXCONN, "net.core.somaxconn", 1, {128, 1048576}, SYSCTL_RAISE, .help = "upper bound of listen()'s backlog")
SYSCTL(TCP_SYNACK_RETRIES, IPV4("tcp_synack_retries"), 1, {2, 5}, SYSCTL_LESS,
       .below = "clients on lossy paths could not connect", .help = "how many times a SYN+ACK is sent again")
SYSCTL(TCP_ORPHAN_RETRIES, IPV4("tcp_orphan_retries"), 1, {5, 8}, SYSCTL_LESS,
       .below = "data that was written before close() could be lost",
       .help = "retransmissions of a socket that was closed")
SYSCTL(TCP_MAX_ORPHANS, IPV4("tcp_max_orphans"), 1, {4096, 4194304}, SYSCTL_RAISE, 4096,
       .help = "how many closed sockets may still send")
SYSCTL(TCP_MEM, IPV4("tcp_mem"), 3, .never = "the kernel sizes it by the machine's memory",
       .help = "pages of memory for all TCP sockets together")
SYSCTL(NF_CONNTRACK_MAX, "net.netfilter.nf_conntrack_max", 1,
       .never = "kube-proxy and others own it, and its hash table has to grow with it",
       .help = "entries of the conntrack table")
SYSCTL(NF_CONNTRACK_TCP_TIMEOUT_TIME_WAIT, "net.netfilter.nf_conntrack_tcp_timeout_time_wait", 1,
       .never = "kube-proxy and others own it", .help = "seconds that conntrack keeps a closed connection")
SYSCTL(TCP_TIMESTAMPS, IPV4("tcp_timestamps"), 1,
       .never = "without timestamps TIME_WAIT cannot be reused safely and PAWS is gone",
       .help = "TCP timestamps; tcp_tw_reuse depends on them")
SYSCTL(TCP_RFC1337, IPV4("tcp_rfc1337"), 1, .never = "it changes how a RST ends TIME_WAIT and relieves nothing",
       .help = "1 keeps a RST from ending TIME_WAIT")
SYSCTL(TCP_ABORT_ON_OVERFLOW, IPV4("tcp_abort_on_overflow"), 1,
       .never = "it turns a short burst that clients would have survived into refused connections",
       .help = "a full accept queue answers with RST")
SYSCTL(TCP_TW_RECYCLE, IPV4("tcp_tw_recycle"), 1,
       .never = "it broke clients behind NAT, and Linux 4.12 removed it; for outgoing connections use "
                "tcp_tw_reuse = 1",
       .help = "removed in Linux 4.12")

#undef IPV4
#undef SYSCTL
/* clang-format on */
