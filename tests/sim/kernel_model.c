/* SPDX-License-Identifier: MIT */
#include "kernel_model.h"

#include <math.h>
#include <string.h>

#include "../unit/sockets.h"
#include "lib/util/macro.h"

#define SECOND_MS 1000u
/* 60 s (include/net/tcp.h:TCP_TIMEWAIT_LEN), which kernel/time/timer.c rounds up by as much as 2 s at HZ=250 */
#define TIME_WAIT_SECONDS 61u
#define SYN_SENT_SECONDS 127u   /* tcp_syn_retries = 6: 1 + 2 + 4 + ... + 64 */
#define SYN_LINEAR 4u           /* tcp_syn_linear_timeouts */
#define LATE_MS 1000u           /* the SYN is sent again (include/net/tcp.h:TCP_TIMEOUT_INIT) */
#define NEIGHBOUR 65u           /* a range that is widened soon meets a service */
#define SYN_SENT_RETRANSMITS 6u /* in that time */

const char *const kernel_counter_names[KERNEL_COUNTERS] = {
        [KERNEL_TW_RECYCLED] = "netstat.TcpExt.TWRecycled",
        [KERNEL_SYN_RETRANS] = "netstat.TcpExt.TCPSynRetrans",
        [KERNEL_ACTIVE_OPENS] = "snmp.Tcp.ActiveOpens",
        [KERNEL_OUT_RSTS] = "snmp.Tcp.OutRsts",
        [KERNEL_TIME_WAIT_OVERFLOW] = "netstat.TcpExt.TCPTimeWaitOverflow",
        [KERNEL_REQ_Q_FULL_DROP] = "netstat.TcpExt.TCPReqQFullDrop",
        [KERNEL_REQ_Q_FULL_DO_COOKIES] = "netstat.TcpExt.TCPReqQFullDoCookies",
        [KERNEL_LISTEN_OVERFLOWS] = "netstat.TcpExt.ListenOverflows",
        [KERNEL_LISTEN_DROPS] = "netstat.TcpExt.ListenDrops",
        [KERNEL_ABORT_ON_MEMORY] = "netstat.TcpExt.TCPAbortOnMemory",
};

/* ---- cohorts ---- */

static void cohorts_add(struct cohorts *c, uint64_t second, unsigned n)
{
        c->began[second % KERNEL_COHORTS] += n;
        c->n += n;
}

static void cohorts_expire(struct cohorts *c, uint64_t second, uint64_t lifetime)
{
        if (c->n == 0) {
                c->oldest = second;
                return;
        }
        for (; c->oldest + lifetime <= second; c->oldest++) {
                c->n -= c->began[c->oldest % KERNEL_COHORTS];
                c->began[c->oldest % KERNEL_COHORTS] = 0;
        }
}

/* How many whole ones have become due. */
static unsigned due(double *carry, double rate, double seconds)
{
        double whole;

        *carry = modf(*carry + rate * seconds, &whole);
        return (unsigned)whole;
}

/* ---- sysctls ---- */

static int64_t in_effect(const struct kernel *k, enum sysctl_id id)
{
        return k->ignores ? k->ignores[id].v[0] : k->sysctl[id].v[0];
}

void kernel_limits(const struct kernel *k, struct ports_limits *limits)
{
        const struct sysctl_value *range = &(k->ignores ? k->ignores : k->sysctl)[SYSCTL_IP_LOCAL_PORT_RANGE];

        limits->low = (unsigned)range->v[0];
        limits->high = (unsigned)range->v[1];
        limits->tw_reuse = (unsigned)in_effect(k, SYSCTL_TCP_TW_REUSE);
        /* Before 6.14: net/ipv4/tcp_ipv4.c:tcp_twsk_unique compared whole seconds. */
        limits->tw_reuse_delay_ms =
                k->lacks[SYSCTL_TCP_TW_REUSE_DELAY] ? 1000 : (unsigned)in_effect(k, SYSCTL_TCP_TW_REUSE_DELAY);
        limits->timestamps = in_effect(k, SYSCTL_TCP_TIMESTAMPS) != 0;
}

/* ---- connect() ---- */

static bool is_loopback(const struct model_destination *d)
{
        return d->address >> 24 == 127;
}

