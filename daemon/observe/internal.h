/* SPDX-License-Identifier: MIT */
#pragma once

/* The internals of the observer, a file for each source or task:
 *   wanted.c        what the configuration needs
 *   observer.c      what a tick reads, in which order
 *   sources.c       the files under /proc: open, read, retry
 *   counters.c      netstat and snmp
 *   sockstat.c      sockstat and sockstat6: the tables, and how many sockets there are
 *   conntrack.c     nf_conntrack's files
 *   sysctls.c       the sysctls, and the limits by which connect() picks ports
 *   listeners.c     a dump of the listeners
 *   bounded_dump.c  how long a dump may take
 *   budget.c        how often dumps may be made
 *   bound.c         the ports of sockets that are only bound
 *   udp.c           the ports and receive buffers of UDP sockets, and snmp6
 *   dump.c          a dump of all other sockets, for states.c and destinations.c
 *   culprit.c       the unit of sockets
 *   closings.c      connections that end
 *   states.c        sockets by state
 *   units.c         the cgroups of the units that rules name
 *   destinations.c  ports.* toward each destination */

#include "daemon/observe/cgroup.h"
#include "daemon/observe/observer.h"
#include "daemon/observe/proc_file.h"
#include "daemon/observe/sock_diag.h"
#include "lib/kernel/cgroup_tally.h"
#include "lib/kernel/close_wait.h"
#include "lib/kernel/listeners.h"

#define DUMP_TRIES 3u
#define TCP_STATES 16u
#define UDP_DROPPED_MAX 64u
/* For all dumps of a tick together. WatchdogSec of the unit is 30 s, and the watchdog is fed after half of that. */
#define DUMPS_US 10000000
#define SOURCE_TEXT_SIZE 65536u /* the first size of the buffer */

enum source {
        SOURCE_NETSTAT,
        SOURCE_SNMP,
        SOURCE_SNMP6,
        SOURCE_SOCKSTAT,
        SOURCE_SOCKSTAT6,
        SOURCE_CONNTRACK_COUNT,
        SOURCE_CONNTRACK_STAT,
        SOURCE_STATM,
        SOURCE_SYSCTL, /* from here on, one for each sysctl */
        SOURCE_COUNT = SOURCE_SYSCTL + (int)SYSCTL_COUNT,
};

/* The source of a sysctl. Without (int) clang 19 warns of arithmetic between two enumerations. */
#define SOURCE_OF(sysctl) ((enum source)(SOURCE_SYSCTL + (int)(sysctl)))

enum dump_kind {
        DUMP_PORTS, /* the sockets with ephemeral ports */
        DUMP_STATES,
        DUMP_BOTH, /* dump() in dump.c makes only these first three */
        DUMP_LISTENERS,
        DUMP_BOUND,
        DUMP_UDP,
        DUMP_LIVE, /* all but TIME_WAIT, to find a cgroup */
        DUMP_COUNT,
};

/* Further counts of one sample by state: their indexes come after those of the TCP states. */
enum {
        COUNT_FIN_WAIT2_ORPHANED = TCP_STATES,
        COUNT_FIN_WAIT2_HELD,
        COUNT_KEEPALIVE_UNANSWERED,
        COUNT_RETRANSMITTING,
        COUNT_DATA_UNANSWERED,
        COUNTS,
};

struct tally {
        bool valid; /* the sample is complete, and no other one has been due since */
        unsigned count[COUNTS];
        struct cgroup_tally data_unanswered;
        struct reading syn_queue; /* the fullest queue of all listeners, percent; invalid: the listeners are unknown */
        char syn_queue_name[LISTENER_NAME_MAX];
        uint64_t syn_queue_cgroup;
};

/* The last successful dump of the ports: the bounds of ports.* are derived from it. */
struct basis {
        struct ports_limits limits;
        struct port_set listening, bound;
        bool counted;                      /* opened and recycled are known */
        uint64_t opened, recycled;         /* ActiveOpens and TWRecycled */
        double opened_rate, recycled_rate; /* per second, up to that dump: means in which older dumps count for less */
};

