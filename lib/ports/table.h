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
 * Destinations are in a Misra-Gries table of PORTS_DESTINATIONS. The weight of a destination is its sockets in the
 * dump plus the TIME_WAIT that it is known to have made in the last minute. With a total weight of N, the table
 * has, after a dump, every destination whose weight is over N / PORTS_DESTINATIONS, and no count of it is short by
 * more than that. */

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

/* The number of metrics that reuse lowers. They are the first ones: cliff, exhaustion and forecast. */
#define PORTS_WITHOUT_REUSE (METRIC_PORTS_FORECAST - METRIC_PORTS_FIRST + 1)

/* Sysctls that decide which ports connect() may pick, all but ip_local_reserved_ports. Read just before the dump. */
struct ports_limits {
        unsigned low, high;         /* ip_local_port_range, inclusive */
        unsigned tw_reuse;          /* tcp_tw_reuse, 0-2 */
        unsigned tw_reuse_delay_ms; /* 1000 where the kernel has no such sysctl */
        bool timestamps;            /* tcp_timestamps is not 0 */
};

/* In network byte order, as in struct inet_diag_sockid; unlike there, IPv4 is ::ffff:a.b.c.d. */
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
        bool loopback;               /* its source or destination is a loopback address, see tcp_twsk_unique() */
        bool reuse;                  /* connect() may reuse its TIME_WAIT that is older than the reuse delay */
        bool known;                  /* was in the table at the dump before */
        bool bind_first;             /* its ports were taken in the order of bind(), not in that of connect() */
        bool from_start;             /* was in the first dump, and this dump is the first or second */
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
        uint16_t lowest, highest;  /* ports of late[1] */
        uint32_t syn_sent;         /* SYN_SENT */
        uint32_t unanswered;       /* those whose SYN was sent again twice: after 3 s, since Linux 6.5 after 2 s */
        uint8_t watched;           /* 1 + its index in table.watched; 0: none */
        uint64_t cgroup;           /* of one of its live sockets (diag_cgroup()); 0: unknown */
        uint64_t other_cgroup;     /* the first other cgroup of a live socket of this dump; 0: none */
        bool cgroup_seen;          /* a live socket of this dump is in .cgroup */
        uint32_t units;            /* a bit for each unit of ports_use_units() that had a live socket toward it */
        uint16_t made[PORTS_RING]; /* TIME_WAIT made in each second; at most UINT16_MAX */
        /* Set at the end of the dump. Not cleared when a new destination gets the slot. */
        float lower[METRIC_PORTS_COUNT];
        float upper[METRIC_PORTS_COUNT];
        float without_reuse[PORTS_WITHOUT_REUSE];
};

/* The bounds of a value of a destination. They differ by the sockets that the dumps may lack, such as a TIME_WAIT
 * that was made and reused between two dumps. */
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

/* A dump is ports_begin(), ports_add_socket() for every socket that does not listen, and ports_commit(). Functions
 * that read use the last committed dump unless they say otherwise. A failed dump is not committed, and the next
 * ports_begin() drops it.
 *
 * listening: the ports with a listener, which connect() does not pick. reserved: other ports that it does not pick;
 * NULL: none. tick: ns since the last observation, with a dump or not; the forecast uses the rate over this time, but
 * over at least 2 s and at most 60 s. */
void ports_begin(struct ports *ports, const struct ports_limits *limits, const struct port_set *reserved,
                 const struct port_set *listening, uint64_t now, uint64_t tick);
void ports_add_socket(struct ports *ports, const struct inet_diag_msg *socket, size_t length, uint64_t now);

/* Returns the memory in which the next dump is built. From ports_commit() to ports_begin() its contents are not
 * needed: the caller may give the pages back to the kernel. */
void *ports_spare(struct ports *ports, size_t *ret_size);

/* recycled: the change of TWRecycled since the dump before; UINT64_MAX: unknown. */
void ports_commit(struct ports *ports, uint64_t recycled);