static bool is_over(const struct kernel *k, const struct port *p)
{
        uint64_t lifetime = p->state == TCP_TIME_WAIT ? TIME_WAIT_SECONDS : SYN_SENT_SECONDS;

        return p->state != TCP_ESTABLISHED && p->since / SECOND_MS + lifetime <= k->now_ms / SECOND_MS;
}

static bool is_free(const struct kernel *k, const struct port *p)
{
        return p->state == 0 || is_over(k, p);
}

/* net/ipv4/tcp_ipv4.c:tcp_twsk_unique */
static bool is_reusable(const struct model_destination *d, const struct port *p, const struct ports_limits *l,
                        uint64_t at)
{
        bool applies = l->tw_reuse == 1 || (l->tw_reuse == 2 && is_loopback(d));

        return p->state == TCP_TIME_WAIT && applies && l->timestamps && !d->no_timestamps &&
               at - p->since > l->tw_reuse_delay_ms;
}

/* bind() to port 0 wants a port that nobody with this source address has, whatever the destination. */
static bool is_free_for_all(const struct kernel *k, unsigned index)
{
        for (unsigned i = 0; i < TO_STRANGERS; i++)
                if (!is_free(k, &k->model_destination[i].port[index]))
                        return false;
        return true;
}

/* net/ipv4/inet_hashtables.c:__inet_hash_connect: all ports of the low end's parity from where it was, then those
 * of the other; for bind(), inet_connection_sock.c:inet_csk_find_open_port, the other way round. KERNEL_PORTS:
 * EADDRNOTAVAIL. */
static unsigned pick_port(struct kernel *k, struct model_destination *d, const struct ports_limits *l, uint64_t at)
{
        struct random *random = d->stranger ? &k->strange_random : &k->random;
        unsigned n = (l->high - l->low + 1) & ~1u, base = l->low - KERNEL_PORT_BASE;
        unsigned start = d->perturb % n & ~1u;

        for (unsigned pass = 0; pass < 2; pass++)
                for (unsigned i = 0; i < n; i += 2) {
                        unsigned index = base + (start + i) % n + (pass ^ d->binds);
                        const struct port *p = &d->port[index];

                        if (port_set_has(&k->listening, index + KERNEL_PORT_BASE))
                                continue;
                        if (d->binds ? !is_free_for_all(k, index) : !is_free(k, p) && !is_reusable(d, p, l, at))
                                continue;
                        d->perturb += MAX(i, random_below(random, 8) * 2) + 2;
                        return index;
                }
        return KERNEL_PORTS;
}

/* A port for a new connection; what was on it is gone. NULL: EADDRNOTAVAIL. *ret_reused: it was in TIME_WAIT. */
static struct port *take_port(struct kernel *k, struct model_destination *d, const struct ports_limits *l, uint64_t at,
                              bool *ret_reused)
{
        unsigned index = pick_port(k, d, l, at);
        struct port *p = &d->port[index];

        if (index == KERNEL_PORTS)
                return NULL;
        d->last_ms = at;
        k->counter[KERNEL_ACTIVE_OPENS]++;
        *ret_reused = p->state == TCP_TIME_WAIT && !is_over(k, p);
        if (*ret_reused) {
                k->time_wait.began[p->since / SECOND_MS % KERNEL_COHORTS]--;
                k->time_wait.n--;
                k->counter[KERNEL_TW_RECYCLED]++;
        }
        return p;
}

/* net/ipv4/inet_timewait_sock.c:inet_twsk_alloc: past the size of the table the socket is just gone. */
static bool table_has_room(struct kernel *k)
{
        k->time_waits++;
        if (kernel_tw(k) < (uint64_t)in_effect(k, SYSCTL_TCP_MAX_TW_BUCKETS))
                return true;
        k->counter[KERNEL_TIME_WAIT_OVERFLOW]++;
        return false;
}

static void close_port(struct kernel *k, struct model_destination *d, struct port *p, uint64_t at)
{
        d->last_ms = at;
        *p = (struct port){.since = at};
        if (!table_has_room(k))
                return;
        p->state = TCP_TIME_WAIT;
        cohorts_add(&k->time_wait, at / SECOND_MS, 1);
}

