/* SPDX-License-Identifier: MIT */
#pragma once

/* The ephemeral ports toward each destination: how many connect() cannot take now, how many it will not be able to
 * take soon, and how many the load would need on a kernel that does not reuse TIME_WAIT.
 *
 * A destination is a source address, a destination address and a destination port. IPv4-mapped IPv6 counts as IPv4,
 * with which it shares the ports. Only sockets on a local port that connect() may pick are counted, so the connections
 * that a server accepted are not. Kernel: net/ipv4/inet_hashtables.c:__inet_hash_connect and
 * net/ipv4/tcp_ipv4.c:tcp_twsk_unique.
 *
 * Destinations are in a Misra-Gries table of PORTS_DESTINATIONS. The weight of one is its sockets in the dump, and the
 * TIME_WAIT that it is known to have made in the last minute. With a total weight of N, every destination over
 * N / PORTS_DESTINATIONS is in the table after a dump, and its counts are short by at most as much. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <linux/inet_diag.h>

#include "lib/kernel/metric.h"
#include "lib/kernel/unit_names.h"
#include "lib/util/port_set.h"

#define PORTS_DESTINATIONS 512u
#define PORTS_SOURCES 16u
#define PORTS_WINDOW 60u    /* seconds that TIME_WAIT lasts (include/net/tcp.h:TCP_TIMEWAIT_LEN) */
#define PORTS_RING 64u      /* seconds; at least PORTS_WINDOW + 1 */
#define PORTS_FORECAST 3u   /* seconds that ports.forecast is ahead */
#define PORTS_REUSED_MIN 10 /* percent of the new connections */
#define PORTS_WATCHED 8u    /* destinations whose ports are compared from dump to dump */

/* The first metrics: cliff, exhaustion and forecast. Reuse makes them smaller. */
#define PORTS_WITHOUT_REUSE (METRIC_PORTS_FORECAST - METRIC_PORTS_FIRST + 1)

/* The sysctls that decide which ports connect() may pick, but for the reserved ones, read just before the dump. */
struct ports_limits {
        unsigned low, high;         /* ip_local_port_range, inclusive */
        unsigned tw_reuse;          /* tcp_tw_reuse, 0-2 */
        unsigned tw_reuse_delay_ms; /* 1000 where the kernel has no such sysctl */
        bool timestamps;            /* tcp_timestamps is not 0 */
};

/* As in struct inet_diag_sockid: network byte order; IPv4 as ::ffff:a.b.c.d. */
struct destination_key {
        uint32_t src[4], dst[4];
        uint16_t dport;
};

/* The destination of a socket. */
void destination_key_of(const struct inet_diag_msg *socket, struct destination_key *ret);

static inline bool destination_key_equal(const struct destination_key *a, const struct destination_key *b)
{
        return a->dport == b->dport && memcmp(a->dst, b->dst, sizeof(a->dst)) == 0 &&
               memcmp(a->src, b->src, sizeof(a->src)) == 0;
}

struct destination {
        struct destination_key key;
        uint64_t id;                 /* never given to another destination; 0: a free slot */
        bool loopback;               /* for tcp_twsk_unique() */
        bool reuse;                  /* connect() may reuse its TIME_WAIT of a certain age */
        bool known;                  /* was in the table at the dump before */
        bool bind_first;             /* its ports were taken in the order of bind(), not in that of connect() */
        bool from_start;             /* was there at the first of the last two dumps */
        uint8_t source;              /* slot of its source address; PORTS_SOURCES: it has none */
        uint32_t weight;             /* of Misra-Gries */
        uint32_t holders[2];         /* sockets other than TIME_WAIT, by parity of the local port */
        uint32_t blocked[2];         /* TIME_WAIT that connect() cannot reuse now */
        uint32_t reusable[2];        /* TIME_WAIT that connect() can reuse now */
        uint32_t holders_then[2][2]; /* holders at the two earlier dumps of table.then */
        uint32_t fresh;              /* TIME_WAIT made in the window of the rate */
        uint32_t fresh_odd;          /* those of them on an odd port */
        uint32_t recent;             /* TIME_WAIT made since the dump before */
        uint32_t young;              /* TIME_WAIT younger than the reuse delay: too young to be reused */
        uint32_t last_second;        /* TIME_WAIT younger than 1 s */
        uint32_t late[2];          /* sockets other than old TIME_WAIT, [1]: on the parity with which bind() begins */
        uint16_t lowest, highest;  /* port of the latter */
        uint32_t syn_sent;         /* SYN_SENT */
        uint32_t unanswered;       /* those that have waited for 3 s and more */
        uint8_t watched;           /* 1 + its index in table.watched; 0: none */
        uint64_t cgroup;           /* of one of its live sockets (diag_cgroup()); 0: unknown */
        uint64_t other_cgroup;     /* another one of a live socket of this dump; 0: none */
        bool cgroup_seen;          /* a live socket of this dump has that cgroup */
        uint32_t units;            /* a bit for each of ports_use_units() of which a live socket was met */
        uint16_t made[PORTS_RING]; /* TIME_WAIT made in each second; at most UINT16_MAX */
        float lower[METRIC_PORTS_COUNT];
        float upper[METRIC_PORTS_COUNT];
        float without_reuse[PORTS_WITHOUT_REUSE];
};

/* One value of a destination, which lies between two ends: a TIME_WAIT made and reused between two dumps is in
 * neither. */
struct ports_range {
        double lower, upper;
};

/* The ports of one parity toward a destination: those in use, as ss(8) counts them, and those that connect() may
 * pick. */
struct parity_ports {
        bool odd;
        unsigned used, limit;
};

