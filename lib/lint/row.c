/* SPDX-License-Identifier: MIT */
#include "lib/lint/row.h"

#include <fnmatch.h>
#include <string.h>

/* The accepted values and the defaults were measured on Linux 6.18 in a new network namespace, the values by writing
 * them (tests/netns/test_lint.py does so again). The rest is from Documentation/networking/ip-sysctl.rst, called
 * ip-sysctl here, and nf_conntrack-sysctl.rst. */

/* clang-format off */
#define IPV4(x) "net/ipv4/" x
#define CORE(x) "net/core/" x
#define U8 0, 255
#define BOOL 0, 1
#define INT INT32_MIN, INT32_MAX
/* The kernel stores seconds as an int of ticks, at least 100 a second. */
#define SECONDS -21474836, 21474836
#define POSITIVE 0, INT32_MAX
#define CONNTRACK(x) "net/netfilter/nf_conntrack_" x

/* A timeout of 0: the answer finds no entry. */
#define LASTS .place = LINT_CONNTRACK, .low = 1, .below = "the entries are gone at once, so that answers find none"

#define OLD_CONNTRACK "the name before Linux 4.9; it is net.netfilter.nf_conntrack_* now"
#define PROBES "the number of probes is net.ipv4.tcp_keepalive_probes"
#define VENDORS "only some vendors' kernels have it"
#define BY_ROUTE "it is set for a route: ip route change ROUTE initcwnd N initrwnd N"
#define BSD "that is a name of BSD and macOS"
#define SHOWS "read-only: the kernel only shows it"
#define SINCE_7 "Linux 7.3 has it, 6.18 does not"
#define PROBING .needs = IPV4("tcp_mtu_probing")
#define PLB .needs = IPV4("tcp_plb_enabled")

