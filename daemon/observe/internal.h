/* SPDX-License-Identifier: MIT */
#pragma once

/* The inside of the observer, shared by observer.c (what is read when), observer_proc.c (files under /proc) and
 * observer_sockets.c (sock_diag) with observer_states.c. */

#include "daemon/observe/cgroup.h"
#include "daemon/observe/observer.h"
#include "daemon/observe/proc_file.h"
#include "daemon/observe/sock_diag.h"
#include "lib/kernel/close_wait.h"
#include "lib/kernel/listeners.h"

#define TEXT_SIZE 65536u
#define TCP_STATES 16u

enum source {
        SOURCE_SOCKSTAT,
        SOURCE_SOCKSTAT6,
        SOURCE_NETSTAT,
        SOURCE_SNMP,
        SOURCE_CONNTRACK_COUNT,
        SOURCE_CONNTRACK_STAT,
        SOURCE_STATM,
        SOURCE_COUNT,
};

enum dump_kind {
        DUMP_PORTS, /* a look at the sockets with ephemeral ports */
        DUMP_BOTH,  /* a look that is also a sample by state */
        DUMP_STATES,
        DUMP_COUNT,
};

/* What was counted by state. */
struct tally {
        unsigned states[TCP_STATES];
        unsigned fin_wait2_orphaned, keepalive_unanswered, retransmitting;
        double syn_queue; /* of the listener with the fullest, percent */
        char syn_queue_name[LISTENER_NAME_MAX];
        uint64_t syn_queue_cgroup;
};

struct observer {
        struct proc_file source[SOURCE_COUNT], sysctl[SYSCTL_COUNT];
        char text[TEXT_SIZE]; /* of the file at hand */

        bool wanted[METRIC_COUNT];
        uint32_t states;       /* of which sockets are counted for the wanted metrics: a bit each */
        bool always_dump;      /* at every tick, if cpu_budget allows */
        bool dumping;          /* the last read asked for a look */
        double budget;         /* of one core, 0 to 1; 0: no limit */
        uint64_t memory_bytes; /* of the machine */
        uint64_t slowly_ns;    /* how long what is sampled slowly stands */
        uint32_t sysctls;      /* a bit for each that is read */
        uint32_t sysctls_now;  /* those of them that we hold, or want to: read at every tick */
        uint64_t sysctls_at;   /* when all were read */
        struct live_sysctl live_sysctl[SYSCTL_COUNT];

        uint64_t now, tick;  /* of this read, and since the one before; 0: there was none */
        uint64_t cpu_before; /* CPU time of the thread when the read before began; 0: not known */

        struct counters counters;
        uint64_t before[COUNTERS_MAX]; /* the counters at the read before */
        uint64_t counters_at;          /* when counters was read; 0: not yet */
        double counters_elapsed;       /* seconds between the last two reads; 0: there is only one */
        char snmp_text[4096];          /* what they were last read from */
        uint64_t snmp_moved_at;        /* when it was not what it had been */
        struct reading conntrack_table, conntrack_insert_failed; /* the last sample */
        uint64_t conntrack_at;                                   /* its time; 0: there is none */
        uint64_t insert_failed;                                  /* the counter then */
        bool insert_failed_known;
        uint64_t tw, inuse; /* sockets: minisockets of TIME_WAIT and FIN_WAIT_2, and full ones, IPv4 and IPv6 */

        struct sock_diag diag;
        struct ports *ports;
        struct listeners listeners;
        bool listeners_always; /* a rule asks for what has to be as it is now */
        uint64_t listeners_at; /* when they were read */
        uint64_t drops_then;   /* ListenDrops before that */
        unsigned n_listening;
        uint64_t inuse_then;  /* inuse when they were read */
        unsigned quiet_ticks; /* in a row, without other sockets and without packets */
        struct cgroup_cache cgroups;

        /* The last sample of states. */
        struct tally tally;
        struct close_wait close_wait;
        uint64_t states_again_at; /* until when it stands */

        /* The last look at all sockets that succeeded. */
        bool dumped;
        struct ports_limits limits, live;          /* at that look, and now */
        char reserved_text[512];                   /* what live.reserved was parsed from */
        uint64_t reserved_at;                      /* when it was read */
        bool reserved_moved;                       /* since that look */
        struct port_set listening, listening_then; /* when last read, and at that look */
        bool listening_moved;                      /* one is not the other */
        uint64_t opened_then, recycled_then;       /* ActiveOpens and TWRecycled */
        uint64_t dump_again_at, dump_every;        /* by cpu_budget */
        uint64_t dump_cpu[DUMP_COUNT];             /* ns that the last of each kind took; 0: there was none yet */
};

/* observer_proc.c. All return 0 or a negative errno. */
int observer_read_counters(struct observer *o);
void fill_counters(const struct observer *o, struct snapshot *s);
void fill_opens(const struct observer *o, struct snapshot *s);
int fill_sockstat(struct observer *o, struct snapshot *s);
void fill_conntrack(struct observer *o, struct snapshot *s);
void fill_self(struct observer *o, struct snapshot *s);
int read_source(struct observer *o, enum source source);
void remember_text(const struct observer *o, char *ret, size_t size); /* "" when it is too long: never the same */

/* observer_sockets.c */
int read_limits(struct observer *o, const struct snapshot *s);
int read_listeners(struct observer *o, struct snapshot *s);
int update_listeners(struct observer *o, struct snapshot *s);
int read_states(struct observer *o, struct snapshot *s);
uint64_t budget_pause(struct observer *o, enum dump_kind kind, uint64_t begun); /* ns; begun: thread_cpu_ns() */
int dump_ports(struct observer *o, struct snapshot *s);
void fill_ports(struct observer *o, struct snapshot *s);
void fill_ports_bounds(const struct observer *o, struct snapshot *s);

/* observer_states.c: which states are asked for; whether a sample is due; one sample, from a dump; and what it says,
 * or bounds while it is due. */
void states_want(struct observer *o);
bool states_due(const struct observer *o);
void states_begin(struct observer *o);
void states_count(struct observer *o, const struct inet_diag_msg *socket, size_t length);
void states_commit(struct observer *o);
void states_fill(struct observer *o, struct snapshot *s);