/* Destinations by id. */
struct watch_list {
        uint64_t id[PORTS_WATCHED];
        unsigned n;
};

struct ports;

/* seed: makes the hash unpredictable for peers. Returns NULL if there is no memory. */
struct ports *ports_new(uint64_t seed);
void ports_free(struct ports *ports);

/* A dump is ports_begin(), ports_add_socket() for every socket that does not listen, and ports_commit(). All functions
 * that read use the last committed dump; a failed dump is not committed, and the next ports_begin() drops it.
 *
 * listening: the ports with a listener, which connect() does not pick. reserved: others that it does not pick; NULL: none.
 * tick: ns since the last observation, whether it had a dump or not; the forecast uses the rate in
 * it. */
void ports_begin(struct ports *ports, const struct ports_limits *limits, const struct port_set *reserved,
                 const struct port_set *listening, uint64_t now, uint64_t tick);
void ports_add_socket(struct ports *ports, const struct inet_diag_msg *socket, size_t length, uint64_t now);

/* The memory in which the next dump is built. Nothing of it is needed before ports_begin(). */
void *ports_spare(struct ports *ports, size_t *ret_size);

/* recycled: the change of TWRecycled since the dump before; UINT64_MAX: unknown. */
void ports_commit(struct ports *ports, uint64_t recycled);

/* From the next dump on, the ports of these destinations are compared from dump to dump, before those of the busiest:
 * that is what ports.reused and ports.syn_waiting need. */
void ports_watch(struct ports *ports, const struct watch_list *list);

/* Instead of a dump, as for a recording: puts one destination, alone, into the table; NULL: none. Copies its key and
 * values; its id and loopback follow from the key. */
void ports_give_destination(struct ports *ports, const struct destination *given);
void ports_give_listening(struct ports *ports, const struct port_set *listening);

/* Sets the cgroup of a destination of which the last dump showed no live socket. */
void ports_give_cgroup(struct ports *ports, uint64_t id, uint64_t cgroup);

/* Notes for each destination which of these units have had a live socket toward it (TIME_WAIT has no cgroup), for as long
 * as the destination is in the table. Borrowed, and to be given again after a change. NULL: forgets the units of all
 * destinations; then a dump reads cgroups only until it meets the known one of a destination. */
void ports_use_units(struct ports *ports, const struct unit_cgroups *units);

/* The highest id of a cgroup of a live socket so far. A later cgroup has a higher one (fs/kernfs/dir.c:kernfs_new_node). */
uint64_t ports_newest_cgroup(const struct ports *ports);

/* How many listeners may come or go between two readings of them. */
#define LISTENERS_UNSEEN 64u

/* Computes, without a new dump, the bounds of each metric over all destinations.
 * opened: at least the connections that connect() opened since the last dump (ActiveOpens)
 * sockets: at least all of the host
 * listeners: at least those that came or went since the last dump
 * Needs a dump made with the current port range and reserved ports. */
void ports_bounds(const struct ports *ports, uint64_t opened, uint64_t sockets, unsigned listeners,
                  struct ports_range ret[static METRIC_PORTS_COUNT]);

/* When the last dump began, ns; 0: there was none. */
uint64_t ports_seen_at(const struct ports *ports);

/* Ports that connect() may pick, of the last dump. */
unsigned ports_usable(const struct ports *ports);

/* The slots are 0 to ports_slots() - 1; some are free. */
unsigned ports_slots(const struct ports *ports);
const struct destination *ports_destination(const struct ports *ports, unsigned slot);

/* The fuller parity. */
struct parity_ports ports_fuller_parity(const struct ports *ports, const struct destination *destination);

/* The higher of forecast and demand, percent. */
double ports_busyness(const struct destination *destination);

/* Those of the smaller parity, unless next to none of it is usable. */
unsigned ports_parity(const struct ports *ports);

/* The destinations for which that is highest, the busiest first. Returns their number, most at most. */
unsigned ports_most_busy(const struct ports *ports, const struct destination *ret[], unsigned most);

/* The first of them; NULL: the table is empty. */
const struct destination *ports_busiest(const struct ports *ports);

/* The metrics that need two dumps, and enough connections. */
static inline bool ports_may_be_unknown(unsigned metric)
{
        return metric == METRIC_PORTS_REUSED || metric == METRIC_PORTS_SYN_WAITING;
}

/* Both ends are NAN if the value is unknown. */
struct ports_range ports_value(const struct destination *destination, unsigned metric);

/* True if connections toward it are seen to reuse ports in TIME_WAIT; with a smaller share reuse decides nothing. */
static inline bool destination_is_reused(const struct destination *d)
{
        return d->lower[METRIC_PORTS_REUSED - METRIC_PORTS_FIRST] >= PORTS_REUSED_MIN;
}

/* Returns the destination with the id; NULL: it is not in the table. */
const struct destination *ports_find(const struct ports *ports, uint64_t id);

/* The value without the remedy: as if no TIME_WAIT could be reused. There is no reuse without timestamps, and no dump
 * shows whether a peer uses them; so ports_value() may be low while connect() fails. This value shows the load, and
 * ports.reused whether reuse works. */
double ports_value_without_reuse(const struct destination *destination, unsigned metric);

/* The listeners of the last dump that was begun. */
bool ports_is_listening(const struct ports *ports, unsigned port);
const struct port_set *ports_listening(const struct ports *ports);

/* "10.0.0.1->10.0.0.7:8080" */
#define DESTINATION_NAME_MAX 112
const char *destination_name(const struct destination_key *key, char buf[static DESTINATION_NAME_MAX]);

/* Parses the name of a destination. Returns 0 or -EINVAL. */
int destination_key_parse(const char *name, struct destination_key *ret);