/* share: of connects on reused ports. No random number is drawn where nothing waits. */
static bool waits(struct kernel *k, double share, bool reused)
{
        return share > 0 && reused && random_below(&k->strange_random, 1000) < share * 1000;
}

static bool open_port(struct kernel *k, struct model_destination *d, const struct ports_limits *l, uint64_t at,
                      bool hold, double reuse_waits)
{
        bool reused;
        struct port *p = take_port(k, d, l, at, &reused);

        if (!p) {
                k->refused++;
                return false;
        }
        if (d->silent) {
                *p = (struct port){.since = at, .state = TCP_SYN_SENT};
        } else if (waits(k, reuse_waits, reused)) {
                *p = (struct port){.since = at, .state = TCP_SYN_SENT, .late = true};
                d->waiting++;
        } else if (hold) {
                *p = (struct port){.since = at, .state = TCP_ESTABLISHED};
                d->held++;
        } else {
                close_port(k, d, p, at);
        }
        return true;
}

static const struct ports_limits *limits_now(const struct kernel *k)
{
        static struct ports_limits limits;

        kernel_limits(k, &limits);
        return &limits;
}

bool kernel_connect(struct kernel *k, struct model_destination *d, uint64_t at)
{
        return open_port(k, d, limits_now(k), at, false, 0);
}

/* Programs that get EADDRNOTAVAIL give up for this second. */
static void run_connects(struct kernel *k, const struct load *load, unsigned to, uint64_t from, uint64_t until)
{
        struct model_destination *d = &k->model_destination[to];
        double seconds = (double)(until - from) / SECOND_MS, recycled = k->counter[KERNEL_TW_RECYCLED];
        unsigned n = due(&d->carry, load->connects[to], seconds), done = 0;
        const struct ports_limits *l = limits_now(k);

        while (done < n && open_port(k, d, l, from + (until - from) * done / n, false, load->reuse_waits))
                done++;
        k->counter[KERNEL_SYN_RETRANS] += done * load->syn_loss;
        k->counter[KERNEL_OUT_RSTS] += done * load->resets;
        if (l->tw_reuse_delay_ms < SECOND_MS)
                k->counter[KERNEL_OUT_RSTS] += (k->counter[KERNEL_TW_RECYCLED] - recycled) * load->early_resets;
}

static void run_held(struct kernel *k, unsigned wanted, struct model_destination *d, uint64_t until)
{
        const struct ports_limits *l = limits_now(k);
        unsigned index = 0; /* some may be outside a range that was wider */

        if (d->silent)
                return;
        while (d->held < wanted && open_port(k, d, l, until, true, 0))
                ;
        for (; d->held > wanted; index++)
                if (d->port[index].state == TCP_ESTABLISHED) {
                        close_port(k, d, &d->port[index], until);
                        d->held--;
                }
}

/* Those whose SYN is sent again by now are answered, and closed. */
static void run_waiting(struct kernel *k, struct model_destination *d, uint64_t until)
{
        for (unsigned i = 0; i < KERNEL_PORTS && d->waiting > 0; i++) {
                struct port *p = &d->port[i];

                if (p->state != TCP_SYN_SENT || !p->late || p->since + LATE_MS > until)
                        continue;
                k->counter[KERNEL_SYN_RETRANS]++;
                d->waiting--;
                close_port(k, d, p, p->since + LATE_MS);
        }
}

static void run_silent(struct kernel *k, struct model_destination *d, double seconds)
{
        const struct ports_limits *l = limits_now(k);

        d->opening = 0;
        for (unsigned i = l->low - KERNEL_PORT_BASE; i <= l->high - KERNEL_PORT_BASE; i++)
                d->opening += !is_free(k, &d->port[i]);
        k->counter[KERNEL_SYN_RETRANS] += d->opening * seconds * SYN_SENT_RETRANSMITS / SYN_SENT_SECONDS;
}

/* ---- everything else ---- */

/* net/ipv4/tcp_timer.c:tcp_orphan_retries (0 is 8); the retransmissions double from the minimum RTO of 200 ms. */
static uint64_t orphan_lifetime(const struct kernel *k)
{
        int64_t retries = in_effect(k, SYSCTL_TCP_ORPHAN_RETRIES);

        return (uint64_t)ceil(0.2 * (double)((UINT64_C(2) << (retries > 0 ? retries : 8)) - 1));
}

