/* SPDX-License-Identifier: MIT */
#include "lib/lint/row.h"

#include <fnmatch.h>
#include <string.h>

/* Measured on Linux 6.18: the values that the kernel accepts, by writing them (tests/netns/test_lint.py repeats it),
 * and the defaults, in a new network namespace. Sources of the rest: ip-sysctl is
 * Documentation/networking/ip-sysctl.rst, nf_conntrack-sysctl likewise. */

/* clang-format off */
#define IPV4(x) "net/ipv4/" x
#define CORE(x) "net/core/" x
#define U8 0, 255
#define BOOL 0, 1
#define INT INT32_MIN, INT32_MAX
/* The kernel stores them in ticks, at least 100 a second. */
#define SECONDS -21474836, 21474836
#define POSITIVE 0, INT32_MAX
#define CONNTRACK(x) "net/netfilter/nf_conntrack_" x

#define LOADED "it is there once nf_conntrack is loaded, and a line that is applied before is lost"
#define FIRST "it is there in the first network namespace only"
#define OLD_CONNTRACK "the name before Linux 4.9; it is net.netfilter.nf_conntrack_* now"

const struct lint_row lint_rows[] = {
        /* ---- TIME_WAIT and ports ---- */
        {IPV4("tcp_tw_reuse"), 1, 0, 2, "2", .check = lint_check_tw_reuse, .rule = "time-wait-reuse"},
        {IPV4("tcp_tw_reuse_delay"), 1, 1, 60000, "1000", .gone = "Linux 6.14 brought it",
         .check = lint_check_tw_reuse_delay, .rule = "time-wait-reuse-sooner"},
        {IPV4("tcp_tw_recycle"), 1, .rule = "time-wait-reuse"},
        {IPV4("tcp_tw_timeout"), 1, .gone = "some vendors' kernels have it; TIME_WAIT is 60 s, fixed",
         .rule = "time-wait-reuse"},
        {IPV4("tcp_max_tw_buckets_ub"), 1, .gone = "OpenVZ's kernels had it", .rule = "time-wait-table"},
        {IPV4("tcp_max_tw_buckets"), 1, INT, .check = lint_check_table, .rule = "time-wait-table"},
        /* Measured: with 15 as many TIME_WAIT sockets as with 60. net/ipv4/tcp_minisocks.c:tcp_time_wait(). */
        {IPV4("tcp_fin_timeout"), 1, SECONDS, "60", .rule = "fin-wait2-orphans"},
        {IPV4("ip_local_port_range"), 2, 1, 65535, "32768 60999", IPV4("ip_unprivileged_port_start"),
         .check = lint_check_port_range, .rule = "wider-port-range"},
        {IPV4("ip_local_reserved_ports"), 0, .initial = "", .check = lint_check_reserved_ports},
        {IPV4("ip_unprivileged_port_start"), 1, 0, 65535, .initial = "1024"},
        {IPV4("ip_autobind_reuse"), 1, BOOL, "0",
         .help = "lets bind() to port 0 with SO_REUSEADDR share a port once all are taken",
         .rule = "bind-before-connect"},
        {IPV4("tcp_rfc1337"), 1, U8, .initial = "0"},
        {IPV4("tcp_timestamps"), 1, U8, "1", .low = 1},

        /* ---- keepalive ---- */
        {IPV4("tcp_keepalive_time"), 1, SECONDS, "7200", .rule = "dead-peers"},
        {IPV4("tcp_keepalive_intvl"), 1, SECONDS, "75", .rule = "dead-peers"},
        {IPV4("tcp_keepalive_probes"), 1, U8, "9", .rule = "dead-peers"},

        /* ---- SYN and accept queues ---- */
        {IPV4("tcp_syncookies"), 1, U8, "1", .high = 1,
         .above = "every SYN is answered with a cookie, attack or not, and options are lost (ip-sysctl: for tests)",
         .rule = "syn-cookies"},
        {IPV4("tcp_max_syn_backlog"), 1, INT, .check = lint_check_syn_backlog, .low = 128,
         .below = "a handful of half-open connections fills it", .rule = "syn-queue"},
        /* include/linux/socket.h:SOMAXCONN is 4096 since Linux 5.4; blocks on the web are older. */
        {CORE("somaxconn"), 1, POSITIVE, "4096", .low = 4096,
         .below = "that is under the kernel's default (4096), so that accept queues overflow sooner",
         .rule = "accept-queue"},
        {CORE("netdev_max_backlog"), 1, INT, "1000", .gone = FIRST, .low = 1000,
         .below = "that is under the kernel's default (1000), so that bursts are dropped",
         /* net/core/dev.c:enqueue_to_backlog(): drivers with NAPI and without RPS do not use it. */
         .help = "packets that wait for a CPU behind RPS, loopback, veth and tunnels; most network cards do not use "
                 "it"},
        {IPV4("tcp_synack_retries"), 1, U8, "5", .rule = "syn-queue"},
        /* Measured: connect() to an address that does not answer ends after 3 s with 1, 7 s with 2. */
        {IPV4("tcp_syn_retries"), 1, 1, 127, "6", .low = 3, .help = "how often connect() sends its SYN again",
         .below = "connect() gives up within 7 s: two or three lost packets"},
        {IPV4("tcp_abort_on_overflow"), 1, U8, "0", .above = AS_SYSCTL_SAYS, .rule = "accept-queue"},
        {IPV4("tcp_migrate_req"), 1, BOOL, "0",
         .help = "moves waiting connections to another listener of the SO_REUSEPORT group when one closes"},
        {IPV4("tcp_challenge_ack_limit"), 1, INT,
         .help = "challenge ACKs per second; since Linux 4.7 it is random, which was the remedy for CVE-2016-5696"},
        {IPV4("tcp_invalid_ratelimit"), 1, POSITIVE, "500", .help = "ms between two answers to invalid segments"},

        /* ---- retransmissions and orphans ---- */
        /* ip-sysctl: RFC 1122 asks for at least 3 and for at least 100 s, which is 8. Measured: 5 is 13 s. */
        {IPV4("tcp_retries1"), 1, U8, "3", .help = "retransmissions before TCP looks for another route"},
        {IPV4("tcp_retries2"), 1, U8, "15", .low = 8, .help = "retransmissions before a connection is given up",
         .below = "an outage of less than 100 s (RFC 1122) ends every connection with data in flight"},
        {IPV4("tcp_orphan_retries"), 1, U8, "0", .rule = "orphans"},
        {IPV4("tcp_max_orphans"), 1, INT, .gone = FIRST, .check = lint_check_table, .rule = "orphans-table",
         .below = "a full table resets connections that are closed before all is sent"},
        {IPV4("tcp_frto"), 1, U8, "2", .help = "undoes spurious retransmission timeouts (F-RTO)"},
        {IPV4("tcp_frto_response"), 1, .gone = "Linux 3.10 removed it"},
        {IPV4("tcp_early_retrans"), 1, 0, 4, "3", .help = "tail loss probe (3 and 4 switch it on)"},
        {IPV4("tcp_recovery"), 1, U8, "1", .help = "RACK loss detection"},
        {IPV4("tcp_reordering"), 1, 1, 300, "3", .help = "how much reordering is expected before any was seen"},
        {IPV4("tcp_retrans_collapse"), 1, U8, "1", .help = "joins small segments when they are sent again"},
        {IPV4("tcp_thin_linear_timeouts"), 1, U8, "0",
         .help = "no backoff for connections with few packets in flight"},
        {IPV4("tcp_thin_dupack"), 1, .gone = "Linux 4.11 removed it, RACK does the same"},

        /* ---- options and windows ---- */
        {IPV4("tcp_sack"), 1, U8, "1", .low = 1, .help = "selective acknowledgements",
         .below = "without SACK each lost packet of a window costs a round trip of its own"},
        {IPV4("tcp_dsack"), 1, U8, "1", .low = 1, .help = "tells the sender what arrived twice",
         .below = "the sender cannot see that it retransmitted for nothing and stays slow"},
        /* net/ipv4/sysctl_net_ipv4.c: nothing reads the variables any more. */
        {IPV4("tcp_fack"), 1, U8, "0", .idle = "unused since Linux 4.15: RACK took its place"},
        {IPV4("tcp_low_latency"), 1, U8, "0", .idle = "unused since Linux 4.14: the prequeue is gone"},
        {IPV4("tcp_window_scaling"), 1, U8, "1", .low = 1, .help = "windows over 64 KiB",
         .below = "a connection is limited to 64 KiB per round trip: 5 Mbit/s at 100 ms"},
        /* ip-sysctl: obsolete since Linux 6.6, which brought tcp_shrink_window. */
        {IPV4("tcp_adv_win_scale"), 1, -31, 31, "1", .help = "share of a receive buffer that the window does not use",
         .idle = "unused since Linux 6.6: the kernel measures it", .since = IPV4("tcp_shrink_window")},
        {IPV4("tcp_app_win"), 1, 0, 31, "31", .help = "part of the window kept back for the application"},
        {IPV4("tcp_ecn"), 1, 0, 5, "2", .help = "ECN: 2 accepts it, 1 also asks for it, 0 does neither"},
        {IPV4("tcp_ecn_fallback"), 1, BOOL, "1", .help = "tries again without ECN"},
        {IPV4("tcp_fastopen"), 1, INT, "1", .help = "TCP Fast Open, for programs that ask for it"},
        {IPV4("tcp_mtu_probing"), 1, U8, "0", .help = "finds the path's MTU where ICMP is filtered"},
        {IPV4("tcp_base_mss"), 1, INT, "1024", .help = "where tcp_mtu_probing starts"},
        {IPV4("tcp_min_snd_mss"), 1, 48, 65535, "48", .help = "smallest segment that a peer may ask for"},
        {IPV4("tcp_slow_start_after_idle"), 1, U8, "1", .help = "whether an idle connection starts slowly again"},
        {IPV4("tcp_no_metrics_save"), 1, U8, "0",
         .help = "whether the measurements toward a destination are discarded"},
        {IPV4("tcp_moderate_rcvbuf"), 1, U8, "1", .low = 1, .help = "whether receive buffers grow as they are needed",
         .below = "every connection keeps the middle value of tcp_rmem as its window"},
        {IPV4("tcp_autocorking"), 1, BOOL, "1", .help = "joins small writes while a packet waits in the queue"},
        {IPV4("tcp_notsent_lowat"), 1, 0, UINT32_MAX, "4294967295",
         .help = "unsent bytes from which a socket is full"},
        {IPV4("tcp_limit_output_bytes"), 1, INT, .help = "bytes of a socket in the queues below TCP"},
        {IPV4("tcp_tso_win_divisor"), 1, U8, "3", .help = "share of the window that one TSO packet may take"},
        {IPV4("tcp_stdurg"), 1, U8, "0", .help = "where urgent data ends; almost nothing uses it"},
        {IPV4("tcp_workaround_signed_windows"), 1, U8, "0",
         .help = "for very old peers without window scaling"},
        {IPV4("tcp_congestion_control"), 0, .help = "congestion control of new sockets",
         .check = lint_check_congestion_control},
        {CORE("default_qdisc"), 0, .gone = FIRST, .help = "queue of network devices that come up later"},

        /* Gone long ago, and still pasted. */
        {IPV4("tcp_abc"), 1, .gone = "Linux 3.9 removed it"},
        {IPV4("tcp_dma_copybreak"), 1, .gone = "Linux removed it together with NET_DMA"},
        {IPV4("tcp_cookie_size"), 1, .gone = "Linux 3.10 removed it"},
        {IPV4("tcp_max_ssthresh"), 1, .gone = "Linux removed it; no limit to slow start is needed"},
        {IPV4("tcp_bic*"), 1, .gone = "congestion control is chosen with tcp_congestion_control since Linux 2.6.13"},
        {IPV4("tcp_vegas*"), 1, .gone = "congestion control is chosen with tcp_congestion_control since Linux 2.6.13"},
        {IPV4("tcp_westwood"), 1,
         .gone = "congestion control is chosen with tcp_congestion_control since Linux 2.6.13"},

        /* ---- memory ---- */
        {IPV4("tcp_mem"), 3, 0, INT64_MAX, .gone = FIRST, .check = lint_check_tcp_mem, .rule = "tcp-memory"},
        {IPV4("tcp_rmem"), 3, 1, INT32_MAX, .help = "receive buffer of a connection: minimum, initial, maximum",
         .check = lint_check_buffer},
        {IPV4("tcp_wmem"), 3, 1, INT32_MAX, .help = "send buffer of a connection: minimum, initial, maximum",
         .check = lint_check_buffer},
        /* net/ipv4/tcp_input.c:tcp_rcv_space_adjust() uses tcp_rmem only. */
        {CORE("rmem_max"), 1, 1, INT32_MAX, .gone = FIRST, .low = 65536,
         .below = "it caps the programs that size their buffers themselves",
         .help = "upper bound of setsockopt(SO_RCVBUF); a TCP socket without it grows up to tcp_rmem"},
        {CORE("wmem_max"), 1, 1, INT32_MAX, .gone = FIRST, .low = 65536,
         .below = "it caps the programs that size their buffers themselves",
         .help = "upper bound of setsockopt(SO_SNDBUF); a TCP socket without it grows up to tcp_wmem"},
        /* net/ipv4/tcp.c:tcp_init_sock() replaces them by tcp_rmem[1] and tcp_wmem[1]. */
        {CORE("rmem_default"), 1, 1, INT32_MAX, "212992", .gone = FIRST,
         .idle = "TCP does not use it (tcp_rmem is what counts); UDP and unix sockets do"},
        {CORE("wmem_default"), 1, 1, INT32_MAX, "212992", .gone = FIRST,
         .idle = "TCP does not use it (tcp_wmem is what counts); UDP and unix sockets do"},
        {CORE("optmem_max"), 1, POSITIVE, .help = "memory for socket options and zerocopy"},

        /* ---- conntrack ---- */
        {CONNTRACK("max"), 1, POSITIVE, .gone = LOADED, .check = lint_check_table, .rule = "conntrack-table",
         .below = "a full table drops the packets of new connections"},
        {"net/nf_conntrack_max", 1, POSITIVE, .gone = LOADED, .check = lint_check_table, .rule = "conntrack-table",
         .below = "a full table drops the packets of new connections",
         .help = "the same as net.netfilter.nf_conntrack_max"},
        {CONNTRACK("buckets"), 1, POSITIVE, .gone = LOADED, .help = "hash table of conntrack",
         .rule = "conntrack-table"},
        /* RFC 5382, REQ-5: not less than 2 hours 4 minutes. */
        {CONNTRACK("tcp_timeout_established"), 1, SECONDS, "432000", .gone = LOADED, .low = 7440,
         .help = "seconds that conntrack keeps an idle connection", .rule = "conntrack-table",
         .below = "idle connections are forgotten before the first keepalive probe (7200 s) and then hang"},
        {CONNTRACK("tcp_timeout_time_wait"), 1, SECONDS, "120", .gone = LOADED, .low = 10,
         .help = "seconds that conntrack keeps a closed connection; it does nothing to TIME_WAIT sockets",
         .below = "a FIN that is sent again finds no entry, and NAT hands out the port too soon",
         .rule = "conntrack-insert-failed"},
        {CONNTRACK("tcp_timeout_fin_wait"), 1, SECONDS, "120", .gone = LOADED, .low = 10,
         .help = "seconds that conntrack keeps a connection that one side has closed",
         .below = "a connection that one side has closed and the other still uses is cut", .rule = "conntrack-table"},
        {CONNTRACK("tcp_timeout_close_wait"), 1, SECONDS, "60", .gone = LOADED, .low = 10,
         .help = "seconds that conntrack keeps a connection that one side has closed",
         .below = "a connection that one side has closed and the other still uses is cut", .rule = "conntrack-table"},
        {CONNTRACK("tcp_timeout_syn_recv"), 1, SECONDS, "60", .gone = LOADED, .help = "seconds that conntrack waits"},
        {CONNTRACK("tcp_timeout_syn_sent"), 1, SECONDS, "120", .gone = LOADED, .help = "seconds that conntrack waits"},
        {CONNTRACK("tcp_timeout_last_ack"), 1, SECONDS, "30", .gone = LOADED, .help = "seconds that conntrack waits"},
        {CONNTRACK("tcp_timeout_close"), 1, SECONDS, "10", .gone = LOADED, .help = "seconds that conntrack waits"},
        {CONNTRACK("tcp_loose"), 1, BOOL, "1", .gone = LOADED,
         .help = "0 is for SYNPROXY; elsewhere it cuts connections that are older than their entry"},
        {CONNTRACK("tcp_be_liberal"), 1, BOOL, "0", .gone = LOADED,
         .help = "1 lets segments outside of the window pass instead of calling them invalid"},
        {CONNTRACK("helper"), 1, .gone = "Linux 6.0 removed it"},
        {CONNTRACK("*"), 0, .gone = LOADED},
        {IPV4("netfilter/ip_conntrack_*"), 0, .gone = OLD_CONNTRACK, .rule = "conntrack-table"},
        {IPV4("ip_conntrack_*"), 0, .gone = OLD_CONNTRACK, .rule = "conntrack-table"},
};