/* The counts of /proc/net/sockstat, or of sockstat6, which has only tcp and udp. */
struct socket_counts {
        uint64_t used, tcp, udp, tw;
};

struct observer {
        const char *root; /* "/proc"; the caller's */
        struct proc_file file[SOURCE_COUNT];
        char *text; /* of the file read last, NUL-terminated; "" if that read failed */
        size_t text_size;
        uint64_t retry_at;     /* when to open missing and failed sources again */
        bool retried;          /* sources were opened again: read now even what is read at long intervals */
        uint64_t memory_bytes; /* of the machine */

        uint64_t now, since; /* ns: the time of this read; the time since the one before, 0: there was none */
        uint64_t dump_ns;    /* how long the dumps after this read took */
        uint64_t cpu_before; /* CPU time of the thread at the last fill_self(); 0: unknown */

        uint32_t sysctls_now; /* a bit for each sysctl passed to observer_sysctl_read(): read at every tick */
        struct sock_diag diag;
        int closings; /* the descriptor of observer_listen(); 0: none */
        uint64_t slow_until,
                slow_ns; /* no dump before slow_until, as the last one took too long; the length of that pause */
        bool no_diag[2]; /* the kernel lacked tcp_diag, and udp_diag; sources_retry() clears both */
        struct ports *ports;
        struct basis basis;
        struct close_wait close_wait;
        struct cgroup_cache cgroups;
        struct unit_names unit_names;  /* of the rules */
        struct unit_cgroups units;     /* the cgroups of the named units, as of the last walk */
        uint64_t units_newest;         /* the newest cgroup of a socket at that walk; 0: no walk has succeeded yet */
        bool configured;               /* observer_set_config() was called */
        const struct snapshot *filled; /* the snapshot that the read before filled */
        bool named[METRIC_COUNT];      /* an endpoint or culprit of that metric was set */

        /* observer_set_config() clears everything from here on. */
        bool early;                /* the next read is one between two regular ticks */
        bool hurried;              /* the last read was such a read */
        uint64_t regular_at, tick; /* ns: last regular read of the counters; time since the one before; 0: none */

        bool wanted[METRIC_COUNT];
        uint32_t states;         /* a bit for each TCP state that the wanted metrics count */
        uint32_t sysctls;        /* a bit for each sysctl to read */
        bool listeners_always;   /* a rule needs the listeners as they are at each tick */
        bool always_dump;        /* at every tick, if cpu_budget allows */
        double budget;           /* cpu_budget as a share of one core, 0 to 1; 0: no limit */
        uint64_t slowly_ns;      /* for how long a slow sample is used */
        int error[SOURCE_COUNT]; /* of the last read of each: a negative errno; 0: none */

        unsigned calm;       /* reads in a row in which neither snmp nor a number of sockets has moved */
        bool waited;         /* the last read did without snmp */
        uint64_t moved_at;   /* when snmp or a number of sockets last moved */
        bool netstat_waits;  /* each netstat counter to read moves only together with one of these */
        uint64_t same_until; /* ns: until then, a read in which neither moved only calls fill_quiet(); 0: unset */

        double paws; /* PAWSTimewait in about the last minute: the older an event is, the less it counts */

        unsigned newly_bound;         /* ports in bound that were not bound at the last dump of the ports */
        struct reading bound_share;   /* ports.bound */
        uint64_t bound_at;            /* when a dump of the bound sockets was last tried; 0: not yet */
        uint64_t unaccounted_then;    /* unaccounted() in bound.c at that time */
        uint64_t allocated, orphaned; /* TCP sockets of the whole host */
        uint64_t memory;              /* of TCP, pages, of the whole host */