static void run_orphans(struct kernel *k, const struct load *load, uint64_t second, double seconds)
{
        int64_t most = in_effect(k, SYSCTL_TCP_MAX_ORPHANS);
        unsigned n = due(&k->orphans.carry, load->vanished, seconds), room;

        cohorts_expire(&k->orphans, second, orphan_lifetime(k));
        /* net/ipv4/tcp.c:tcp_check_oom */
        room = (unsigned)MAX(most - (int64_t)k->orphans.n, 0);
        cohorts_add(&k->orphans, second, MIN(n, room));
        k->counter[KERNEL_ABORT_ON_MEMORY] += n - MIN(n, room);

        /* net/ipv4/tcp_minisocks.c:tcp_time_wait(sk, TCP_FIN_WAIT2, tcp_fin_time(sk)) */
        cohorts_expire(&k->fin_wait2_orphans, second, (uint64_t)in_effect(k, SYSCTL_TCP_FIN_TIMEOUT));
        n = due(&k->fin_wait2_orphans.carry, load->half_closed, seconds);
        while (n-- > 0 && table_has_room(k))
                cohorts_add(&k->fin_wait2_orphans, second, 1);
}

static void run_server(struct kernel *k, const struct load *load, uint64_t second, double seconds)
{
        unsigned n = due(&k->time_wait.carry, load->server_closes, seconds);
        int64_t room = in_effect(k, SYSCTL_TCP_MAX_TW_BUCKETS) - (int64_t)kernel_tw(k);
        unsigned fit = (unsigned)MIN((int64_t)n, MAX(room, 0));

        k->time_waits += n;
        cohorts_add(&k->time_wait, second, fit);
        k->counter[KERNEL_TIME_WAIT_OVERFLOW] += n - fit;
}

/* include/net/inet_connection_sock.h:inet_csk_reqsk_queue_is_full, net/ipv4/tcp_input.c:tcp_conn_request: with
 * syncookies what finds no room is answered all the same. */
static void run_syns(struct kernel *k, const struct load *load, uint64_t second, double seconds)
{
        uint64_t lifetime = (UINT64_C(2) << in_effect(k, SYSCTL_TCP_SYNACK_RETRIES)) - 1;
        unsigned n = due(&k->syn_recv.carry, load->syns, seconds), room, over;

        cohorts_expire(&k->syn_recv, second, lifetime);
        room = (unsigned)MAX(k->listener.syn_backlog - (double)k->syn_recv.n, 0);
        over = n - MIN(n, room);
        cohorts_add(&k->syn_recv, second, n - over);
        k->counter[in_effect(k, SYSCTL_TCP_SYNCOOKIES) ? KERNEL_REQ_Q_FULL_DO_COOKIES : KERNEL_REQ_Q_FULL_DROP] +=
                over;
}

/* include/net/sock.h:sk_acceptq_is_full: one more than the backlog fits. */
static void run_listener(struct kernel *k, const struct load *load, double seconds)
{
        struct listener_model *l = &k->listener;
        double over;

        l->queued = load->arrivals > 0 ? fmax(l->queued + (load->arrivals - load->accepts) * seconds, 0) : 0;
        over = fmax(l->queued - (l->backlog + 1), 0);
        l->queued -= over;
        k->counter[KERNEL_LISTEN_OVERFLOWS] += over;
        k->counter[KERNEL_LISTEN_DROPS] += over;
}

/* Probes go unanswered until the peer is given up (tcp(7)). */
static void run_keepalive(struct kernel *k, const struct load *load, uint64_t second, double seconds)
{
        int64_t lifetime = in_effect(k, SYSCTL_TCP_KEEPALIVE_INTVL) * in_effect(k, SYSCTL_TCP_KEEPALIVE_PROBES);

        cohorts_expire(&k->keepalive_unanswered, second, (uint64_t)lifetime);
        cohorts_add(&k->keepalive_unanswered, second, due(&k->keepalive_unanswered.carry, load->dead_peers, seconds));
}