const struct lint_row lint_rows[] = {
        /* ---- TIME_WAIT and ports ---- */
        {IPV4("tcp_tw_reuse"), 1, 0, 2, "2", .rule = "time-wait-reuse"},
        {IPV4("tcp_tw_reuse_delay"), 1, 1, 60000, "1000", .gone = "Linux 6.14 brought it",
         .needs = IPV4("tcp_tw_reuse"), .rule = "time-wait-reuse-sooner"},
        {IPV4("tcp_tw_recycle"), 1, .rule = "time-wait-reuse"},
        {IPV4("tcp_tw_timeout"), 1, .gone = "some vendors' kernels have it; TIME_WAIT is 60 s, fixed",
         .rule = "time-wait-reuse"},
        {IPV4("tcp_time*wait*"), 1, .gone = "TIME_WAIT is 60 s, fixed", .rule = "time-wait-reuse"},
        {IPV4("tcp_max_tw_buckets_ub"), 1, .gone = "OpenVZ's kernels had it", .rule = "time-wait-table"},
        {IPV4("tcp_max_tw_buckets"), 1, INT, .rule = "time-wait-table"},
        /* Measured: 15 leaves as many TIME_WAIT sockets as 60 does (net/ipv4/tcp_minisocks.c:tcp_time_wait()). */
        /* Over 60 s, the socket stays whole until 60 s are left (net/ipv4/tcp_input.c:tcp_rcv_state_process()). */
        {IPV4("tcp_fin_timeout"), 1, SECONDS, "60", .high = 120, .rule = "fin-wait2-orphans",
         .above = "a peer that never closes holds a port for so long, and a whole socket (tcp_max_orphans) 60 s less"},
        {IPV4("ip_local_port_range"), 2, 1, 65535, "32768 60999", .floor = IPV4("ip_unprivileged_port_start"),
         .rule = "wider-port-range"},
        {IPV4("ip_local_reserved_ports"), 0, .initial = ""},
        {IPV4("ip_local_port_step_width"), 1, 0, UINT32_MAX, "0", .gone = SINCE_7,
         .help = "how far connect() steps from a port that is taken to the next"},
        {IPV4("ip_unprivileged_port_start"), 1, 0, 65535, .initial = "1024"},
        {IPV4("ip_autobind_reuse"), 1, BOOL, "0",
         .help = "lets bind() to port 0 with SO_REUSEADDR share a port once all are taken",
         .rule = "bind-before-connect"},
        /* Measured: two clients behind one address, the server keeps TIME_WAIT; longest connect 2-4 s with 0, 7-12 s
         * with 1 (net/ipv4/tcp_minisocks.c:tcp_timewait_state_process()). */
        {IPV4("tcp_rfc1337"), 1, U8, "0", .high = 0,
         .above = "no RST ends TIME_WAIT here: clients behind NAT that reuse the port wait up to 12 s instead of 4"},
        {IPV4("tcp_timestamps"), 1, U8, "1", .low = 1},

        /* ---- keepalive ---- */
        {IPV4("tcp_keepalive_time"), 1, SECONDS, "7200", .rule = "dead-peers"},
        {IPV4("tcp_keepalive_intvl"), 1, SECONDS, "75", .rule = "dead-peers"},
        {IPV4("tcp_keepalive_probes"), 1, U8, "9", .rule = "dead-peers"},
        {IPV4("tcp_keepalive_c*"), 1, .gone = PROBES},
        {IPV4("tcp_keepalive_retries"), 1, .gone = PROBES},

        /* ---- SYN and accept queues ---- */
        {IPV4("tcp_syncookies"), 1, U8, "1", .high = 1,
         .above = "a cookie answers every SYN; peers without timestamps lose TCP options (ip-sysctl: for tests)",
         .rule = "syn-cookies"},
        {IPV4("tcp_max_syn_backlog"), 1, INT, .low = 128,
         .below = "a handful of half-open connections fills it", .rule = "syn-queue"},
        /* include/linux/socket.h:SOMAXCONN is 4096 since Linux 5.4; examples on the web are older. */
        {CORE("somaxconn"), 1, POSITIVE, "4096", .low = 4096,
         .below = "that is under the kernel's default (4096), so that accept queues overflow sooner",
         .rule = "accept-queue"},
        {CORE("netdev_max_backlog"), 1, INT, "1000", .place = LINT_FIRST, .low = 1000,
         .below = "that is under the kernel's default (1000), so that bursts are dropped",
         /* net/core/dev.c:enqueue_to_backlog(): drivers with NAPI and without RPS do not use it. */
         .help = "packets in the queue of a CPU, for RPS, loopback, veth and tunnels; few network cards use it"},
        {IPV4("tcp_synack_retries"), 1, U8, "5", .rule = "syn-queue"},
        /* Measured: connect() to an address that does not answer ends after 3 s with 1, 7 s with 2. */
        {IPV4("tcp_syn_retries"), 1, 1, 127, "6", .low = 3, .help = "how often connect() sends its SYN again",
         .below = "connect() gives up within 7 s, after two or three lost packets"},
        {IPV4("tcp_abort_on_overflow"), 1, U8, "0", .above = AS_SYSCTL_SAYS, .rule = "accept-queue"},
        {IPV4("tcp_migrate_req"), 1, BOOL, "0",
         .help = "moves waiting connections to another listener of the SO_REUSEPORT group when one closes"},
        {IPV4("tcp_challenge_ack_limit"), 1, INT,
         .help = "challenge ACKs per second, varied at random since Linux 4.7: the remedy for CVE-2016-5696"},
        {IPV4("tcp_invalid_ratelimit"), 1, POSITIVE, "500", .low = 1, .help = "ms between answers to invalid segments",
         .below = "two hosts can answer each other's invalid segments without end (ip-sysctl: ACK loops)"},

        /* ---- retransmissions and orphans ---- */
        /* ip-sysctl: RFC 1122 asks for tcp_retries1 >= 3, and tcp_retries2 >= 8 (100 s). Measured: 5 lasts 13 s. */
        {IPV4("tcp_retries1"), 1, U8, "3", .help = "retransmissions before TCP looks for another route"},
        {IPV4("tcp_retries2"), 1, U8, "15", .low = 8, .help = "retransmissions before a connection is given up",
         .below = "an outage of less than 100 s (RFC 1122) ends every connection with data in flight"},
        {IPV4("tcp_orphan_retries"), 1, U8, "0", .rule = "orphans"},
        {IPV4("tcp_max_orphans"), 1, INT, .place = LINT_FIRST, .rule = "orphans-table",
         .below = "a full table resets connections that are closed before all is sent"},
        {IPV4("tcp_frto"), 1, U8, "2", .help = "undoes spurious retransmission timeouts (F-RTO)"},
        {IPV4("tcp_frto_response"), 1, .gone = "Linux 3.10 removed it"},
        /* Measured, 3 % loss, answers of 30 kB: 37 of 1,500 take over 150 ms without the probe, 4 with it. */
        {IPV4("tcp_early_retrans"), 1, 0, 4, "3", .low = 3, .help = "tail loss probe (3 and 4 switch it on)",
         .below = "without the tail loss probe an answer that loses its end waits 200 ms or more for a timeout"},
        {IPV4("tcp_recovery"), 1, U8, "1", .help = "RACK loss detection"},
        {IPV4("tcp_reordering"), 1, 1, INT32_MAX, "3", .help = "how much reordering is expected before any was seen"},
        {IPV4("tcp_retrans_collapse"), 1, U8, "1", .help = "joins small segments when they are sent again"},
        {IPV4("tcp_thin_linear_timeouts"), 1, U8, "0",
         .help = "no backoff for up to 6 timeouts of connections with few packets in flight"},
        {IPV4("tcp_thin_dupack"), 1, .gone = "Linux 4.11 removed it, RACK does the same"},

        /* ---- options and windows ---- */
        {IPV4("tcp_sack"), 1, U8, "1", .low = 1, .help = "selective acknowledgements",
         .below = "without SACK each lost packet of a window costs a round trip of its own"},
        {IPV4("tcp_dsack"), 1, U8, "1", .low = 1, .help = "reports to the sender what arrived twice",
         .below = "the sender stays slow: it cannot see that a retransmission was needless"},
        /* net/ipv4/sysctl_net_ipv4.c: nothing reads the variables any more. */
        {IPV4("tcp_fack"), 1, U8, "0", .idle = "unused since Linux 4.15: RACK took its place"},
        {IPV4("tcp_low_latency"), 1, U8, "0", .gone = "unused since Linux 4.14, and now removed",
         .idle = "unused since Linux 4.14: the prequeue is gone"},
        {IPV4("tcp_window_scaling"), 1, U8, "1", .low = 1, .help = "windows over 64 KiB",
         .below = "a connection is limited to 64 KiB per round trip: 5 Mbit/s at 100 ms"},
        {IPV4("tcp_adv_win_scale"), 1, -31, 31, "1", .help = "share of a receive buffer that the window does not use"},
        {IPV4("tcp_app_win"), 1, 0, 31, "31", .help = "part of the window kept back for the application"},
        {IPV4("tcp_ecn"), 1, 0, 5, "2", .help = "ECN: 2 accepts it, 1 also asks for it, 0 does neither"},
        {IPV4("tcp_ecn_fallback"), 1, BOOL, "1", .needs = IPV4("tcp_ecn"), .help = "tries again without ECN"},
        {IPV4("tcp_fastopen"), 1, INT, "1", .help = "TCP Fast Open, for programs that ask for it"},
        {IPV4("tcp_mtu_probing"), 1, U8, "0", .help = "finds the path's MTU where ICMP is filtered"},
        {IPV4("tcp_base_mss"), 1, INT, "1024", PROBING, .help = "MSS at which tcp_mtu_probing starts"},
        {IPV4("tcp_min_snd_mss"), 1, 48, 65535, "48", .help = "smallest segment that a peer may ask for"},
        {IPV4("tcp_slow_start_after_idle"), 1, U8, "1", .help = "whether an idle connection starts slowly again"},
        {IPV4("tcp_no_metrics_save"), 1, U8, "0",
         .help = "whether the measurements toward a destination are discarded"},
        {IPV4("tcp_moderate_rcvbuf"), 1, U8, "1", .low = 1, .help = "whether receive buffers grow as they are needed",
         .below = "every connection keeps the middle value of tcp_rmem as its receive buffer"},
        {IPV4("tcp_autocorking"), 1, BOOL, "1", .help = "joins small writes while a packet waits in the queue"},
        {IPV4("tcp_notsent_lowat"), 1, 0, UINT32_MAX, "4294967295", .help = "unsent bytes at which a write waits"},
        /* net/ipv4/tcp_output.c:tcp_small_queue_check(). */
        {IPV4("tcp_limit_output_bytes"), 1, INT, .low = 65536, .help = "bytes of a socket in the queues below TCP",
         .below = "less than one large packet: the next one has to wait until the card has sent it"},
        {IPV4("tcp_tso_win_divisor"), 1, U8, "3", .help = "share of the window that one TSO packet may take"},
        {IPV4("tcp_stdurg"), 1, U8, "0", .help = "where urgent data ends; almost nothing uses it"},
        {IPV4("tcp_workaround_signed_windows"), 1, U8, "0", .help = "for very old peers without window scaling"},
        {IPV4("tcp_congestion_control"), 0, .help = "congestion control of new sockets", .module = "tcp_"},
        {IPV4("tcp_allowed_congestion_control"), 0, .place = LINT_FIRST, .module = "tcp_",
         .help = "what programs without privilege may choose"},
        {IPV4("tcp_available_congestion_control"), 0, .idle = SHOWS},
        {IPV4("tcp_available_ulp"), 0, .idle = SHOWS},
        {CORE("default_qdisc"), 0, .place = LINT_FIRST, .help = "queue of network devices that come up later",
         .module = "sch_"},
        {IPV4("tcp_fastopen_key"), 0, .help = "key of the cookies of TCP Fast Open; random unless it is set"},
        {IPV4("tcp_fastopen_blackhole_timeout_sec"), 1, POSITIVE, "0",
         .help = "seconds without Fast Open after a firewall has swallowed it"},
        {IPV4("tcp_comp_sack_nr"), 1, U8, "44", .help = "ACKs that may be joined into one; 0 joins none"},
        {IPV4("tcp_comp_sack_delay_ns"), 1, 0, INT64_MAX, "1000000", .help = "how long ACKs wait to be joined"},
        {IPV4("tcp_comp_sack_slack_ns"), 1, 0, INT64_MAX, "100000", .help = "slack of that wait"},
        {IPV4("tcp_comp_sack_rtt_percent"), 1, 1, 1000, "33", .gone = SINCE_7,
         .help = "the most that wait may be, in percent of the round trip time"},
        {IPV4("tcp_rcvbuf_low_rtt"), 1, POSITIVE, "1000", .gone = SINCE_7,
         .help = "round trip time, us, under which autotuning lets receive buffers grow less"},
        {CORE("bypass_prot_mem"), 1, BOOL, "0", .gone = SINCE_7,
         .help = "buffers of sockets are not counted toward tcp_mem"},
        {CORE("qdisc_max_burst"), 1, INT, "1000", .place = LINT_FIRST, .gone = SINCE_7,
         .help = "packets that may wait for a queueing discipline"},
        {CORE("txq_reselection_ms"), 1, 0, 0, "1000", .gone = SINCE_7,
         .help = "how long a busy connection keeps its transmit queue"},
        {IPV4("tcp_pacing_ss_ratio"), 1, 0, 1000, "200", .low = 100, .help = "pacing in slow start, % of the rate",
         .below = "a paced connection cannot reach the rate that its window allows"},
        {IPV4("tcp_pacing_ca_ratio"), 1, 0, 1000, "120", .low = 100, .help = "pacing after slow start, % of the rate",
         .below = "a paced connection cannot reach the rate that its window allows"},
        {IPV4("tcp_min_tso_segs"), 1, 1, 255, "2", .help = "least segments of a TSO packet"},
        {IPV4("tcp_tso_rtt_log"), 1, U8, "9", .newer = 31, .help = "larger TSO packets at short round trips; 0: off"},
        {IPV4("tcp_min_rtt_wlen"), 1, 0, 86400, "300", .help = "window of the minimum round trip, in seconds"},
        {IPV4("tcp_plb_enabled"), 1, BOOL, "0", .help = "another path through the fabric (PLB), with DCTCP"},
        {IPV4("tcp_plb_idle_rehash_rounds"), 1, 0, 31, "3", PLB, .help = "part of PLB"},
        {IPV4("tcp_plb_rehash_rounds"), 1, 0, 31, "12", PLB, .help = "part of PLB"},
        {IPV4("tcp_plb_suspend_rto_sec"), 1, U8, "60", PLB, .help = "part of PLB"},
        {IPV4("tcp_plb_cong_thresh"), 1, 0, 256, "128", PLB, .help = "part of PLB"},
        {IPV4("tcp_mtu_probe_floor"), 1, 48, 65535, "48", PROBING, .help = "least MSS that probing goes down to"},
        {IPV4("tcp_probe_interval"), 1, 0, 42949672, "600", PROBING, .help = "seconds between two probes of the MTU"},
        {IPV4("tcp_probe_threshold"), 1, INT, "8", PROBING,
         .help = "the search for the MTU ends once its range is that many bytes"},
        {IPV4("tcp_no_ssthresh_metrics_save"), 1, BOOL, "1", .help = "0 remembers ssthresh for a destination"},
        {IPV4("tcp_max_reordering"), 1, 1, INT32_MAX, "300", .help = "how much reordering is learnt at most"},
        {IPV4("tcp_pingpong_thresh"), 1, 1, 255, .help = "ACKs are delayed after that many answers"},
        /* At 9000, tcp_retries2 = 15 is six waits, 12.6 s in all, and ten of 9 s (tcp_timer.c:tcp_model_timeout()). */
        {IPV4("tcp_rto_max_ms"), 1, 1000, 120000, "120000", .low = 9000, .help = "longest wait for a retransmission",
         .below = "an outage of less than 100 s (RFC 1122) uses up tcp_retries2 and ends every connection with data"},
        {IPV4("tcp_rto_min_us"), 1, 1, INT32_MAX, "200000", .low = 40000, .help = "shortest wait for a retransmission",
         /* include/net/tcp.h:TCP_DELACK_MIN */
         .below = "peers delay their ACKs by 40 ms and more, so data is sent twice for nothing"},
        {IPV4("tcp_syn_linear_timeouts"), 1, 0, 127, "4", .help = "SYN retransmissions before the wait doubles"},
        {IPV4("tcp_shrink_window"), 1, BOOL, "0", .help = "lets the window shrink where memory is short"},
        {IPV4("tcp_backlog_ack_defer"), 1, BOOL, "1", .help = "one ACK for what waited while the socket was busy"},
        {IPV4("tcp_reflect_tos"), 1, BOOL, "0", .help = "answers a SYN with the TOS of that SYN"},
        {IPV4("tcp_early_demux"), 1, 0, UINT32_MAX, "1", .newer = 255,
         .help = "finds the socket before the route; 0 is for routers"},
        {IPV4("tcp_fwmark_accept"), 1, U8, "0", .help = "accepted sockets get the mark of the SYN"},
        {IPV4("tcp_l3mdev_accept"), 1, BOOL, "0", .help = "listeners of the default VRF accept from all"},
        {IPV4("tcp_child_ehash_entries"), 1, 0, 16777216, "0",
         .help = "size of a separate hash table for the next network namespace; 0: shared"},
        {IPV4("tcp_ehash_entries"), 1, .idle = "read-only: the kernel parameter thash_entries= sets it"},
        {IPV4("tcp_ecn_option"), 1, 0, 3, .help = "the option of accurate ECN"},
        {IPV4("tcp_ecn_option_beacon"), 1, 0, 3, .help = "the option of accurate ECN"},

        /* ---- UDP ---- */
        {IPV4("udp_mem"), 3, 0, INT64_MAX, .place = LINT_FIRST,
         .help = "pages of memory for all UDP sockets together"},
        {IPV4("udp_rmem_min"), 1, 1, INT32_MAX, "4096", .help = "bytes a UDP socket may queue if udp_mem is short"},
        {IPV4("udp_wmem_min"), 1, 1, INT32_MAX, .idle = "udp_mem does not count what UDP sends"},
        {IPV4("udp_early_demux"), 1, 0, UINT32_MAX, "1", .newer = 255,
         .help = "finds the socket before the route; 0 is for routers"},
        {IPV4("udp_l3mdev_accept"), 1, BOOL, "0", .help = "sockets of the default VRF receive from all"},
        {IPV4("udp_hash_entries"), 1, .idle = "read-only: the kernel parameter uhash_entries= sets it"},
        {IPV4("udp_child_hash_entries"), 1, 0, 65536, "0",
         .help = "size of a separate hash table for the next network namespace; 0: shared"},

        /* Removed long ago, but still pasted. */
        {CORE("hot_list_length"), 1, .gone = "Linux removed it long ago"},
        {CORE("*_cong*"), 1, .gone = "Linux removed it long ago"},
        {IPV4("tcp_abc"), 1, .gone = "Linux 3.9 removed it"},
        {IPV4("tcp_delack_*"), 1, .gone = VENDORS},
        {IPV4("tcp_collapse_max_bytes"), 1, .gone = VENDORS},
        {IPV4("tcp_default_init_rwnd"), 1, .gone = BY_ROUTE},
        {IPV4("tcp_init*cwnd"), 1, .gone = BY_ROUTE},
        {IPV4("tcp_hystart*"), 1, .gone = "it is /sys/module/tcp_cubic/parameters/hystart"},
        {IPV4("tcp_tso"), 1, .gone = "ethtool -K switches it for each card"},
        {IPV4("tcp_dma_copybreak"), 1, .gone = "Linux removed it together with NET_DMA"},
        {IPV4("tcp_cookie_size"), 1, .gone = "Linux 3.10 removed it"},
        {IPV4("tcp_max_ssthresh"), 1, .gone = "Linux removed it; no limit to slow start is needed"},
        {IPV4("tcp_bic*"), 1, .gone = "congestion control is chosen with tcp_congestion_control since Linux 2.6.13"},
        {IPV4("tcp_vegas*"), 1, .gone = "congestion control is chosen with tcp_congestion_control since Linux 2.6.13"},
        {IPV4("tcp_westwood"), 1,
         .gone = "congestion control is chosen with tcp_congestion_control since Linux 2.6.13"},

        /* ---- memory ---- */
        {IPV4("tcp_mem"), 3, 0, INT64_MAX, .place = LINT_FIRST, .rule = "tcp-memory"},
        {IPV4("tcp_rmem"), 3, 1, INT32_MAX, .help = "receive buffer of a connection: minimum, initial, maximum"},
        {IPV4("tcp_wmem"), 3, 1, INT32_MAX, .help = "send buffer of a connection: minimum, initial, maximum"},
        /* net/ipv4/tcp_input.c:tcp_rcv_space_adjust() grows a buffer up to tcp_rmem, whatever rmem_max is. */
        /* include/net/sock.h:SOCK_MIN_RCVBUF and SOCK_MIN_SNDBUF are the lower bounds. */
        {CORE("rmem_max"), 1, 2304, INT32_MAX, .place = LINT_FIRST, .low = 65536,
         .below = "programs that set the size of their buffers cannot ask for more",
         .help = "upper bound of setsockopt(SO_RCVBUF); a TCP socket without it grows up to tcp_rmem"},
        {CORE("wmem_max"), 1, 4608, INT32_MAX, .place = LINT_FIRST, .low = 65536,
         .below = "programs that set the size of their buffers cannot ask for more",
         .help = "upper bound of setsockopt(SO_SNDBUF); a TCP socket without it grows up to tcp_wmem"},
        /* net/ipv4/tcp.c:tcp_init_sock() replaces them by tcp_rmem[1] and tcp_wmem[1]. */
        {CORE("rmem_default"), 1, 2304, INT32_MAX, "212992", .place = LINT_FIRST, .low = 65536,
         .below = "UDP sockets drop what comes in a burst",
         .help = "receive buffer of UDP, raw and netlink sockets; TCP uses tcp_rmem instead"},
        {CORE("wmem_default"), 1, 4608, INT32_MAX, "212992", .place = LINT_FIRST, .low = 65536,
         .below = "senders on UDP and unix sockets block in a burst",
         .help = "send buffer of UDP and unix sockets; TCP uses tcp_wmem instead"},
        {CORE("optmem_max"), 1, POSITIVE, .help = "memory for socket options and zerocopy"},
        {CORE("busy_poll"), 1, POSITIVE, .place = LINT_FIRST,
         .help = "us that poll() polls the card: more CPU, less latency"},
        {CORE("busy_read"), 1, POSITIVE, .place = LINT_FIRST,
         .help = "us that recv() polls the card: more CPU, less latency"},
        {CORE("netdev_budget"), 1, INT, .place = LINT_FIRST, .low = 300,
         .help = "packets per polling round of all cards",
         .below = "that is under the kernel's default (300), so that bursts wait for another round"},
        {CORE("netdev_budget_usecs"), 1, POSITIVE, .place = LINT_FIRST, .help = "us for a polling round of all cards"},
        {CORE("dev_weight"), 1, 1, INT32_MAX, .place = LINT_FIRST,
         .help = "packets per round of a CPU's backlog (RPS, veth) or of a queueing discipline; not of a card"},
        {CORE("rps_sock_flow_entries"), 1, 0, 1 << 29, .place = LINT_FIRST,
         .help = "size of the table of RFS, rounded up to a power of two; each receive queue also needs rps_flow_cnt"},
        {CORE("message_cost"), 1, SECONDS, .place = LINT_FIRST,
         .help = "seconds in which the network code logs at most message_burst kernel messages"},
        {CORE("message_burst"), 1, INT, .place = LINT_FIRST,
         .help = "kernel messages of the network code in message_cost seconds"},
        {CORE("warnings"), 1, .idle = "nothing reads it"},
        {CORE("txrehash"), 1, BOOL, .help = "another path after a timeout, where a router hashes flow labels"},

        /* ---- conntrack ---- */
        {CONNTRACK("max"), 1, POSITIVE, .place = LINT_CONNTRACK | LINT_FIRST, .rule = "conntrack-table",
         .below = "a full table drops the packets of new connections"},
        {"net/nf_conntrack_max", 1, POSITIVE, .place = LINT_CONNTRACK | LINT_FIRST, .rule = "conntrack-table",
         .below = "a full table drops the packets of new connections",
         .help = "the same as net.netfilter.nf_conntrack_max"},
        {CONNTRACK("buckets"), 1, 1, INT32_MAX, .place = LINT_CONNTRACK | LINT_FIRST,
         .help = "size of the hash table of conntrack", .rule = "conntrack-table"},
        /* RFC 5382, REQ-5: not less than 2 hours 4 minutes. */
        {CONNTRACK("tcp_timeout_established"), 1, SECONDS, "432000", .place = LINT_CONNTRACK, .low = 7440,
         .help = "seconds that conntrack keeps an idle connection", .rule = "conntrack-table",
         .below = "idle connections are forgotten and then hang"},
        {CONNTRACK("tcp_timeout_time_wait"), 1, SECONDS, "120", .place = LINT_CONNTRACK, .low = 10,
         .help = "seconds that conntrack keeps a closed connection; it does nothing to TIME_WAIT sockets",
         .below = "a retransmitted FIN finds no entry, and NAT reuses the port too soon",
         .rule = "conntrack-insert-failed"},
        {CONNTRACK("tcp_timeout_fin_wait"), 1, SECONDS, "120", .place = LINT_CONNTRACK, .low = 10,
         .help = "seconds that conntrack keeps a connection that one side has closed",
         .below = "it cuts a connection that one side has closed and the other still uses", .rule = "conntrack-table"},
        {CONNTRACK("tcp_timeout_close_wait"), 1, SECONDS, "60", .place = LINT_CONNTRACK, .low = 10,
         .help = "seconds that conntrack keeps a connection that one side has closed",
         .below = "it cuts a connection that one side has closed and the other still uses", .rule = "conntrack-table"},
        {CONNTRACK("tcp_timeout_syn_recv"), 1, SECONDS, "60", LASTS, .help = "seconds for the ACK of a SYN+ACK"},
        {CONNTRACK("tcp_timeout_syn_sent"), 1, SECONDS, "120", LASTS, .help = "seconds for the answer to a SYN"},
        {CONNTRACK("tcp_timeout_last_ack"), 1, SECONDS, "30", LASTS, .help = "seconds for the ACK of the second FIN"},
        {CONNTRACK("tcp_timeout_close"), 1, SECONDS, "10", LASTS, .help = "seconds for a connection after a RST"},
        {CONNTRACK("tcp_timeout_max_retrans"), 1, SECONDS, "300", LASTS,
         .help = "seconds for a connection with nf_conntrack_tcp_max_retrans retransmissions"},
        {CONNTRACK("tcp_timeout_unacknowledged"), 1, SECONDS, "300", LASTS,
         .help = "seconds for a connection with data that is not acknowledged"},
        {CONNTRACK("tcp_max_retrans"), 1, INT, "3", .newer = 255, .place = LINT_CONNTRACK,
         .help = "retransmissions before conntrack uses a shorter timeout"},
        {CONNTRACK("tcp_ignore_invalid_rst"), 1, BOOL, "0", .place = LINT_CONNTRACK,
         .help = "1 lets a RST outside of the window pass instead of calling it invalid"},
        {CONNTRACK("udp_timeout"), 1, SECONDS, "30", LASTS, .help = "seconds for UDP unanswered, or in its first 2 s"},
        {CONNTRACK("udp_timeout_stream"), 1, SECONDS, "120", LASTS, .help = "seconds for UDP answered for over 2 s"},
        {CONNTRACK("icmp_timeout"), 1, SECONDS, "30", LASTS, .help = "seconds for a ping"},
        {CONNTRACK("icmpv6_timeout"), 1, SECONDS, "30", LASTS, .help = "seconds for a ping"},
        {CONNTRACK("generic_timeout"), 1, SECONDS, "600", LASTS, .help = "seconds for protocols unknown to conntrack"},
        {CONNTRACK("gre_timeout"), 1, SECONDS, "30", LASTS, .help = "seconds for GRE"},
        {CONNTRACK("gre_timeout_stream"), 1, SECONDS, "180", LASTS, .help = "seconds for GRE in both directions"},
        {CONNTRACK("sctp_timeout_*"), 1, SECONDS, LASTS, .help = "seconds for a state of SCTP"},
        {CONNTRACK("dccp_timeout_*"), 1, SECONDS, LASTS, .gone = "Linux 6.17 removed DCCP from conntrack",
         .help = "seconds for a state of DCCP"},
        {CONNTRACK("frag6_*"), 1, .place = LINT_CONNTRACK, .help = "reassembly of IPv6 fragments"},
        {CONNTRACK("checksum"), 1, BOOL, "1", .place = LINT_CONNTRACK,
         .help = "whether packets with a wrong checksum are invalid"},
        {CONNTRACK("log_invalid"), 1, U8, "0", .place = LINT_CONNTRACK, .help = "logs invalid packets of a protocol"},
        {CONNTRACK("acct"), 1, BOOL, .place = LINT_CONNTRACK, .help = "counts bytes and packets of each connection"},
        {CONNTRACK("timestamp"), 1, BOOL, .place = LINT_CONNTRACK, .help = "records when a connection began"},
        {CONNTRACK("events"), 1, 0, 2, .place = LINT_CONNTRACK,
         .help = "notifies programs of new and ended connections"},
        {CONNTRACK("expect_max"), 1, POSITIVE, .place = LINT_CONNTRACK | LINT_FIRST,
         .help = "connections that helpers expect"},
        {CONNTRACK("count"), 1, .place = LINT_CONNTRACK, .idle = SHOWS},
        {CONNTRACK("tcp_loose"), 1, BOOL, "1", .place = LINT_CONNTRACK,
         .help = "0 is for SYNPROXY; elsewhere 0 cuts established connections that have no entry"},
        {CONNTRACK("tcp_be_liberal"), 1, BOOL, "0", .place = LINT_CONNTRACK,
         .help = "1 lets segments outside of the window pass, except RST, instead of calling them invalid"},
        {CONNTRACK("tcp_no_window_check"), 1,
         .gone = "only OpenWrt's kernels have it; elsewhere it is nf_conntrack_tcp_be_liberal"},
        {"net/netfilter/nf_flowtable_*", 1, .place = LINT_CONNTRACK, .gone = "this kernel has no flow tables",
         .help = "seconds that a flow table keeps an idle connection"},
        {CONNTRACK("helper"), 1, .gone = "Linux 6.0 removed it"},
        {CONNTRACK("hashsize"), 1, .gone = "hashsize is a parameter of the module; the sysctl is "
         "net.netfilter.nf_conntrack_buckets", .rule = "conntrack-table"},
        {IPV4("netfilter/ip_conntrack_*"), 0, .gone = OLD_CONNTRACK, .rule = "conntrack-table"},
        {IPV4("ip_conntrack_*"), 0, .gone = OLD_CONNTRACK, .rule = "conntrack-table"},

        /* ---- other systems ---- */
        {"net/inet/*/*", 0, .gone = BSD},
        {"net/inet/*/*/*", 0, .gone = BSD},
        {"net/inet6/*/*", 0, .gone = BSD},
        {"kern/ipc/*", 0, .gone = BSD},
};

