/* SPDX-License-Identifier: MIT */
#include "lib/kernel/counter.h"

#include <stddef.h>
#include <string.h>

#include "lib/util/macro.h"
#include "lib/util/units.h"

/* The levels among the counters (net/ipv4/proc.c:snmp4_tcp_list and snmp_seq_show_ipstats). */
static const char *const gauges[] = {
        "snmp.Tcp.CurrEstab", "snmp.Tcp.RtoAlgorithm", "snmp.Tcp.RtoMin",    "snmp.Tcp.RtoMax",
        "snmp.Tcp.MaxConn",   "snmp.Ip.Forwarding",    "snmp.Ip.DefaultTTL",
};

void counters_init(struct counters *counters)
{
        static const char *const own[COUNTER_OWN] = {
                [COUNTER_TW_RECYCLED] = "netstat.TcpExt.TWRecycled",
                [COUNTER_LISTEN_DROPS] = "netstat.TcpExt.ListenDrops",
                [COUNTER_SYN_RETRANS] = "netstat.TcpExt.TCPSynRetrans",
                [COUNTER_ACTIVE_OPENS] = "snmp.Tcp.ActiveOpens",
                [COUNTER_OUT_RSTS] = "snmp.Tcp.OutRsts",
        };

        counters->n = 0;
        for (unsigned i = 0; i < COUNTER_OWN; i++)
                counters_add(counters, own[i]);
}

unsigned counters_find(const struct counters *counters, const char *name)
{
        for (unsigned i = 0; i < counters->n; i++)
                if (strcmp(counters->item[i].name, name) == 0)
                        return i;
        return COUNTERS_MAX;
}

unsigned counters_add(struct counters *counters, const char *name)
{
        unsigned i = counters_find(counters, name);

        if (i < COUNTERS_MAX)
                return i;
        if (counters->n == COUNTERS_MAX || strlen(name) >= COUNTER_NAME_MAX)
                return COUNTERS_MAX;

        i = counters->n++;
        counters->item[i] = (struct counter){0};
        strcpy(counters->item[i].name, name);
        for (unsigned g = 0; g < ELEMENTSOF(gauges); g++)
                if (strcmp(gauges[g], name) == 0)
                        counters->item[i].gauge = true;
        return i;
}

/* One pair of lines: "TcpExt: NAME NAME ..." and "TcpExt: NUMBER NUMBER ...". */
struct pair {
        const char *group, *name, *number; /* the words at hand; each ends at a blank or a newline */
        size_t group_len, name_len;
};

static const char *line_end(const char *p)
{
        const char *end = strchr(p, '\n');

        return end ? end : p + strlen(p);
}

/* These are read at every tick: strcspn() for words this short would cost three times as much. */
static const char *word_end(const char *p)
{
        while ((unsigned char)*p > ' ')
                p++;
        return p;
}

/* The next word of the line, NULL at its end. */
static const char *word_after(const char *p)
{
        p = word_end(p);
        while (*p == ' ')
                p++;
        return (unsigned char)*p > ' ' ? p : NULL;
}

/* Opens the pair of lines at p. Returns what follows it, NULL at the end of the text or when it is garbled. */
static const char *pair_open(struct pair *pair, const char *p)
{
        const char *values = line_end(p);

        pair->group = p;
        pair->group_len = strcspn(p, ":\n");
        if (!*values++ || p[pair->group_len] != ':' || strncmp(p, values, pair->group_len + 1) != 0)
                return NULL;
        pair->name = p;
        pair->number = values;
        p = line_end(values);
        return *p ? p + 1 : p;
}

static bool pair_next(struct pair *pair)
{
        pair->name = word_after(pair->name);
        pair->number = word_after(pair->number);
        if (!pair->name || !pair->number)
                return false;
        pair->name_len = (size_t)(word_end(pair->name) - pair->name);
        return true;
}

