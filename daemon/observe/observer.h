/* SPDX-License-Identifier: MIT */
#pragma once

/* Reads the sockets, the counters and the sysctls of this netns into a snapshot: at every tick what costs next to
 * nothing, and sockets only when that is not enough to decide.
 *
 * Each source fails alone. If one cannot be read, its own metrics are invalid (unavailable if this kernel or netns
 * has no such file), and the others are read all the same. A file that is missing or fails is opened again every
 * minute, so that a module may be loaded later. If a file has grown past the buffer, the same retry enlarges the
 * buffer: only this retry and observer_set_config() open files again or allocate memory for them. */

#include "lib/config/config.h"
#include "lib/kernel/snapshot.h"
#include "lib/ports/table.h"

struct observer;

/* Opens all files under proc_root ("/proc"), which has to outlive the observer. Returns 0 or -ENOMEM. */
int observer_new(const char *proc_root, struct observer **ret);

/* Returns 0 if the sockets can be dumped, else a negative errno; -ENOENT: the kernel has no tcp_diag. */
int observer_probe(struct observer *observer);
void observer_free(struct observer *observer);

/* Sets what to read from now on: the ports, and what the rules name. config NULL: every metric, at each read and
 * without a CPU budget. counters are those to read. Keeps no pointer to config or counters. Rates need two reads, so
 * they are invalid in the first one. */
void observer_set_config(struct observer *observer, const struct config *config, const struct counters *counters);

/* For a recording: until the next observer_set_config() every metric and sysctl is read, and all sockets are dumped as
 * often as cpu_budget allows. */
void observer_want_everything(struct observer *observer);

/* Returns every counter of this kernel, to be freed with free(3); NULL without memory. */
struct counters *observer_list_counters(const char *proc_root);

/* The first step of a tick: reads counters and sysctls and, when due, dumps the listeners, the bound sockets and the
 * UDP sockets. Metrics of other sockets are those of the last sample by state, or bounds computed from counters and
 * the last dump. *ret_dump: a dump is needed, as no bounds of ports.* hold, or for a recording. */
void observer_read(struct observer *observer, struct snapshot *ret, bool *ret_dump, struct unread *unread);

/* Makes the next observer_read() one between two regular ticks: it updates only sockets, sysctls and the tables of
 * TCP, and all other readings stay those of the last regular read. It needs the snapshot of the read before. */
void observer_set_early(struct observer *observer);

/* Counts the TCP sockets of this netns, except the full sockets of IPv6, at next to no cost. Returns 0 or a negative
 * errno. observer_counted() returns the count at the last observer_read(). */
int observer_count(struct observer *observer, uint64_t *ret);
uint64_t observer_counted(const struct observer *observer);

/* Likewise counts the connections that this netns opened since it was made (ActiveOpens), at a little more cost. */
int observer_count_opened(struct observer *observer, uint64_t *ret);
uint64_t observer_opened(const struct observer *observer);

/* Listens for closed TCP connections (closings.c). Returns a negative errno, or a descriptor that belongs to the
 * observer and becomes readable after about `connections` of them. After observer_unlisten() closed connections cost
 * nothing. */
int observer_listen(struct observer *observer, unsigned connections);
void observer_unlisten(struct observer *observer);

/* Samples the sockets by state if that is due (SLOWLY in metric.h). Returns false if it is not; then the snapshot is
 * as before. */
bool observer_read_states(struct observer *observer, struct snapshot *snapshot, struct unread *unread);

/* Dumps all sockets with ephemeral ports, or, while cpu_budget forbids another dump, repeats the values of the last
 * one. On an error ports.* stay as observer_read() left them: bounds, or invalid. watch: see ports_watch(). */
void observer_read_sockets(struct observer *observer, const struct watch_list *watch, struct snapshot *snapshot,
                           struct unread *unread);

/* Updates the ports that people see: dumps them after a tick, when the rules have decided, if the last dump is at
 * least `every` ns old. The dump takes half a second at most. Looks have an account of CPU time of their own (a tenth
 * of cpu_budget), so that they delay no dump that a rule needs. If a look fails, ports.* stay as they are. */
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

/* Looks for a live socket toward a destination that had none in the last dump: short connections are in TIME_WAIT
 * nearly all of the time. Returns its cgroup; 0: none was found. Makes up to three dumps without TIME_WAIT, at most
 * once in 10 s, and debits cpu_budget with them. */
uint64_t observer_find_cgroup(struct observer *observer, uint64_t destination);

/* Returns 0 if sysctls under net.ipv4 can be written, judged by the file of tcp_tw_reuse; else the negative errno of
 * its open(), such as -EACCES, -EPERM or -EROFS. */
int observer_can_write(const struct observer *observer);
