/* SPDX-License-Identifier: MIT */
/* All dumps but looks are debited to one account, so that together they take no more than four fifths of cpu_budget;
 * the ticks have the rest. Dumps of ports, states and bound sockets wait until the account is settled (but see
 * may_dump_ports()). Looks, which no rule needs, have an account of their own with a tenth of cpu_budget. */

#include "daemon/now.h"
#include "daemon/observe/internal.h"
#include "lib/util/macro.h"

#define DUMPS_SHARE 0.8
#define LOOK_PART 10
#define SOCKET_NS 1000 /* a dump takes less for each socket */

void budget_begin(struct observer *o)
{
        o->settled = o->now >= o->settled_at;
}

static uint64_t pause_after(const struct observer *o, uint64_t cpu)
{
        return (uint64_t)((double)cpu / (DUMPS_SHARE * o->budget));
}

/* The time for which a virtual machine is stopped may count as CPU time, and must not forbid the next dump for 25
 * times as long (cpu_budget = 5%). So the debit of a dump is at most twice the CPU time of the last one of its kind,
 * or SOCKET_NS for each socket if that is more; the first one of a kind is debited in full. The time that a dump waits
 * for a processor costs the host nothing, and does not count. */
void budget_debit(struct observer *o, enum dump_kind kind, uint64_t begun)
{
        uint64_t cpu = thread_cpu_ns() - begun, before = o->dump_cpu[kind];
        uint64_t most = MAX(2 * before, SOCKET_NS * (o->inuse + o->tw));
        uint64_t debit = before > 0 ? MIN(cpu, most) : cpu;

        o->dump_cpu[kind] = cpu;
        o->dump_debit[kind] = debit;
        if (o->budget > 0)
                o->settled_at = MAX(o->settled_at, o->now) + pause_after(o, debit);
}

uint64_t budget_pause(const struct observer *o)
{
        const uint64_t *debit = o->dump_debit;

        return pause_after(o, MAX(MAX(debit[DUMP_PORTS], debit[DUMP_STATES]), debit[DUMP_BOTH]));
}

void budget_debit_look(struct observer *o, uint64_t begun)
{
        if (o->budget > 0)
                o->look_settled_at = o->now + (uint64_t)((double)(thread_cpu_ns() - begun) * LOOK_PART / o->budget);
}