/* "PREFIX.GROUP.NAME"; false when that is too long for us. */
static bool pair_full_name(const struct pair *pair, const char *prefix, char buf[static COUNTER_NAME_MAX])
{
        size_t n = strlen(prefix);

        if (n + 1 + pair->group_len + 1 + pair->name_len >= COUNTER_NAME_MAX)
                return false;
        memcpy(buf, prefix, n);
        buf[n++] = '.';
        memcpy(buf + n, pair->group, pair->group_len);
        n += pair->group_len;
        buf[n++] = '.';
        memcpy(buf + n, pair->name, pair->name_len);
        buf[n + pair->name_len] = 0;
        return true;
}

void counters_add_all(struct counters *counters, const char *prefix, const char *text)
{
        char name[COUNTER_NAME_MAX];
        struct pair pair;

        for (const char *p = text; (p = pair_open(&pair, p));)
                while (pair_next(&pair))
                        if (pair_full_name(&pair, prefix, name))
                                counters_add(counters, name);
}

/* Those of the set that are in the pair's group: of all the lines a rule wants few, and of many it wants none. */
struct members {
        unsigned n;
        struct counter *counter[COUNTERS_MAX];
        const char *name[COUNTERS_MAX]; /* without prefix and group */
};

static void members_find(struct members *members, struct counters *counters, const char *prefix,
                         const struct pair *pair)
{
        size_t prefix_len = strlen(prefix), head = prefix_len + 1 + pair->group_len + 1;

        members->n = 0;
        for (unsigned i = 0; i < counters->n && head < COUNTER_NAME_MAX; i++) {
                struct counter *c = &counters->item[i];

                if (c->name[head - 1] != '.' || strncmp(c->name, prefix, prefix_len) != 0 ||
                    strncmp(c->name + prefix_len + 1, pair->group, pair->group_len) != 0)
                        continue;
                members->counter[members->n] = c;
                members->name[members->n++] = c->name + head;
        }
}

/* MaxConn is -1 where there is no limit. */
static bool value_parse(const char *text, uint64_t *ret)
{
        bool negative = *text == '-';

        if (!number_parse(text + negative, ret))
                return false;
        if (negative)
                *ret = -*ret;
        return true;
}

/* The member that the name at hand is. It is looked for after the one before first: a set that was made from the
 * file has the file's order. */
static unsigned member_find(const struct members *members, unsigned from, const struct pair *pair)
{
        for (unsigned k = 0; k < members->n; k++) {
                unsigned i = (from + k) % members->n;
                const char *name = members->name[i];

                if (*name == *pair->name && strncmp(name, pair->name, pair->name_len) == 0 &&
                    name[pair->name_len] == 0)
                        return i;
        }
        return members->n;
}

void counters_read(struct counters *counters, const char *prefix, const char *text)
{
        struct members members;
        struct pair pair;

        for (const char *p = text; (p = pair_open(&pair, p));) {
                unsigned found = 0, next = 0;

                members_find(&members, counters, prefix, &pair);
                while (found < members.n && pair_next(&pair)) {
                        unsigned i = member_find(&members, next, &pair);

                        if (i == members.n)
                                continue;
                        members.counter[i]->seen = value_parse(pair.number, &members.counter[i]->value);
                        next = i + 1;
                        found++;
                }
        }
}