/* From the next dump on, compares the ports of these destinations from dump to dump, in preference to those of the
 * busiest ones. ports.reused and ports.syn_waiting are known only for destinations whose ports are compared. */
void ports_watch(struct ports *ports, const struct watch_list *list);

/* For a recording, which has no dumps: makes a copy of this destination the only one in the table; NULL: empties the
 * table. Sets loopback by the key, and gives the copy a new id if the key differs from the last one. */
void ports_give_destination(struct ports *ports, const struct destination *given);
void ports_give_listening(struct ports *ports, const struct port_set *listening);

/* Sets the cgroup of a destination whose cgroup is unknown, as no dump has shown a live socket toward it. */
void ports_give_cgroup(struct ports *ports, uint64_t id, uint64_t cgroup);

/* From now on, records which of these units had a live socket toward a destination (TIME_WAIT has no cgroup), until
 * the destination leaves the table. units is borrowed; call this again after a change of it. NULL: forgets the units
 * of all destinations; then a dump reads the cgroups of a destination's sockets only until one is in .cgroup. */
void ports_use_units(struct ports *ports, const struct unit_cgroups *units);

/* Returns the highest cgroup id of the live sockets so far. A cgroup that is created later has a higher id
 * (fs/kernfs/dir.c:kernfs_new_node). */
uint64_t ports_newest_cgroup(const struct ports *ports);

/* The number of listeners that are assumed to come or go, at most, between two reads of them. */
#define LISTENERS_UNSEEN 64u

/* Computes, without a new dump, the bounds of each metric over all destinations. The numbers may be too high, but not
 * too low:
 * opened: the connections that connect() opened since the last dump (ActiveOpens)
 * sockets: all sockets of the host
 * listeners: those that came or went since the last dump, and the ports that programs bound since then
 * Needs a dump made with the current port range and reserved ports. */
void ports_bounds(const struct ports *ports, uint64_t opened, uint64_t sockets, unsigned listeners,
                  struct ports_range ret[static METRIC_PORTS_COUNT]);

/* When the last dump began, ns; 0: there was none. */
uint64_t ports_seen_at(const struct ports *ports);

/* Returns how many ports connect() could pick at the last dump. */
unsigned ports_usable(const struct ports *ports);

/* The slots are 0 to ports_slots() - 1; some are free. */
unsigned ports_slots(const struct ports *ports);
const struct destination *ports_destination(const struct ports *ports, unsigned slot);

/* The fuller parity; a parity with under an eighth of the usable ports of the other does not count. */
struct parity_ports ports_fuller_parity(const struct ports *ports, const struct destination *destination);

/* The higher of forecast and demand, percent. */
double ports_busyness(const struct destination *destination);

/* Returns the usable ports of the smaller parity, or of the other one if that has over eight times as many. */
unsigned ports_parity(const struct ports *ports);

/* Fills ret, an array of `most` items, with the destinations of the highest ports_busyness(), the busiest first.
 * Returns how many. */
unsigned ports_most_busy(const struct ports *ports, const struct destination *ret[], unsigned most);

/* Returns the busiest destination; NULL: the table is empty. */
const struct destination *ports_busiest(const struct ports *ports);

/* Returns the highest lower bound and the highest upper bound of a metric, maybe of two destinations, neither of them
 * the busiest; 0 and 0: the table is empty. */
struct ports_range ports_highest(const struct ports *ports, unsigned metric);

/* True for the metrics that are unknown until two dumps have shown enough connections. */
static inline bool ports_may_be_unknown(unsigned metric)
{
        return metric == METRIC_PORTS_REUSED || metric == METRIC_PORTS_SYN_WAITING;
}

/* Both bounds are NAN if the value is unknown. */
struct ports_range ports_value(const struct destination *destination, unsigned metric);

/* True if at least PORTS_REUSED_MIN percent of the new connections toward it reuse a port in TIME_WAIT; false if
 * unknown. A smaller share is too small to make a difference. */
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
