/* SPDX-License-Identifier: MIT */
#pragma once

/* Ephemeral ports toward each destination: how many connect() cannot take, how many it will not be able to
 * take soon, and how many the load would need on a kernel without reuse.
 *
 * A destination group is (source, destination, destination port); IPv4-mapped IPv6 counts as IPv4, with which
 * it shares the ports. Only sockets whose local port connect() may pick count, so a server's flows stay out.
 * The kernel side is net/ipv4/inet_hashtables.c:__inet_hash_connect and tcp_ipv4.c:tcp_twsk_unique.
 *
 * Groups live in a Misra-Gries table of PORTS_GROUPS. A group weighs the sockets that the dump shows of it
 * and the TIME_WAIT that it is known to have made in the last minute. With a total weight of N, every group
 * over N / PORTS_GROUPS is in the table after a dump, and its counts are short by at most ports_error(). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/inet_diag.h>

#include "lib/kernel/metric.h"
#include "lib/util/port_set.h"

#define PORTS_DESTINATIONS 512u
#define PORTS_SOURCES 16u
#define PORTS_WINDOW 60u /* seconds; TIME_WAIT lasts that long (include/net/tcp.h:TCP_TIMEWAIT_LEN) */
#define PORTS_RING 64u   /* a second each; at least PORTS_WINDOW + 1 */

/* What connect() goes by, read from the sysctls just before the dump. */
struct ports_limits {
        unsigned low, high;         /* ip_local_port_range, inclusive */
        unsigned tw_reuse;          /* tcp_tw_reuse, 0-2 */
        unsigned tw_reuse_delay_ms; /* 1000 where the kernel has no such sysctl */
        bool timestamps;            /* tcp_timestamps is not 0 */
        struct port_set reserved;   /* ip_local_reserved_ports */
};

/* Addresses and port as in inet_diag_sockid: network byte order, IPv4 as ::ffff:a.b.c.d. */
struct destination_key {
        uint32_t src[4], dst[4];
        uint16_t dport;
};

struct destination {
        struct destination_key key;
        uint64_t id;               /* never used again for another group; 0: a free slot */
        bool loopback;             /* as tcp_twsk_unique() sees it */
        bool reuse;                /* connect() may reuse its TIME_WAIT once they are old enough */
        bool known;                /* was in the table at the dump before */
        uint8_t source;            /* PORTS_SOURCES: there was no slot for its source address */
        uint32_t weight;           /* of Misra-Gries */
        uint32_t holders[2];       /* sockets other than TIME_WAIT, by parity of the local port */
        uint32_t blocked[2];       /* TIME_WAIT that connect() cannot reuse now */
        uint32_t reusable[2];      /* TIME_WAIT that it can */
        uint32_t fresh;            /* TIME_WAIT of the last tick, at least of the last two seconds */
        uint32_t last_second;      /* TIME_WAIT younger than 1 s */
        uint64_t cgroup;           /* of one of its live sockets, see diag_cgroup(); 0: none is known */
        uint16_t made[PORTS_RING]; /* TIME_WAIT made in each second; stays at UINT16_MAX once there */
        float lower[METRIC_PORTS_COUNT];
        float upper[METRIC_PORTS_COUNT];
        float unrelieved[METRIC_PORTS_COUNT]; /* of cliff, exhaustion and forecast */
};

/* One value of a group. What was made and reused between two dumps is in no dump: the truth lies between the
 * two ends. */
struct ports_range {
        double lower, upper;
};

struct ports;

/* seed makes the hash unpredictable for peers. NULL: no memory. */
struct ports *ports_new(uint64_t seed);
void ports_free(struct ports *ports);

/* One dump: begin, every socket that does not listen, then commit or, when the dump failed, nothing: begin
 * drops what was not committed, and what ports_group() shows is always the last dump that was committed. */
/* listening: the ports that have a listener; connect() leaves them out. tick is the time since the last look at
 * anything, in ns: the forecast goes by the rate in it. */
void ports_begin(struct ports *ports, const struct ports_limits *limits, const struct port_set *listening,
                 uint64_t now, uint64_t tick);
void ports_add_socket(struct ports *ports, const struct inet_diag_msg *socket, size_t length, uint64_t now);

/* recycled is the change of TWRecycled since the dump before. */
void ports_commit(struct ports *ports, uint64_t recycled);

/* Instead of a dump: the group whose values are known from elsewhere, such as a recording, alone in the table; NULL:
 * there is none. Its key and values count, its id and loopback follow from the key. */
void ports_give_destination(struct ports *ports, const struct destination *group);
void ports_give_listening(struct ports *ports, const struct port_set *listening);

/* Between two readings of the listeners that many may come or go. */
#define LISTENERS_UNSEEN 64u

/* Between which ends the values of every group must lie now, though no dump was made since the one that was
 * committed last: connect() has opened no more than opened connections since (ActiveOpens), there are no more than
 * sockets in all, and no more than listeners came or went. Needs one dump that was committed, and that range and
 * reserved ports are as they were then. */
void ports_bounds(const struct ports *ports, uint64_t opened, uint64_t sockets, unsigned listeners,
                  struct ports_range ret[static METRIC_PORTS_COUNT]);

/* The slots of the table, 0 to ports_slots() - 1; some are free. */
unsigned ports_slots(const struct ports *ports);
const struct destination *ports_destination(const struct ports *ports, unsigned slot);

/* The forecast or the demand, whichever is higher, percent. */
double ports_busyness(const struct destination *group);

/* The groups of which that is the highest, the busiest first. Returns how many there are, most at most. */
unsigned ports_most_busy(const struct ports *ports, const struct destination *ret[], unsigned most);

/* The first of them; NULL when there is none. */
const struct destination *ports_busiest(const struct ports *ports);

struct ports_range ports_value(const struct destination *group, unsigned metric);

/* The value if no TIME_WAIT could be reused. Whether a peer uses timestamps, without which there is no reuse, is
 * in no dump: a group that counts as relieved may be stuck. This one shows the load all the same, and
 * TWRecycled whether reuse works. */
double ports_value_unrelieved(const struct destination *group, unsigned metric);

/* How many sockets a count in the table can be short of. 0 while no more than PORTS_GROUPS groups were met. */
unsigned ports_error(const struct ports *ports);

/* The listeners of the last dump that was begun. */
bool ports_is_listening(const struct ports *ports, unsigned port);
const struct port_set *ports_listening(const struct ports *ports);

/* "10.0.0.1->10.0.0.7:8080" */
#define DESTINATION_NAME_MAX 112
const char *destination_name(const struct destination *group, char buf[static DESTINATION_NAME_MAX]);

/* The key of a group by its name. 0 or -EINVAL. */
int destination_key_parse(const char *name, struct destination_key *ret);