static const struct lint_rule rules[] = {
        {"time-wait-reuse", IPV4("tcp_tw_reuse"),
         "sets tcp_tw_reuse = 1 while TIME_WAIT is about to hold the ports toward one destination"},
        {"time-wait-reuse-sooner", IPV4("tcp_tw_reuse_delay"),
         "sets tcp_tw_reuse_delay = 250 while reuse after a second is not enough"},
        {"bind-before-connect", NULL, "names the program that binds before it connects"},
        {"wider-port-range", IPV4("ip_local_port_range"),
         "widens the range up to the nearest listener, if you enable the rule"},
        {"time-wait-table", IPV4("tcp_max_tw_buckets"), "raises tcp_max_tw_buckets when the table overflows"},
        {"syn-cookies", IPV4("tcp_syncookies"), "sets tcp_syncookies = 1 when a SYN queue overflows"},
        {"syn-queue", NULL, "names the listener whose SYN queue overflows"},
        {"accept-queue", NULL, "names the listener whose accept queue overflows, and its unit"},
        {"orphans", IPV4("tcp_orphan_retries"),
         "sets tcp_orphan_retries = 6 while closed connections wait for peers that are gone"},
        {"orphans-table", IPV4("tcp_max_orphans"), "raises tcp_max_orphans before the table is full"},
        {"fin-wait2-orphans", IPV4("tcp_fin_timeout"),
         "sets tcp_fin_timeout = 20 while orphaned FIN_WAIT_2 hold ports toward one destination"},
        {"dead-peers", IPV4("tcp_keepalive_[ip]*"),
         "sets tcp_keepalive_intvl = 15 and _probes = 5 while many peers are gone"},
        {"conntrack-table", NULL, "warns before the conntrack table is full"},
        {"conntrack-insert-failed", NULL, "warns when connections fail in conntrack"},
        {"tcp-memory", NULL, "warns before TCP runs out of memory"},
};
/* clang-format on */

const unsigned lint_row_count = ELEMENTSOF(lint_rows);

/* Returns the first match: the row of one sysctl comes before that of its family. */
const struct lint_row *lint_row_find(const char *path)
{
        for (unsigned i = 0; i < lint_row_count; i++)
                if (fnmatch(lint_rows[i].path, path, FNM_PATHNAME) == 0)
                        return &lint_rows[i];
        return NULL;
}

const struct lint_rule *lint_rule_find(const char *name)
{
        for (unsigned i = 0; i < ELEMENTSOF(rules); i++)
                if (strcmp(rules[i].name, name) == 0)
                        return &rules[i];
        return NULL;
}