        unsigned udp_ports;
        uint64_t udp_inuse;    /* UDP sockets, IPv4 and IPv6 */
        uint64_t udp_at;       /* when a dump of them was last tried; 0: never */
        int udp_error;         /* of that try; 0: none */
        uint64_t udp_known_at; /* when a dump of them last succeeded; 0: never */
        bool udp_first;        /* the last try was the first in a while: new drops are unknown, even if it succeeded */
        uint64_t udp6_drops;   /* Udp6RcvbufErrors at the last read */
        uint64_t udp6_at;      /* when that was; 0: not yet */
        bool udp6_dropped;     /* it had risen since the read before */
        unsigned n_udp_dropped, n_udp_dropped_before;
        uint32_t udp_most_drops;  /* the most new drops of one socket since the dump before */
        double udp_fullest_share; /* how full the receive buffer of that socket is, percent */
        struct listener udp_fullest;

        char sockstat_text[256]; /* the text that ipv4 was read from */
        struct socket_counts ipv4, ipv6;
        uint64_t sockstat6_at; /* when ipv6 was read */
        bool inuse_known;
        uint64_t tw_before; /* tw at the last regular read; UINT64_MAX: unknown */
        double tw_rate; /* TIME_WAIT sockets made per second, thrown away or not: a mean, older reads count for less */
        uint64_t tw, inuse; /* sockets: minisockets of TIME_WAIT and FIN_WAIT_2, and full ones, IPv4 and IPv6 */
        uint64_t counted;   /* what observer_count() would have returned at the last read */

        struct reading conntrack_table, conntrack_insert_failed; /* the last sample */
        uint64_t conntrack_at;                                   /* its time; 0: there is none */
        uint64_t insert_failed;                                  /* the counter then */
        bool insert_failed_known;

        struct live_sysctl live_sysctl[SYSCTL_COUNT];
        uint64_t sysctls_at; /* when all sysctls were read; 0: not yet */
        bool limits_known;
        struct ports_limits limits; /* the current limits by which connect() picks ports */
        struct port_set reserved;   /* ip_local_reserved_ports */
        unsigned usable;            /* ports of the range that are not reserved */
        uint64_t reserved_at;       /* when reserved was read; 0: not yet */
        bool reserved_changed;      /* after the last dump of the ports */

        struct listeners listeners;
        struct port_set listening; /* their ports */
        bool listening_changed;    /* they differ from those at the last dump of the ports */
        unsigned n_listening;
        unsigned overflows;           /* the index of ListenOverflows in counters; COUNTERS_MAX: they are full */
        uint64_t listeners_overflows; /* ListenOverflows at the last note_bursts() in listeners.c */
        uint64_t listeners_at;        /* when they were read; 0: not yet */
        uint64_t listeners_tried_at;  /* when reading them was last tried */
        int listeners_error;          /* of that try; 0: none */
        uint64_t listeners_drops;     /* ListenDrops at their last dump that was not between two ticks */

        struct tally tally;       /* the last sample by state that succeeded */
        uint64_t states_again_at; /* when it expires */

        bool dumping;                    /* the last read asked for a dump */
        bool dumped;                     /* the ports were dumped at least once */
        bool settled;                    /* the account of cpu_budget was settled when this read began */
        uint64_t settled_at;             /* when that account is settled */
        uint64_t dump_every;             /* ns from the last dump of the ports until that account is settled */
        uint64_t dump_cpu[DUMP_COUNT];   /* CPU time of the last dump of each kind, ns; 0: there was none yet */
        uint64_t dump_debit[DUMP_COUNT]; /* the part of it that was debited */

        struct destination_key sought; /* the destination whose cgroup is looked for */
        uint64_t found;                /* that cgroup; 0: not found yet */
        uint64_t seek_again_at;        /* no search before this time */

        bool looking;             /* observer_look() is running */
        uint64_t look_settled_at; /* when the account of looks is settled */

