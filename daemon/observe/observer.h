/* SPDX-License-Identifier: MIT */
#pragma once

/* Reads the sockets, the counters and the sysctls of this netns into a snapshot: at every tick what costs next to
 * nothing, and sockets only when that is not enough to decide.
 *
 * Each source fails alone. If one cannot be read, its own metrics are invalid (unavailable if this kernel or netns
 * has no such file), and the others are read all the same. A file that is missing or fails is opened again every
 * minute, so that a module may be loaded later. A file that has grown past the buffer gets a larger one then: that
 * minute's retry and observer_set_config() are the only places that open a file or allocate memory. */

#include "lib/config/config.h"
#include "lib/kernel/snapshot.h"
#include "lib/ports/table.h"

struct observer;

/* Opens all files under proc_root ("/proc"), which has to outlive the observer. Returns 0 or -ENOMEM. */
int observer_new(const char *proc_root, struct observer **ret);

/* Returns 0 if the sockets can be dumped, else a negative errno; -ENOENT: the kernel has no tcp_diag. */
int observer_probe(struct observer *observer);
void observer_free(struct observer *observer);

/* Sets what to read from now on: the ports, and what the rules name. config NULL: everything, as often as asked.
 * counters are those to read; both are copied. Rates need two reads, so counters are invalid in the first one. */
void observer_set_config(struct observer *observer, const struct config *config, const struct counters *counters);

/* For a recording: until the next observer_set_config() every metric and sysctl is read, and all sockets are dumped as
 * often as cpu_budget allows. */
void observer_want_everything(struct observer *observer);

/* Returns every counter of this kernel, to be freed with free(3); NULL without memory. */
struct counters *observer_list_counters(const char *proc_root);

/* The first step of a tick: reads counters, sysctls and, when due, the listeners. Metrics of sockets are those of the
 * last sample by state, or bounds computed from counters and the last dump. *ret_dump: these bounds do not hold, so a
 * dump is needed. */
void observer_read(struct observer *observer, struct snapshot *ret, bool *ret_dump, struct unread *unread);

/* The next observer_read() is one between two regular ticks: all that is no socket, sysctl or table keeps the reading of
 * the last regular one. It needs the snapshot of the read before. */
void observer_set_early(struct observer *observer);

/* Counts the TCP sockets of this netns, but for the full ones of IPv6: next to nothing to read. Returns 0 or a negative
 * errno. observer_counted() returns the count at the last observer_read(). */
int observer_count(struct observer *observer, uint64_t *ret);
uint64_t observer_counted(const struct observer *observer);

/* Likewise the connections that this netns opened since it was made (ActiveOpens): a little more to read. */
int observer_count_opened(struct observer *observer, uint64_t *ret);
uint64_t observer_opened(const struct observer *observer);

/* Listens for closed TCP connections (closings.c). Returns a descriptor of the observer that becomes readable after
 * about so many, or a negative errno. observer_unlisten() ends it, and every closed connection costs nothing again. */
int observer_listen(struct observer *observer, unsigned connections);
void observer_unlisten(struct observer *observer);

/* Samples the sockets by state if that is due (SLOWLY in metric.h); returns false, and the snapshot is as before, if it is
 * not. */
bool observer_read_states(struct observer *observer, struct snapshot *snapshot, struct unread *unread);

/* Dumps all sockets with ephemeral ports, or, while cpu_budget forbids another dump, repeats the values of the last
 * one. On an error ports.* are invalid. watch: see ports_watch(). */
void observer_read_sockets(struct observer *observer, const struct watch_list *watch, struct snapshot *snapshot,
                           struct unread *unread);

/* Updates the ports that people see: dumps them after a tick, when all is decided, if the last dump is older than every
 * (ns). Takes half a second at most, and CPU time from an account of its own (a tenth of cpu_budget), so that it delays
 * no dump that a rule needs. If it fails, the snapshot is as before. */
#define LOOK_CLIENT (10 * NSEC_PER_SEC)
#define LOOK_METRICS (60 * NSEC_PER_SEC)
void observer_look(struct observer *observer, uint64_t every, struct snapshot *snapshot);

/* When observer_look() may dump again, ns of CLOCK_BOOTTIME. */
uint64_t observer_look_at(const struct observer *observer, uint64_t every);

/* Reads and writes one sysctl. A sysctl that was read once is read at every tick from then on, so that the caller sees
 * later changes. Returns 0 or a negative errno; -ENOENT: this kernel or netns does not have it. */
int observer_sysctl_read(struct observer *observer, enum sysctl_id sysctl, struct sysctl_value *ret);
int observer_sysctl_write(struct observer *observer, enum sysctl_id sysctl, const struct sysctl_value *value);

/* The systemd unit of a cgroup, "" if it is unknown; valid until the next call. */
const char *observer_find_unit(struct observer *observer, uint64_t cgroup);

/* Looks for a live socket toward a destination of which the last dump showed none: short connections are in TIME_WAIT
 * nearly all of the time. Returns its cgroup; 0: there is none. Up to three dumps without TIME_WAIT, once in 10 s; cpu_budget
 * is debited with them. */
uint64_t observer_find_cgroup(struct observer *observer, uint64_t destination);

/* Returns 0 if sysctls under net.ipv4 can be written; else -EACCES, -EPERM or -EROFS. */
int observer_can_write(const struct observer *observer);