const char *const counter_builtin[] = {
        "netstat.TcpExt.SyncookiesSent",
        "netstat.TcpExt.SyncookiesRecv",
        "netstat.TcpExt.SyncookiesFailed",
        "netstat.TcpExt.EmbryonicRsts",
        "netstat.TcpExt.PruneCalled",
        "netstat.TcpExt.RcvPruned",
        "netstat.TcpExt.OfoPruned",
        "netstat.TcpExt.OutOfWindowIcmps",
        "netstat.TcpExt.LockDroppedIcmps",
        "netstat.TcpExt.ArpFilter",
        "netstat.TcpExt.TW",
        "netstat.TcpExt.TWRecycled",
        "netstat.TcpExt.TWKilled",
        "netstat.TcpExt.PAWSActive",
        "netstat.TcpExt.PAWSEstab",
        "netstat.TcpExt.BeyondWindow",
        "netstat.TcpExt.TSEcrRejected",
        "netstat.TcpExt.PAWSOldAck",
        "netstat.TcpExt.PAWSTimewait",
        "netstat.TcpExt.DelayedACKs",
        "netstat.TcpExt.DelayedACKLocked",
        "netstat.TcpExt.DelayedACKLost",
        "netstat.TcpExt.ListenOverflows",
        "netstat.TcpExt.ListenDrops",
        "netstat.TcpExt.TCPHPHits",
        "netstat.TcpExt.TCPPureAcks",
        "netstat.TcpExt.TCPHPAcks",
        "netstat.TcpExt.TCPRenoRecovery",
        "netstat.TcpExt.TCPSackRecovery",
        "netstat.TcpExt.TCPSACKReneging",
        "netstat.TcpExt.TCPSACKReorder",
        "netstat.TcpExt.TCPRenoReorder",
        "netstat.TcpExt.TCPTSReorder",
        "netstat.TcpExt.TCPFullUndo",
        "netstat.TcpExt.TCPPartialUndo",
        "netstat.TcpExt.TCPDSACKUndo",
        "netstat.TcpExt.TCPLossUndo",
        "netstat.TcpExt.TCPLostRetransmit",
        "netstat.TcpExt.TCPRenoFailures",
        "netstat.TcpExt.TCPSackFailures",
        "netstat.TcpExt.TCPLossFailures",
        "netstat.TcpExt.TCPFastRetrans",
        "netstat.TcpExt.TCPSlowStartRetrans",
        "netstat.TcpExt.TCPTimeouts",
        "netstat.TcpExt.TCPLossProbes",
        "netstat.TcpExt.TCPLossProbeRecovery",
        "netstat.TcpExt.TCPRenoRecoveryFail",
        "netstat.TcpExt.TCPSackRecoveryFail",
        "netstat.TcpExt.TCPRcvCollapsed",
        "netstat.TcpExt.TCPBacklogCoalesce",
        "netstat.TcpExt.TCPDSACKOldSent",
        "netstat.TcpExt.TCPDSACKOfoSent",
        "netstat.TcpExt.TCPDSACKRecv",
        "netstat.TcpExt.TCPDSACKOfoRecv",
        "netstat.TcpExt.TCPAbortOnData",
        "netstat.TcpExt.TCPAbortOnClose",
        "netstat.TcpExt.TCPAbortOnMemory",
        "netstat.TcpExt.TCPAbortOnTimeout",
        "netstat.TcpExt.TCPAbortOnLinger",
        "netstat.TcpExt.TCPAbortFailed",
        "netstat.TcpExt.TCPMemoryPressures",
        "netstat.TcpExt.TCPMemoryPressuresChrono",
        "netstat.TcpExt.TCPSACKDiscard",
        "netstat.TcpExt.TCPDSACKIgnoredOld",
        "netstat.TcpExt.TCPDSACKIgnoredNoUndo",
        "netstat.TcpExt.TCPSpuriousRTOs",
        "netstat.TcpExt.TCPMD5NotFound",
        "netstat.TcpExt.TCPMD5Unexpected",
        "netstat.TcpExt.TCPMD5Failure",
        "netstat.TcpExt.TCPSackShifted",
        "netstat.TcpExt.TCPSackMerged",
        "netstat.TcpExt.TCPSackShiftFallback",
        "netstat.TcpExt.TCPBacklogDrop",
        "netstat.TcpExt.PFMemallocDrop",
        "netstat.TcpExt.TCPMinTTLDrop",
        "netstat.TcpExt.TCPDeferAcceptDrop",
        "netstat.TcpExt.IPReversePathFilter",
        "netstat.TcpExt.TCPTimeWaitOverflow",
        "netstat.TcpExt.TCPReqQFullDoCookies",
        "netstat.TcpExt.TCPReqQFullDrop",
        "netstat.TcpExt.TCPRetransFail",
        "netstat.TcpExt.TCPRcvCoalesce",
        "netstat.TcpExt.TCPOFOQueue",
        "netstat.TcpExt.TCPOFODrop",
        "netstat.TcpExt.TCPOFOMerge",
        "netstat.TcpExt.TCPChallengeACK",
        "netstat.TcpExt.TCPSYNChallenge",
        "netstat.TcpExt.TCPFastOpenActive",
        "netstat.TcpExt.TCPFastOpenActiveFail",
        "netstat.TcpExt.TCPFastOpenPassive",
        "netstat.TcpExt.TCPFastOpenPassiveFail",
        "netstat.TcpExt.TCPFastOpenListenOverflow",
        "netstat.TcpExt.TCPFastOpenCookieReqd",
        "netstat.TcpExt.TCPFastOpenBlackhole",
        "netstat.TcpExt.TCPSpuriousRtxHostQueues",
        "netstat.TcpExt.BusyPollRxPackets",
        "netstat.TcpExt.TCPAutoCorking",
        "netstat.TcpExt.TCPFromZeroWindowAdv",
        "netstat.TcpExt.TCPToZeroWindowAdv",
        "netstat.TcpExt.TCPWantZeroWindowAdv",
        "netstat.TcpExt.TCPSynRetrans",
        "netstat.TcpExt.TCPOrigDataSent",
        "netstat.TcpExt.TCPHystartTrainDetect",
        "netstat.TcpExt.TCPHystartTrainCwnd",
        "netstat.TcpExt.TCPHystartDelayDetect",
        "netstat.TcpExt.TCPHystartDelayCwnd",
        "netstat.TcpExt.TCPACKSkippedSynRecv",
        "netstat.TcpExt.TCPACKSkippedPAWS",
        "netstat.TcpExt.TCPACKSkippedSeq",
        "netstat.TcpExt.TCPACKSkippedFinWait2",
        "netstat.TcpExt.TCPACKSkippedTimeWait",
        "netstat.TcpExt.TCPACKSkippedChallenge",
        "netstat.TcpExt.TCPWinProbe",
        "netstat.TcpExt.TCPKeepAlive",
        "netstat.TcpExt.TCPMTUPFail",
        "netstat.TcpExt.TCPMTUPSuccess",
        "netstat.TcpExt.TCPDelivered",
        "netstat.TcpExt.TCPDeliveredCE",
        "netstat.TcpExt.TCPAckCompressed",
        "netstat.TcpExt.TCPZeroWindowDrop",
        "netstat.TcpExt.TCPRcvQDrop",
        "netstat.TcpExt.TCPWqueueTooBig",
        "netstat.TcpExt.TCPFastOpenPassiveAltKey",
        "netstat.TcpExt.TcpTimeoutRehash",
        "netstat.TcpExt.TcpDuplicateDataRehash",
        "netstat.TcpExt.TCPDSACKRecvSegs",
        "netstat.TcpExt.TCPDSACKIgnoredDubious",
        "netstat.TcpExt.TCPMigrateReqSuccess",
        "netstat.TcpExt.TCPMigrateReqFailure",
        "netstat.TcpExt.TCPPLBRehash",
        "netstat.TcpExt.TCPAORequired",
        "netstat.TcpExt.TCPAOBad",
        "netstat.TcpExt.TCPAOKeyNotFound",
        "netstat.TcpExt.TCPAOGood",
        "netstat.TcpExt.TCPAODroppedIcmps",
        "snmp.Tcp.RtoAlgorithm",
        "snmp.Tcp.RtoMin",
        "snmp.Tcp.RtoMax",
        "snmp.Tcp.MaxConn",
        "snmp.Tcp.ActiveOpens",
        "snmp.Tcp.PassiveOpens",
        "snmp.Tcp.AttemptFails",
        "snmp.Tcp.EstabResets",
        "snmp.Tcp.CurrEstab",
        "snmp.Tcp.InSegs",
        "snmp.Tcp.OutSegs",
        "snmp.Tcp.RetransSegs",
        "snmp.Tcp.InErrs",
        "snmp.Tcp.OutRsts",
        "snmp.Tcp.InCsumErrors",
        NULL,
};