        /* Large, so last: a tick of an idle host reads most of the members before, and next to none of these. */
        struct counters counters;
        uint64_t before[COUNTERS_MAX],
                regular[COUNTERS_MAX]; /* the counters at the last but one regular read, and the last */
        bool seen_before[COUNTERS_MAX], seen_regular[COUNTERS_MAX];
        char snmp_text[4096];  /* the text that the counters of snmp were read from */
        struct port_set bound; /* ports of sockets that are only bound, as of their last dump */
        struct port_set bound_building;
        struct cgroup_tally bound_by;
        struct tally tally_building; /* the sample that is being taken, or one that failed */
        struct port_set udp_seen;
        struct cgroup_tally udp_by;
        struct udp_drops {
                uint64_t cookie;
                uint32_t drops;                                              /* since the socket was made */
        } udp_dropped[UDP_DROPPED_MAX], udp_dropped_before[UDP_DROPPED_MAX]; /* in this dump, and in the one before */
};

#define OBSERVER_KEPT offsetof(struct observer, early) /* bytes that observer_set_config() keeps */

/* wanted.c: sets wanted and what follows from it, budget and slowly_ns; only adds to sysctls and listeners_always.
 * config NULL: wants every metric, and leaves budget and slowly_ns as they are. */
void want_config(struct observer *observer, const struct config *config);

/* sources.c: every minute, sources_retry() opens missing and failed files again, enlarges the buffer for one that did
 * not fit, and lets the next dump ask for tcp_diag and udp_diag again, and for both families in one walk. */
int sources_open(struct observer *observer); /* 0 or -ENOMEM */
void sources_close(struct observer *observer);
void sources_retry(struct observer *observer);
void sources_make_room(struct observer *observer); /* enlarges the buffer until every file fits, at most to 4 MB */
void sources_unread(const struct observer *observer, struct unread *unread);
struct proc_file source_open(const char *root, enum source source);

/* Reads a file into text; source_read_start() reads size bytes at most. Returns 0 or a negative errno, which
 * error[] keeps until the next read; a caller that cannot parse the text stores -EBADMSG there. source_state()
 * returns the state that an error gives to the metrics. */
int source_read(struct observer *observer, enum source source);
int source_read_start(struct observer *observer, enum source source, size_t size);
enum reading_state source_state(const struct observer *observer, enum source source);
void remember_text(const struct observer *observer, char *ret,
                   size_t size); /* writes "", which no file's text equals, if the text does not fit */

/* Each reads a sign of activity, and returns true if it has moved since the read before or cannot be read.
 * snmp_moved(): any counter of snmp. sockets_moved(): a number of sockets of this netns; also true if moved is. */
bool snmp_moved(struct observer *observer);
bool sockets_moved(struct observer *observer, bool moved);

/* Each reads its source if that is due, and fills in its metrics. */
void fill_counters(struct observer *observer, struct snapshot *s);
void read_netstat(struct observer *observer);
void netstat_want(struct observer *observer); /* sets netstat_waits, by the counters to read */
struct reading counter_change(const struct observer *observer, unsigned counter); /* since the previous regular read */
void fill_sysctls(struct observer *observer, struct snapshot *s);
void fill_sockstat(struct observer *observer, struct snapshot *s);
bool fill_quiet(struct observer *observer,
                struct snapshot *s); /* if no sign has moved; returns true if a reading changed */
void fill_conntrack(struct observer *observer, struct snapshot *s);
void fill_self(struct observer *observer, struct snapshot *s);
void fill_listeners(struct observer *observer, struct snapshot *s, struct unread *unread);

/* culprit.c: sets the endpoint of a metric, and its culprit by the cgroup of the sockets. */
void fill_culprit(struct observer *observer, struct snapshot *s, unsigned metric, const char *endpoint,
                  uint64_t cgroup);

/* culprit.c: looks for a live socket toward a destination, and gives its cgroup to the destination. Returns 0 or a
 * negative errno; observer->found is that cgroup, 0: there is none. */