static void run_slice(struct kernel *k, const struct load *load, uint64_t until)
{
        uint64_t from = k->now_ms, second = until / SECOND_MS;
        double seconds = (double)(until - from) / SECOND_MS;

        k->now_ms = until;
        cohorts_expire(&k->time_wait, second, TIME_WAIT_SECONDS);
        for (unsigned i = 0; i < DESTINATIONS; i++) {
                run_waiting(k, &k->model_destination[i], until);
                if (load->held[i] != k->model_destination[i].held)
                        run_held(k, load->held[i], &k->model_destination[i], until);
                if (load->connects[i] > 0)
                        run_connects(k, load, i, from, until);
                if (k->model_destination[i].silent && (k->model_destination[i].opening > 0 || load->connects[i] > 0))
                        run_silent(k, &k->model_destination[i], seconds);
        }
        k->counter[KERNEL_OUT_RSTS] += load->scans * seconds;
        run_orphans(k, load, second, seconds);
        run_server(k, load, second, seconds);
        run_syns(k, load, second, seconds);
        run_listener(k, load, seconds);
        run_keepalive(k, load, second, seconds);
        k->leaked = load->leaks > 0 ? k->leaked + load->leaks * seconds : 0; /* the program is started anew */
        k->fin_wait2 = load->fin_wait2;
        k->memory = load->memory;
        k->conntrack = load->conntrack;
        k->insert_failed += load->insert_failed * seconds;
}

void kernel_run(struct kernel *k, const struct load *load, uint64_t now_ms)
{
        while (k->now_ms < now_ms)
                run_slice(k, load, MIN((k->now_ms / SECOND_MS + 1) * SECOND_MS, now_ms));
}

void kernel_init(struct kernel *k, uint64_t seed, unsigned low, unsigned ports)
{
        static const struct {
                enum sysctl_id id;
                struct sysctl_value value;
        } stock[] = {
                {SYSCTL_TCP_TW_REUSE, SYSCTL_VALUE(2)},
                {SYSCTL_TCP_TW_REUSE_DELAY, SYSCTL_VALUE(1000)},
                {SYSCTL_IP_UNPRIVILEGED_PORT_START, SYSCTL_VALUE(1024)},
                {SYSCTL_TCP_MAX_TW_BUCKETS, SYSCTL_VALUE(65536)},
                {SYSCTL_TCP_FIN_TIMEOUT, SYSCTL_VALUE(60)},
                {SYSCTL_TCP_KEEPALIVE_TIME, SYSCTL_VALUE(7200)},
                {SYSCTL_TCP_KEEPALIVE_INTVL, SYSCTL_VALUE(75)},
                {SYSCTL_TCP_KEEPALIVE_PROBES, SYSCTL_VALUE(9)},
                {SYSCTL_TCP_SYNCOOKIES, SYSCTL_VALUE(1)},
                {SYSCTL_TCP_MAX_SYN_BACKLOG, SYSCTL_VALUE(512)},
                {SYSCTL_SOMAXCONN, SYSCTL_VALUE(4096)},
                {SYSCTL_TCP_SYNACK_RETRIES, SYSCTL_VALUE(5)},
                {SYSCTL_TCP_ORPHAN_RETRIES, SYSCTL_VALUE(0)},
                {SYSCTL_TCP_MAX_ORPHANS, SYSCTL_VALUE(16384)},
                {SYSCTL_TCP_MEM, {3, {100000, 130000, 200000}}},
                {SYSCTL_NF_CONNTRACK_MAX, SYSCTL_VALUE(262144)},
                {SYSCTL_NF_CONNTRACK_TCP_TIMEOUT_TIME_WAIT, SYSCTL_VALUE(120)},
                {SYSCTL_TCP_TIMESTAMPS, SYSCTL_VALUE(1)},
                {SYSCTL_TCP_RFC1337, SYSCTL_VALUE(0)},
                {SYSCTL_TCP_ABORT_ON_OVERFLOW, SYSCTL_VALUE(0)},
        };

        memset(k, 0, sizeof(*k));
        k->now_ms = 1000 * SECOND_MS;
        k->random = (struct random){seed, seed};
        k->strange_random = (struct random){seed, ~seed};
        for (unsigned i = 0; i < ELEMENTSOF(stock); i++)
                k->sysctl[stock[i].id] = stock[i].value;
        k->sysctl[SYSCTL_IP_LOCAL_PORT_RANGE] = (struct sysctl_value){2, {low, low + ports - 1}};
        k->lacks[SYSCTL_TCP_TW_RECYCLE] = true;
        port_set_add(&k->listening, low - NEIGHBOUR);
        port_set_add(&k->listening, low + ports + NEIGHBOUR);
        k->listener = (struct listener_model){.backlog = 4096, .syn_backlog = 256};
        for (unsigned i = 0; i < TO_STRANGERS; i++)
                k->model_destination[i] =
                        (struct model_destination){.address = i == TO_LOOPBACK ? 0x7f000001 : 0x0a000002 + i,
                                                   .no_timestamps = i == TO_OLD_PEER,
                                                   .binds = i == TO_BOUND_PEER,
                                                   .silent = i == TO_DEAD_PEER,
                                                   .perturb = random_below(&k->random, 65536)};
        for (unsigned i = TO_STRANGERS; i < DESTINATIONS; i++)
                k->model_destination[i] =
                        (struct model_destination){.address = (i < TO_STRANGE_PEER ? 0x7f000002 : 0x0a000102) + i,
                                                   .silent = i == TO_NOWHERE,
                                                   .stranger = true,
                                                   .perturb = random_below(&k->strange_random, 65536)};
}

