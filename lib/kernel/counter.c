/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "lib/kernel/counter.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "lib/util/macro.h"
#include "lib/util/units.h"

#define TCP_EXT(name) "netstat.TcpExt." name
#define TCP(name) "snmp.Tcp." name
#define IP(name) "snmp.Ip." name

/* The levels among the counters (net/ipv4/proc.c:snmp4_tcp_list and snmp_seq_show_ipstats). */
static const char *const gauges[] = {
        TCP("CurrEstab"), TCP("RtoAlgorithm"), TCP("RtoMin"),    TCP("RtoMax"),
        TCP("MaxConn"),   IP("Forwarding"),    IP("DefaultTTL"),
};

void counters_init(struct counters *counters)
{
        static const char *const own[COUNTER_OWN] = {
                [COUNTER_TW_RECYCLED] = TCP_EXT("TWRecycled"),
                [COUNTER_LISTEN_DROPS] = TCP_EXT("ListenDrops"),
                [COUNTER_SYN_RETRANS] = TCP_EXT("TCPSynRetrans"),
                [COUNTER_ACTIVE_OPENS] = TCP("ActiveOpens"),
                [COUNTER_OUT_RSTS] = TCP("OutRsts"),
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

/* A pair of lines: "TcpExt: NAME NAME ..." and "TcpExt: NUMBER NUMBER ...". */
struct pair {
        const char *group, *name, *number; /* the current words; each ends at a blank or a newline */
        size_t group_len, name_len;
};

/* A loop of its own, because every tick reads these files: strcspn() costs three times as much on such short words. */
static const char *word_end(const char *p)
{
        while ((unsigned char)*p > ' ')
                p++;
        return p;
}

/* Returns the next word of the line; NULL: there is none. */
static const char *word_after(const char *p)
{
        p = word_end(p);
        while (*p == ' ')
                p++;
        return (unsigned char)*p > ' ' ? p : NULL;
}

/* Opens the pair of lines at p. Returns the text after it; NULL: the text ends here, or it is garbled. */
static const char *pair_open(struct pair *pair, const char *p)
{
        const char *values = strchrnul(p, '\n');

        pair->group = p;
        pair->group_len = strcspn(p, ":\n");
        if (!*values++ || p[pair->group_len] != ':' || strncmp(p, values, pair->group_len + 1) != 0)
                return NULL;
        pair->name = p;
        pair->number = values;
        p = strchrnul(values, '\n');
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

/* Writes "PREFIX.GROUP.NAME". Returns false if that does not fit. */
static bool pair_full_name(const struct pair *pair, const char *prefix, char buf[static COUNTER_NAME_MAX])
{
        return snprintf(buf, COUNTER_NAME_MAX, "%s.%.*s.%.*s", prefix, (int)pair->group_len, pair->group,
                        (int)pair->name_len, pair->name) < COUNTER_NAME_MAX;
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

/* The counters of the set that belong to the group of a pair: few of a line are wanted, and of many lines none. */
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

/* Returns the index of the member with the current name; members->n: it is not wanted. Begins after the member found
 * last: a set made from the file has the order of the file. */
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

/* In the order of net/ipv4/proc.c: snmp4_net_list, then snmp4_tcp_list. */
/* clang-format off */
const char *const counter_builtin[] = {
        TCP_EXT("SyncookiesSent"), TCP_EXT("SyncookiesRecv"), TCP_EXT("SyncookiesFailed"),
        TCP_EXT("EmbryonicRsts"), TCP_EXT("PruneCalled"), TCP_EXT("RcvPruned"), TCP_EXT("OfoPruned"),
        TCP_EXT("OutOfWindowIcmps"), TCP_EXT("LockDroppedIcmps"), TCP_EXT("ArpFilter"), TCP_EXT("TW"),
        TCP_EXT("TWRecycled"), TCP_EXT("TWKilled"), TCP_EXT("PAWSActive"), TCP_EXT("PAWSEstab"),
        TCP_EXT("BeyondWindow"), TCP_EXT("TSEcrRejected"), TCP_EXT("PAWSOldAck"), TCP_EXT("PAWSTimewait"),
        TCP_EXT("DelayedACKs"), TCP_EXT("DelayedACKLocked"), TCP_EXT("DelayedACKLost"),
        TCP_EXT("ListenOverflows"), TCP_EXT("ListenDrops"), TCP_EXT("TCPHPHits"), TCP_EXT("TCPPureAcks"),
        TCP_EXT("TCPHPAcks"), TCP_EXT("TCPRenoRecovery"), TCP_EXT("TCPSackRecovery"),
        TCP_EXT("TCPSACKReneging"), TCP_EXT("TCPSACKReorder"), TCP_EXT("TCPRenoReorder"),
        TCP_EXT("TCPTSReorder"), TCP_EXT("TCPFullUndo"), TCP_EXT("TCPPartialUndo"), TCP_EXT("TCPDSACKUndo"),
        TCP_EXT("TCPLossUndo"), TCP_EXT("TCPLostRetransmit"), TCP_EXT("TCPRenoFailures"),
        TCP_EXT("TCPSackFailures"), TCP_EXT("TCPLossFailures"), TCP_EXT("TCPFastRetrans"),
        TCP_EXT("TCPSlowStartRetrans"), TCP_EXT("TCPTimeouts"), TCP_EXT("TCPLossProbes"),
        TCP_EXT("TCPLossProbeRecovery"), TCP_EXT("TCPRenoRecoveryFail"), TCP_EXT("TCPSackRecoveryFail"),
        TCP_EXT("TCPRcvCollapsed"), TCP_EXT("TCPBacklogCoalesce"), TCP_EXT("TCPDSACKOldSent"),
        TCP_EXT("TCPDSACKOfoSent"), TCP_EXT("TCPDSACKRecv"), TCP_EXT("TCPDSACKOfoRecv"),
        TCP_EXT("TCPAbortOnData"), TCP_EXT("TCPAbortOnClose"), TCP_EXT("TCPAbortOnMemory"),
        TCP_EXT("TCPAbortOnTimeout"), TCP_EXT("TCPAbortOnLinger"), TCP_EXT("TCPAbortFailed"),
        TCP_EXT("TCPMemoryPressures"), TCP_EXT("TCPMemoryPressuresChrono"), TCP_EXT("TCPSACKDiscard"),
        TCP_EXT("TCPDSACKIgnoredOld"), TCP_EXT("TCPDSACKIgnoredNoUndo"), TCP_EXT("TCPSpuriousRTOs"),
        TCP_EXT("TCPMD5NotFound"), TCP_EXT("TCPMD5Unexpected"), TCP_EXT("TCPMD5Failure"),
        TCP_EXT("TCPSackShifted"), TCP_EXT("TCPSackMerged"), TCP_EXT("TCPSackShiftFallback"),
        TCP_EXT("TCPBacklogDrop"), TCP_EXT("PFMemallocDrop"), TCP_EXT("TCPMinTTLDrop"),
        TCP_EXT("TCPDeferAcceptDrop"), TCP_EXT("IPReversePathFilter"), TCP_EXT("TCPTimeWaitOverflow"),
        TCP_EXT("TCPReqQFullDoCookies"), TCP_EXT("TCPReqQFullDrop"), TCP_EXT("TCPRetransFail"),
        TCP_EXT("TCPRcvCoalesce"), TCP_EXT("TCPOFOQueue"), TCP_EXT("TCPOFODrop"), TCP_EXT("TCPOFOMerge"),
        TCP_EXT("TCPChallengeACK"), TCP_EXT("TCPSYNChallenge"), TCP_EXT("TCPFastOpenActive"),
        TCP_EXT("TCPFastOpenActiveFail"), TCP_EXT("TCPFastOpenPassive"), TCP_EXT("TCPFastOpenPassiveFail"),
        TCP_EXT("TCPFastOpenListenOverflow"), TCP_EXT("TCPFastOpenCookieReqd"),
        TCP_EXT("TCPFastOpenBlackhole"), TCP_EXT("TCPSpuriousRtxHostQueues"), TCP_EXT("BusyPollRxPackets"),
        TCP_EXT("TCPAutoCorking"), TCP_EXT("TCPFromZeroWindowAdv"), TCP_EXT("TCPToZeroWindowAdv"),
        TCP_EXT("TCPWantZeroWindowAdv"), TCP_EXT("TCPSynRetrans"), TCP_EXT("TCPOrigDataSent"),
        TCP_EXT("TCPHystartTrainDetect"), TCP_EXT("TCPHystartTrainCwnd"), TCP_EXT("TCPHystartDelayDetect"),
        TCP_EXT("TCPHystartDelayCwnd"), TCP_EXT("TCPACKSkippedSynRecv"), TCP_EXT("TCPACKSkippedPAWS"),
        TCP_EXT("TCPACKSkippedSeq"), TCP_EXT("TCPACKSkippedFinWait2"), TCP_EXT("TCPACKSkippedTimeWait"),
        TCP_EXT("TCPACKSkippedChallenge"), TCP_EXT("TCPWinProbe"), TCP_EXT("TCPKeepAlive"),
        TCP_EXT("TCPMTUPFail"), TCP_EXT("TCPMTUPSuccess"), TCP_EXT("TCPDelivered"), TCP_EXT("TCPDeliveredCE"),
        TCP_EXT("TCPAckCompressed"), TCP_EXT("TCPZeroWindowDrop"), TCP_EXT("TCPRcvQDrop"),
        TCP_EXT("TCPWqueueTooBig"), TCP_EXT("TCPFastOpenPassiveAltKey"), TCP_EXT("TcpTimeoutRehash"),
        TCP_EXT("TcpDuplicateDataRehash"), TCP_EXT("TCPDSACKRecvSegs"), TCP_EXT("TCPDSACKIgnoredDubious"),
        TCP_EXT("TCPMigrateReqSuccess"), TCP_EXT("TCPMigrateReqFailure"), TCP_EXT("TCPPLBRehash"),
        TCP_EXT("TCPAORequired"), TCP_EXT("TCPAOBad"), TCP_EXT("TCPAOKeyNotFound"), TCP_EXT("TCPAOGood"),
        TCP_EXT("TCPAODroppedIcmps"),
        TCP("RtoAlgorithm"), TCP("RtoMin"), TCP("RtoMax"), TCP("MaxConn"), TCP("ActiveOpens"),
        TCP("PassiveOpens"), TCP("AttemptFails"), TCP("EstabResets"), TCP("CurrEstab"), TCP("InSegs"),
        TCP("OutSegs"), TCP("RetransSegs"), TCP("InErrs"), TCP("OutRsts"), TCP("InCsumErrors"),
        NULL,
};
/* clang-format on */