int seek_cgroup(struct observer *observer, const struct destination *destination);

/* units.c: copies the names of the units that the rules name; looks for their cgroups again if a socket's cgroup is
 * newer than all at the last walk. */
void units_want(struct observer *observer, const struct unit_names *names);
void units_read(struct observer *observer);

/* bound.c: returns whether a dump of the bound sockets is due; makes it if it is; fills in ports.bound. */
bool bound_is_due(const struct observer *observer);
void read_bound(struct observer *observer, struct unread *unread);
void fill_bound(struct observer *observer, struct snapshot *s);

/* udp.c: returns whether udp.ports needs a dump; returns when the drops of IPv6 sockets are to be read; fills in
 * udp.ports and udp.receive_buffer, from a dump if due. */
bool udp_ports_needed(const struct observer *observer);
uint64_t udp6_due(const struct observer *observer);
void fill_udp(struct observer *observer, struct snapshot *s, struct unread *unread);

/* sysctls.c: reads the reserved ports if they are due. From these and the sysctls in s it sets the limits and the
 * number of usable ports, and fills in ports.below_32768 and ports.reserved. */
void read_limits(struct observer *observer, struct snapshot *s);

/* sockstat.c: returns in percent how large `part` is of a table, whose size is the last number of the sysctl `whole`;
 * finds the number after a word, or returns false. */
struct reading share_of(double part, const struct live_sysctl *whole);
bool number_after(const char *text, const char *word, uint64_t *ret);

/* budget.c: checks at the start of a read whether the account is settled; debits it with a dump. begun: the thread's
 * CPU time when the dump began, ns. */
void budget_begin(struct observer *observer);
void budget_debit(struct observer *observer, enum dump_kind kind, uint64_t begun);
/* Returns the pause, in ns, after the most expensive of the last dumps of the ports, of the states and of both. */
uint64_t budget_pause(const struct observer *observer);
void budget_debit_look(struct observer *observer, uint64_t begun); /* debits the account of looks instead */

/* bounded_dump.c: makes a dump, and up to two further tries if it fails or the kernel calls it inconsistent
 * (NLM_F_DUMP_INTR); all dumps of a tick have 10 s together. Calls begin before each try. Returns 0 or a negative
 * errno; -ETIMEDOUT: the dump took too long, or the pause after an earlier dump that did is not over; -ENOENT: the
 * kernel lacks tcp_diag or, for UDP sockets, udp_diag (either is tried again every minute). */
int observer_dump(struct observer *observer, const struct sock_diag_query *query, void (*begin)(struct observer *o),
                  sock_diag_handler handler);
/* Reports the error of a dump, except -ECANCELED: a daemon that is told to end cancels the running dump. */
void unread_dump(struct unread *unread, int r, const char *what);

/* listeners.c: returns whether the listeners may have changed since they were read; reads them, unless this tick has
 * tried already, and returns false if they are unknown. */
bool listeners_may_differ(const struct observer *observer);
bool read_listeners(struct observer *observer, struct snapshot *s, struct unread *unread);

/* states.c: sets the states to count; returns whether a sample is due; takes one sample from a dump; fills in its
 * metrics, or bounds while no sample is valid. */
void states_want(struct observer *observer);
bool states_due(const struct observer *observer);
void states_begin(struct observer *observer);
void states_count(void *observer, const struct inet_diag_msg *socket, size_t length);
void states_commit(struct observer *observer);
void states_fill(struct observer *observer, struct snapshot *s);

/* destinations.c: ends a dump of the ports, which ports_begin() began; fills in its metrics; fills in bounds for them
 * without a dump, or returns false if no bounds hold. */
void destinations_commit(struct observer *observer);
bool destinations_may_be_short(const struct observer *observer); /* judged by the connections since the last dump */
void fill_destinations(struct observer *observer, struct snapshot *s);
bool bound_destinations(const struct observer *observer, struct snapshot *s);