static const struct {
        const char *name, *does;
} rules[] = {
        {"time-wait-reuse", "sets tcp_tw_reuse = 1 while TIME_WAIT is about to hold the ports toward one destination"},
        {"time-wait-reuse-sooner", "sets tcp_tw_reuse_delay = 250 while reuse after a second is not enough"},
        {"bind-before-connect", "names the program that binds before it connects"},
        {"wider-port-range", "widens the range up to the nearest listener, if you enable the rule"},
        {"time-wait-table", "raises tcp_max_tw_buckets when the table overflows"},
        {"syn-cookies", "sets tcp_syncookies = 1 when a SYN queue overflows"},
        {"syn-queue", "names the listener whose SYN queue overflows"},
        {"accept-queue", "names the listener whose accept queue overflows, and its unit"},
        {"orphans", "sets tcp_orphan_retries = 6 while closed connections wait for peers that are gone"},
        {"orphans-table", "raises tcp_max_orphans before the table is full"},
        {"fin-wait2-orphans", "sets tcp_fin_timeout = 20 while orphaned FIN_WAIT_2 hold ports toward one destination"},
        {"dead-peers", "sets tcp_keepalive_intvl = 15 and _probes = 5 while many peers are gone"},
        {"conntrack-table", "warns before the conntrack table is full"},
        {"conntrack-insert-failed", "warns when connections fail in conntrack"},
        {"tcp-memory", "warns before TCP runs out of memory"},
};
/* clang-format on */

const unsigned lint_row_count = ELEMENTSOF(lint_rows);

/* The row of one sysctl comes before that of its family. */
const struct lint_row *lint_row_find(const char *path)
{
        for (unsigned i = 0; i < lint_row_count; i++)
                if (fnmatch(lint_rows[i].path, path, FNM_PATHNAME) == 0)
                        return &lint_rows[i];
        return NULL;
}

const char *lint_rule_does(const char *rule)
{
        for (unsigned i = 0; i < ELEMENTSOF(rules); i++)
                if (strcmp(rules[i].name, rule) == 0)
                        return rules[i].does;
        return NULL;
}