uint64_t kernel_tw(const struct kernel *k)
{
        return k->time_wait.n + k->fin_wait2_orphans.n;
}

uint64_t kernel_inuse(const struct kernel *k)
{
        uint64_t n = k->orphans.n + k->keepalive_unanswered.n + k->fin_wait2 + (uint64_t)k->leaked +
                     (uint64_t)k->listener.queued;

        for (unsigned i = 0; i < DESTINATIONS; i++)
                n += k->model_destination[i].held + k->model_destination[i].opening + k->model_destination[i].waiting;
        return n;
}

/* The timers of a socket (net/ipv4/inet_diag.c:inet_sk_diag_fill). A SYN is sent again after 1, 2, 3, 4, 5, 7, 11, ...
 * seconds (ip-sysctl.rst:tcp_syn_linear_timeouts, Linux 6.5; before, after 1, 3, 7, ...). */
static void set_timer(struct inet_diag_msg *m, const struct port *p, uint64_t age)
{
        m->idiag_timer = m->idiag_retrans = 0;
        m->idiag_expires = 0;
        if (p->state == TCP_TIME_WAIT) {
                m->idiag_timer = 3;
                m->idiag_expires = age < 60000 ? (uint32_t)(60000 - age) : 0;
        } else if (p->state == TCP_SYN_SENT) {
                uint64_t next = SECOND_MS;

                for (; next <= age; next += SECOND_MS << (MAX(m->idiag_retrans, SYN_LINEAR) - SYN_LINEAR))
                        m->idiag_retrans++;
                m->idiag_timer = 1;
                m->idiag_expires = (uint32_t)(next - age);
        }
}

/* 127.0.0.1, the host's address, or another one of strangers. */
static uint32_t source_address(const struct model_destination *d)
{
        return is_loopback(d) ? 0x7f000001 : d->stranger ? 0x0a000101 : 0x0a000001;
}

static void dump_destination(const struct kernel *k, const struct model_destination *d, const struct ports_limits *l,
                             struct ports *ports, uint64_t now)
{
        const struct model_socket socket = {
                .family = AF_INET, .dport = 80, .src = source_address(d), .dst = d->address};
        struct inet_diag_msg message = model_message(&socket, 0);

        for (unsigned port = l->low; port <= l->high; port++) {
                const struct port *p = &d->port[port - KERNEL_PORT_BASE];
                uint64_t age = k->now_ms - p->since;

                if (is_free(k, p))
                        continue;
                message.id.idiag_sport = htons((uint16_t)port);
                message.idiag_state = p->state;
                set_timer(&message, p, age);
                ports_add_socket(ports, &message, sizeof(message), now);
        }
}

void kernel_dump(const struct kernel *k, struct ports *ports, uint64_t now)
{
        const struct ports_limits *l = limits_now(k);

        for (unsigned i = 0; i < DESTINATIONS; i++) {
                const struct model_destination *d = &k->model_destination[i];

                if (d->held > 0 || d->waiting > 0 || d->last_ms + 2 * SYN_SENT_SECONDS * SECOND_MS > k->now_ms)
                        dump_destination(k, d, l, ports, now);
        }
}
